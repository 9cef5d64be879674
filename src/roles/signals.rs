//! Signals: SIGTERM and SIGINT drain, the second one stops at once, SIGHUP reloads.

use anyhow::Context;
use runtime::Lifecycle;
use runtime::config::{Config, Sources};
use runtime::telemetry::Logs;
use runtime::tls::CertStore;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Keys that SIGHUP takes over.
const RELOADABLE: [&str; 4] = ["tls.certificate", "tls.key", "tls.certificates", "telemetry.level"];

/// The signals that the process listens to.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub fn install() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when the process should drain: it was told to, or something failed.
    pub async fn until_stopped(mut self, life: &Lifecycle, reload: &Reload) -> Signals {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return self,
                _ = self.interrupt.recv() => return self,
                () = life.soft().cancelled() => return self,
                _ = self.hangup.recv() => reload.now(),
            }
        }
    }

    /// Returns when the process is told to stop once more.
    pub async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What SIGHUP needs.
pub struct Reload {
    /// What is in force.
    pub config: Config,
    /// Where it came from.
    pub sources: Sources,
    /// Are read again.
    pub certificates: Arc<CertStore>,
    /// Get the new level.
    pub logs: Logs,
}

impl Reload {
    /// Reads configuration and certificates again. What is wrong stays as it was.
    fn now(&self) {
        let config = match Config::load(&self.sources) {
            Ok((config, _)) => config,
            Err(error) => return tracing::error!(%error, "not reloaded"),
        };
        for key in self.config.differences(&config) {
            if !RELOADABLE.contains(&key.as_str()) {
                tracing::warn!(key, "changed, but takes effect at the next start");
            }
        }
        if let Err(error) = self.logs.set_level(&config.telemetry.level) {
            tracing::error!(%error, "the log level stays");
        }
        match self.certificates.reload(&config.tls) {
            Ok(()) => tracing::info!("reloaded the certificates and the log level"),
            Err(error) => tracing::error!(%error, "the certificates stay"),
        }
    }
}
