//! The operations port: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever balances
//! or restarts us.

use crate::Lifecycle;
use crate::listen::Listener;
use crate::metrics::Exporter;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the process is doing, for `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not listening yet.
    Starting = 0,
    /// Serving.
    Ready = 1,
    /// Takes nothing new: a balancer should send clients elsewhere.
    Draining = 2,
}

/// The phase of this process. Cloning is cheap; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// Says what the process is doing from now on.
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// What the process is doing.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

/// Serves on `listeners` until everything else has ended, so that `/readyz` can tell that the
/// process drains.
pub fn serve(listeners: Vec<Listener>, exporter: Exporter, health: Health, life: &Lifecycle) {
    let routes = routes(exporter, health);
    for listener in listeners {
        let (routes, drained) = (routes.clone(), life.drained().clone());
        life.spawn_service("operations", async move {
            let serving = axum::serve(listener.into_socket(), routes).into_future();
            drained.run_until_cancelled(serving).await;
        });
    }
}

fn routes(exporter: Exporter, health: Health) -> Router {
    let metrics = move || {
        let exporter = exporter.clone();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], exporter.render()) }
    };
    let ready = move || {
        let phase = health.phase();
        async move {
            match phase {
                Phase::Ready => (StatusCode::OK, "ready\n"),
                Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
                Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            }
        }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}
