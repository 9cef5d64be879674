//! A gateway with a tiny owner behind it, and a client in front.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; not every one needs all of it")]

pub mod client;
pub mod owner;

use bus::{Bus, LocalBus, NodeId};
use gateway::{Gateway, Mode, Ports, Settings};
use owner::Owner;
use runtime::config::c2s::C2s;
use runtime::config::sasl::Sasl;
use runtime::config::tls::Tls;
use runtime::listen::bind_all;
use runtime::tls::CertStore;
use runtime::{Clock, Lifecycle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A running gateway.
pub struct Edge {
    pub plain: SocketAddr,
    pub direct: SocketAddr,
    pub owner: Arc<Owner>,
    pub life: Lifecycle,
    pub certificates: Arc<CertStore>,
    _data: TempDir,
}

/// Settings of the tests: logins in the clear, the rest as by default.
pub fn settings(change: impl FnOnce(&mut C2s, &mut Sasl)) -> Settings {
    let mut c2s = C2s { allow_plaintext: true, ..C2s::default() };
    let mut sasl = Sasl::default();
    change(&mut c2s, &mut sasl);
    Settings::new(&c2s, &sasl, &["localhost".to_owned()], false, None)
}

pub fn start(settings: Settings) -> Edge {
    let data = TempDir::new().unwrap();
    let hosts = ["localhost".to_owned()];
    let certificates =
        Arc::new(CertStore::open(&Tls::default(), data.path(), &hosts, Clock::System).unwrap());
    let life = Lifecycle::new();
    let local = Arc::new(LocalBus::default());
    let bus = Bus::Local(local.clone());
    let owner = Arc::new(Owner::new(bus.clone()));
    let ports = Ports {
        node: NodeId(7),
        bus,
        certificates: certificates.clone(),
        clock: Clock::System,
        life: life.clone(),
    };
    let gateway = Gateway::new(settings, ports);
    local.attach_gateway(gateway.clone());
    local.attach_owner(owner.clone());
    let mut listeners = bind_all(&["127.0.0.1:0".parse().unwrap(); 2], "test").unwrap().into_iter();
    let (first, second) = (listeners.next().unwrap(), listeners.next().unwrap());
    let (plain, direct) = (first.address(), second.address());
    gateway.serve(first, Mode::StartTls);
    gateway.serve(second, Mode::DirectTls);
    Edge { plain, direct, owner, life, certificates, _data: data }
}

/// With the tests' settings.
pub fn start_default() -> Edge {
    start(settings(|_, _| {}))
}

/// Waits for something to become true.
pub async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !check() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
