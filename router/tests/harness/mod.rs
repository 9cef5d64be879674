//! A router with a real database, and a gateway that notes what it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each user takes a part of it")]

use bus::envelope::{Bound, GatewayBody, Origin, OwnerBody, Receipt, Resumed, SessionBody};
use bus::{Bus, ConnId, GatewayPort, LocalBus, NodeId, SessionId, ToGateway, ToOwner};
use parking_lot::Mutex;
use router::{Ports, Router, Settings, Shared};
use runtime::{Clock, Lifecycle};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Db, LogConfig, MessageLog, Sessions};
use tokio::sync::Notify;
use xmpp::Jid;
use xmpp::framing::{Frame, Limits, StreamNamespaces, parse_frame};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a gateway was told, by connection.
#[derive(Default)]
pub struct Gateway {
    told: Mutex<HashMap<ConnId, Vec<GatewayBody>>>,
    more: Notify,
    /// Takes its place, once it is set.
    instead: OnceLock<Arc<dyn GatewayPort>>,
}

impl GatewayPort for Gateway {
    fn receive(&self, envelope: ToGateway) {
        if let Some(instead) = self.instead.get() {
            return instead.receive(envelope);
        }
        self.told.lock().entry(envelope.conn).or_default().push(envelope.body);
        self.more.notify_waiters();
    }
}

pub struct World {
    pub bus: Bus,
    pub db: Db,
    pub log: Arc<MessageLog<Receipt>>,
    pub gateway: Arc<Gateway>,
    life: Lifecycle,
    slots: AtomicU32,
    _dir: tempfile::TempDir,
}

pub fn settings() -> Settings {
    Settings {
        hosts: vec!["example.com".into()],
        partitions: 16,
        accounts_cached_max: 1000,
        resources_max: 4,
        resume_seconds: 60,
        resume_seconds_max: 600,
        unacked_stanzas_max: 8,
        unacked_bytes_max: 1 << 20,
        feed_page_stanzas: 3,
        waiting_stanzas_max: 20,
        roster_items_max: 5,
        roster_groups_max: 3,
        roster_name_bytes_max: 64,
        scram_iterations: 16,
        mechanisms: router::mechanisms(&["SCRAM-SHA-1".into(), "PLAIN".into()]),
        plain_without_tls: true,
        exchanges_max: 8,
        exchange_seconds: 60,
        attempts_per_minute: 3,
        registration: true,
        registrations_per_address_per_hour: 100,
        version: "0",
        show_os: false,
        started_ms: 0,
    }
}

impl World {
    /// A router with these accounts at example.com, password `secret`.
    pub async fn new(users: &[&str]) -> World {
        let config = LogConfig { commit_interval: Duration::from_millis(2), ..LogConfig::default() };
        World::with(users, settings(), config).await
    }

    /// The same with these settings.
    pub async fn with(users: &[&str], settings: Settings, config: LogConfig) -> World {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(dir.path(), 16).await.unwrap();
        for user in users {
            let keys = router::credentials("secret", 16).unwrap();
            db.account_add(&jid(&format!("{user}@example.com")), &keys, 0).await.unwrap();
        }
        let local = Arc::new(LocalBus::default());
        let bus = Bus::Local(local.clone());
        let (settle_bus, now) = (bus.clone(), Clock::System);
        let sink = Box::new(move |receipts: Vec<Receipt>| router::settled(&settle_bus, receipts));
        let now_ms = Arc::new(move || now.now_ms());
        let log = Arc::new(MessageLog::open(db.clone(), config, now_ms, sink).await.unwrap());
        let life = Lifecycle::new();
        let (running, stop) = (log.clone(), life.soft().clone());
        life.spawn("log", async move { running.run(stop.cancelled_owned()).await.unwrap() });
        let ports = Ports {
            bus: bus.clone(),
            db: db.clone(),
            log: log.clone(),
            sessions: Arc::new(Sessions::memory(16)),
            clock: Clock::System,
            life: life.clone(),
            fake_key: [7; 32],
            epoch: 1,
        };
        local.attach_owner(Router::new(Shared::new(settings, ports)));
        let gateway = Arc::new(Gateway::default());
        local.attach_gateway(gateway.clone());
        World { bus, db, log, gateway, life, slots: AtomicU32::new(0), _dir: dir }
    }

    /// Has another gateway take what comes from now on.
    #[allow(dead_code, reason = "the bench does")]
    pub fn replace_gateway(&self, gateway: Arc<dyn GatewayPort>) {
        let _ = self.gateway.instead.set(gateway);
    }

    pub fn tell(&self, account: &str, body: OwnerBody) {
        self.bus.to_owner(ToOwner { account: jid(account), body });
    }

    pub fn conn(&self) -> ConnId {
        let slot = self.slots.fetch_add(1, Ordering::Relaxed);
        ConnId { gateway: NodeId(1), slot, generation: 0 }
    }

