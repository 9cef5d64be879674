//! Puts the parts together: which role gets which ports and values. This is the only place that
//! knows all of them.

mod announce;
mod settings;
mod signals;

use crate::start;
use anyhow::Context;
use bus::envelope::Receipt;
use bus::{Bus, LocalBus, NodeId};
use gateway::{Gateway, Mode};
use router::admin::Admin;
use router::{Ports, Router, Shared};
use runtime::config::{Config, Sources};
use runtime::lifecycle::Stopped;
use runtime::listen::{Listener, bind_all};
use runtime::operations::{Health, Phase};
use runtime::tls::CertStore;
use runtime::{Clock, Lifecycle, metrics, operations, secret, telemetry, tls};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Db, MessageLog, Sessions, StoreError};

/// The epoch of a process that owns every partition alone; the message log fences by itself.
const EMBEDDED_EPOCH: u64 = 1;

/// Runs every role in this process until it is told to stop.
pub async fn run(config: Config, sources: Sources) -> anyhow::Result<ExitCode> {
    let clock = Clock::System;
    let life = Lifecycle::new();
    let logs = telemetry::install(&config.telemetry.level, config.telemetry.format, config.telemetry.output)?;
    tls::install_provider();
    let exporter = metrics::install(&life, &clock)?;
    let listeners = Listeners::bind(&config)?;
    let health = Health::default();
    operations::serve(listeners.operations, exporter.clone(), health.clone(), &life);

    // The database before other files: its lock keeps a second process out of the directory.
    let data_dir = &config.node.data_dir;
    let db = Db::open_sqlite(data_dir, config.router.partitions).await?;
    let certificates =
        Arc::new(CertStore::open(&config.tls, data_dir, &config.domains.hosts, clock.clone())?);

    let node = NodeId(start::random_u64()?);
    let started_ms = clock.now_ms();
    let local = Arc::new(LocalBus::default());
    let bus = Bus::Local(local.clone());
    let ports = open_ports(&config, &clock, &life, db.clone(), bus).await?;
    let log = ports.log.clone();
    exporter.sampled(move || {
        metrics::ROUTER_LOG_UNCOMMITTED_BYTES.set(log.uncommitted_bytes() as f64);
        metrics::ROUTER_LOG_UNSETTLED_BYTES.set(log.tail_bytes() as f64);
    });
    let admin = Admin::new(settings::admin(&config, node, started_ms), &ports);
    let router = settings::router(&config, started_ms);
    let edge = settings::gateway(&config, &router);
    local.attach_owner(Router::new(Shared::new(router, ports)));
    let ports = gateway::Ports {
        node,
        bus: Bus::Local(local.clone()),
        certificates: certificates.clone(),
        clock,
        life: life.clone(),
    };
    let gateway = Gateway::new(edge, ports);
    local.attach_gateway(gateway.clone());

    // Everything that a connection needs is in place: let them in.
    for (listeners, mode) in [(listeners.starttls, Mode::StartTls), (listeners.direct_tls, Mode::DirectTls)] {
        for listener in listeners {
            gateway.serve(listener, mode);
        }
    }
    serve_administration(&config, &admin, listeners.admin, &life)?;
    announce::started(&config, &sources, &listeners.addresses)?;
    health.set(Phase::Ready);

    let grace = Duration::from_secs(config.shutdown.grace_seconds);
    let signals = signals::Signals::install()?;
    let reload = signals::Reload { config, sources, certificates, logs };
    let signals = signals.until_stopped(&life, &reload).await;
    health.set(Phase::Draining);
    drain(&life, grace, &db, signals).await
}

/// Ends the process: everything gets `grace` to finish, unless the operator asks again.
async fn drain(
    life: &Lifecycle,
    grace: Duration,
    db: &Db,
    mut signals: signals::Signals,
) -> anyhow::Result<ExitCode> {
    tracing::info!(grace_seconds = grace.as_secs(), "draining");
    let stopped = tokio::select! {
        stopped = life.shutdown(grace) => stopped,
        () = signals.again() => {
            // What is acknowledged is durable: the process may go at any moment.
            tracing::warn!("stopped at once");
            std::process::exit(1);
        }
    };
    db.close().await;
    if stopped == Stopped::Forced {
        tracing::warn!("some connections did not close within shutdown.grace_seconds");
    }
    tracing::info!("stopped");
    Ok(if life.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Every address that is listened on, bound before anything else is done: a port in use is the
/// most common mistake.
struct Listeners {
    starttls: Vec<Listener>,
    direct_tls: Vec<Listener>,
    operations: Vec<Listener>,
    admin: Vec<Listener>,
    addresses: announce::Addresses,
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Listeners> {
        let starttls = bind_all(&config.c2s.starttls, "c2s.starttls")?;
        let direct_tls = bind_all(&config.c2s.direct_tls, "c2s.direct_tls")?;
        for listener in starttls.iter().chain(&direct_tls) {
            let timeout = Duration::from_secs(config.c2s.write_timeout_seconds);
            listener.set_write_timeout(timeout).context("cannot set c2s.write_timeout_seconds")?;
        }
        let operations = bind_all(&config.operations.listen, "operations.listen")?;
        let admin = bind_all(&config.admin.listen, "admin.listen")?;
        let of = |listeners: &[Listener]| listeners.iter().map(Listener::address).collect();
        let addresses = vec![
            ("c2s STARTTLS", of(&starttls)),
            ("c2s direct TLS", of(&direct_tls)),
            ("operations", of(&operations)),
            ("administration", of(&admin)),
        ];
        Ok(Listeners { starttls, direct_tls, operations, admin, addresses })
    }
}

/// Opens what the router works with.
async fn open_ports(
    config: &Config,
    clock: &Clock,
    life: &Lifecycle,
    db: Db,
    bus: Bus,
) -> anyhow::Result<Ports> {
    let now_ms = {
        let clock = clock.clone();
        Arc::new(move || clock.now_ms())
    };
    let waiting = bus.clone();
    let settle = Box::new(move |receipts: Vec<Receipt>| router::settled(&waiting, receipts));
    let log = Arc::new(MessageLog::open(db.clone(), settings::log(config), now_ms, settle).await?);
    life.spawn_service("message log", keep_log(log.clone(), life.clone()));
    let fake_key = secret::read_or_make(&config.node.data_dir.join("fake-salt-key"))?;
    Ok(Ports {
        bus,
        db,
        log,
        sessions: Arc::new(Sessions::memory(config.router.partitions)),
        clock: clock.clone(),
        life: life.clone(),
        fake_key: secret::key(&fake_key),
        epoch: EMBEDDED_EPOCH,
    })
}

/// Commits the log until nobody writes to it any more.
async fn keep_log(log: Arc<MessageLog<Receipt>>, life: Lifecycle) {
    let drained = life.drained().clone();
    if let Err(error) = log.run(drained.cancelled_owned()).await {
        life.fail();
        match error {
            StoreError::Fenced => tracing::error!("another process has taken over the data; stopping"),
            error => tracing::error!(%error, "the message log cannot go on; stopping"),
        }
    }
}

fn serve_administration(
    config: &Config,
    admin: &Arc<Admin>,
    listeners: Vec<Listener>,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let token = secret::read_or_make(&config.admin_token_file()).context("the admin token")?;
    for listener in listeners {
        let (admin, token, soft) = (admin.clone(), token.clone(), life.soft().clone());
        life.spawn("administration", async move {
            let served = router::admin::serve(admin, listener.into_socket(), &token, soft.cancelled()).await;
            if let Err(error) = served {
                tracing::error!(%error, "administration is no longer served");
            }
        });
    }
    Ok(())
}
