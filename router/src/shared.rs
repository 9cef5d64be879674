//! What all partitions of a router share: the ports to the rest of the system.

use crate::executor::Router;
use crate::expiry::{Expiry, LastSeen};
use crate::registrations::Registrations;
use crate::settings::Settings;
use bus::Bus;
use bus::envelope::Receipt;
use bus::partition::partition;
use runtime::{Clock, Lifecycle};
use std::sync::{Arc, OnceLock, Weak};
use store::Db;
use store::log::MessageLog;
use store::sessions::{Fence, SessionRecord, Sessions};
use tokio::sync::Semaphore;
use xmpp::Jid;

/// Password hashings under way at once: they are slow on purpose and must not take every core.
const HASHING_MAX: usize = 2;

/// What a router is given.
pub struct Ports {
    /// To gateways and other owners.
    pub bus: Bus,
    /// Accounts, rosters.
    pub db: Db,
    /// Messages.
    pub log: Arc<MessageLog<Receipt>>,
    /// The session store.
    pub sessions: Arc<Sessions>,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub life: Lifecycle,
    /// Key of the fake salts that unknown users get (RFC 5802 §9): the same on every node.
    pub fake_key: [u8; 32],
    /// Epoch under which this node owns its partitions (I4).
    pub epoch: u64,
}

/// The ports, and what the partitions share besides.
pub struct Shared {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) db: Db,
    pub(crate) log: Arc<MessageLog<Receipt>>,
    sessions: Arc<Sessions>,
    pub(crate) clock: Clock,
    pub(crate) life: Lifecycle,
    pub(crate) fake_key: [u8; 32],
    epoch: u64,
    pub(crate) hashing: Semaphore,
    pub(crate) expiry: Expiry,
    pub(crate) registrations: Registrations,
    pub(crate) last_seen: LastSeen,
    router: OnceLock<Weak<Router>>,
}

impl Shared {
    /// Joins what a router is given.
    pub fn new(settings: Settings, ports: Ports) -> Arc<Shared> {
        Arc::new(Shared {
            settings,
            bus: ports.bus,
            db: ports.db,
            log: ports.log,
            sessions: ports.sessions,
            clock: ports.clock,
            life: ports.life,
            fake_key: ports.fake_key,
            epoch: ports.epoch,
            hashing: Semaphore::new(HASHING_MAX),
            expiry: Expiry::default(),
            registrations: Registrations::default(),
            last_seen: LastSeen::default(),
            router: OnceLock::new(),
        })
    }

    /// The router these ports belong to.
    pub(crate) fn router(&self) -> Option<Arc<Router>> {
        self.router.get().and_then(Weak::upgrade)
    }

    pub(crate) fn attach(&self, router: &Arc<Router>) {
        let _ = self.router.set(Arc::downgrade(router));
    }

    fn fence(&self, account: &Jid) -> Fence {
        let partition = partition(account.bare_str(), self.settings.partitions);
        Fence { partition, epoch: self.epoch }
    }

    /// Lists a session, or lists it anew.
    pub(crate) fn list_session(&self, record: SessionRecord) {
        if let Err(error) = self.sessions.put(self.fence(&record.jid), record) {
            tracing::warn!(%error, "a session was not listed");
        }
    }

    /// Lists a session no longer.
    pub(crate) fn unlist_session(&self, jid: &Jid, session: u128) {
        if let Err(error) = self.sessions.remove(self.fence(jid), jid, session) {
            tracing::warn!(%error, "a session was not unlisted");
        }
    }
}

/// Random bits from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("invariant: the operating system gives random bytes");
    bytes
}