    /// Takes the first thing a connection was told that `pick` chooses; what was before it is gone.
    pub async fn next<T>(&self, conn: ConnId, mut pick: impl FnMut(&GatewayBody) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let more = self.gateway.more.notified();
                if let Some(told) = self.gateway.told.lock().get_mut(&conn)
                    && let Some((at, found)) =
                        told.iter().enumerate().find_map(|(at, body)| Some((at, pick(body)?)))
                {
                    told.drain(..=at);
                    return found;
                }
                more.await;
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("nothing came; waiting: {:?}", self.gateway.told.lock().get(&conn)))
    }

    /// Binds a resource.
    pub async fn bind(self: &Arc<Self>, full: &str) -> Client {
        let (full, conn) = (jid(full), self.conn());
        let resource = full.resource().map(str::to_owned);
        self.tell(full.bare_str(), OwnerBody::Bind { conn, origin: origin(), resource });
        let bound: Bound = self
            .next(conn, |body| match body {
                GatewayBody::Bound(answer) => Some(answer.clone().unwrap()),
                _ => None,
            })
            .await;
        Client { world: self.clone(), conn, session: bound.session, jid: bound.jid, sent: 0 }
    }

    /// Binds a resource and sends available presence with this priority.
    pub async fn online(self: &Arc<Self>, full: &str, priority: i8) -> Client {
        let mut client = self.bind(full).await;
        client.send(&format!("<presence><priority>{priority}</priority></presence>"));
        // One's own presence comes back (RFC 6121 §4.2.2).
        client.expect(&["<presence", "<priority>"]).await;
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.life.soft().cancel();
    }
}

pub fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        address: "127.0.0.1:1".parse().unwrap(),
        domain: "example.com".into(),
        lang: None,
        tls: None,
    })
}

pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// A bound session, as its gateway would drive it.
pub struct Client {
    pub world: Arc<World>,
    pub conn: ConnId,
    pub session: SessionId,
    pub jid: Jid,
    pub sent: u64,
}

impl Client {
    pub fn say(&self, body: SessionBody) {
        let (conn, session) = (self.conn, self.session);
        self.world.tell(self.jid.bare_str(), OwnerBody::Session { conn, session, body });
    }

    /// Sends a stanza.
    pub fn send(&mut self, xml: &str) {
        self.sent += 1;
        let names = StreamNamespaces::usual(xmpp::framing::Content::Client);
        let Ok(Frame::Stanza(raw)) = parse_frame(xml, &names, &Limits::default()) else {
            panic!("no stanza: {xml}")
        };
        let body = match raw.stamp(&self.jid) {
            Ok(stanza) => SessionBody::Stanza { seq: self.sent, stanza },
            Err((stanza, error)) => SessionBody::Refused { seq: self.sent, stanza, error },
        };
        self.say(body);
    }

    /// The next stanza with all of these in it; earlier ones without are skipped.
    pub async fn expect(&self, parts: &[&str]) -> String {
        self.expect_numbered(parts).await.1
    }

    pub async fn expect_numbered(&self, parts: &[&str]) -> (u64, String) {
        self.world
            .next(self.conn, |body| match body {
                GatewayBody::Deliver { seq, xml } => {
                    let text = String::from_utf8(xml.to_vec()).unwrap();
                    parts.iter().all(|part| text.contains(part)).then_some((*seq, text))
                }
                _ => None,
            })
            .await
    }

    /// Waits until everything sent is confirmed.
    pub async fn confirmed(&self) {
        let sent = self.sent;
        self.world
            .next(self.conn, |body| match body {
                GatewayBody::Confirm { seq } if *seq == sent => Some(()),
                _ => None,
            })
            .await;
    }

    /// The bodies of all messages that came and were not taken, after a round trip to the server.
    pub async fn bodies(&mut self) -> Vec<String> {
        self.send("<iq type='get' id='sync' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>");
        let mut bodies = Vec::new();
        self.world
            .next(self.conn, |body| {
                let GatewayBody::Deliver { xml, .. } = body else { return None };
                let text = String::from_utf8(xml.to_vec()).unwrap();
                if let Some((_, rest)) = text.split_once("<body>") {
                    let body = rest.split_once("</body>").unwrap().0.to_owned();
                    if !bodies.contains(&body) {
                        bodies.push(body);
                    }
                }
                text.contains("id='sync'").then_some(())
            })
            .await;
        bodies
    }

    /// Enables stream management.
    pub async fn manage(&self) {
        self.say(SessionBody::Manage { resume: true, max_seconds: None });
        self.world.next(self.conn, |body| matches!(body, GatewayBody::Managed { .. }).then_some(())).await;
    }

    /// Resumes the session on a new connection; `handled` is what the client had since enabling.
    pub async fn resume(&mut self, handled: u32) -> Resumed {
        self.conn = self.world.conn();
        let (conn, session) = (self.conn, self.session);
        let body = OwnerBody::Resume { conn, origin: origin(), session, handled };
        self.world.tell(self.jid.bare_str(), body);
        self.world
            .next(conn, |body| match body {
                GatewayBody::Resumed(answer) => Some(answer.clone().unwrap()),
                _ => None,
            })
            .await
    }
}
