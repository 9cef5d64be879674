//! The executor: brings work to accounts, one piece at a time.
//!
//! An account is a slot of its partition. Work for it is handled under the partition's lock; while
//! the account waits for I/O, or for what it sent to other accounts to be taken there, its slot
//! is *held* and further work queues behind. That gives each account its own order of events (I2)
//! without a task or a channel for each, and a chat message between two accounts of one process is
//! handled from socket to socket in one call.
//!
//! The queue of a slot is bounded by the windows of the sessions that sent what is in it (I7).

use crate::account::Account;
use crate::auth;
use crate::context::{Action, Source, Then};
use crate::expiry::{Expiry, LastSeen};
use crate::shared::Shared;
use crate::turn::{self, Outcome, Turn};
use bus::envelope::{OwnerBody, Receipt};
use bus::partition::partition;
use bus::{Bus, OwnerPort, ToOwner};
use parking_lot::{Mutex, MutexGuard};
use runtime::metrics;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use xmpp::stanza::{Kind, PresenceType};
use xmpp::{Jid, Stanza};

/// First pause before an account is read again after an error of the database; it doubles.
const LOAD_RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest such pause.
const LOAD_RETRY_MAX: Duration = Duration::from_secs(5);

/// The owner of partitions.
pub struct Router {
    pub(crate) shared: Arc<Shared>,
    partitions: Box<[Mutex<Partition>]>,
    idle_max: usize,
}

/// One partition.
#[derive(Default)]
pub(crate) struct Partition {
    slots: HashMap<Jid, Slot>,
    /// Logins under way and failed ones.
    pub(crate) logins: auth::Logins,
    /// Kept between turns, so that a turn allocates no list.
    scratch: Vec<Action>,
}

/// An account's place in its partition.
struct Slot {
    known: Known,
    /// The account waits; work queues.
    held: bool,
    queue: VecDeque<Work>,
}

/// What is known of an account.
pub(crate) enum Known {
    /// Being read from the database.
    Loading,
    /// There is no such account.
    Missing,
    /// There is.
    Loaded(Box<Account>),
}

/// One piece of work for an account.
pub(crate) enum Work {
    /// From the bus.
    Envelope(OwnerBody),
    /// A job is done.
    Done(Then, Source, Receipt),
}

/// Done before an account is read (again).
pub(crate) type Before = Pin<Box<dyn Future<Output = ()> + Send>>;

impl OwnerPort for Router {
    fn receive(&self, envelope: ToOwner) {
        self.enter(envelope.account, Work::Envelope(envelope.body));
    }
}

impl Router {
    /// A router that owns every partition.
    pub fn new(shared: Arc<Shared>) -> Arc<Router> {
        let count = shared.settings.partitions as usize;
        let idle_max = (shared.settings.accounts_cached_max / count).max(4);
        let partitions = (0..count).map(|_| Mutex::default()).collect();
        let router = Arc::new(Router { shared: shared.clone(), partitions, idle_max });
        shared.attach(&router);
        shared.life.spawn("sessions", Expiry::run(shared.clone()));
        shared.life.spawn("last activity", LastSeen::run(shared.clone()));
        router
    }

    fn partition(&self, account: &str) -> &Mutex<Partition> {
        &self.partitions[partition(account, self.shared.settings.partitions) as usize]
    }

    fn enter(&self, account: Jid, work: Work) {
        debug_assert!(account.is_bare());
        let mutex = self.partition(account.as_str());
        let mut guard = mutex.lock();
        match guard.slots.get_mut(account.as_str()) {
            Some(slot) if slot.held => slot.queue.push_back(work),
            Some(_) => self.run(mutex, guard, &account, work),
            None => {
                if let Work::Envelope(OwnerBody::Routed { stanza, receipt }) = &work
                    && is_for_sessions_only(stanza.kind())
                {
                    // An account that is not loaded has no session that could get it.
                    let receipt = receipt.clone();
                    drop(guard);
                    return self.settle(receipt);
                }
                guard.make_room(self.idle_max);
                let slot = Slot { known: Known::Loading, held: true, queue: VecDeque::from([work]) };
                guard.slots.insert(account.clone(), slot);
                drop(guard);
                self.load(account, None);
            }
        }
    }

    /// Reads an account, whose slot is held, and then does what queued up for it.
    fn load(&self, account: Jid, before: Option<Before>) {
        let Some(router) = self.shared.router() else { return };
        self.shared.life.spawn_connection(async move {
            if let Some(before) = before {
                before.await;
            }
            let known = router.read(&account).await;
            let mutex = router.partition(account.as_str());
            let mut guard = mutex.lock();
            if let Some(slot) = guard.slots.get_mut(account.as_str()) {
                slot.known = known;
            }
            router.release(mutex, guard, &account);
        });
    }

    /// Reads an account, until the database answers.
    async fn read(&self, account: &Jid) -> Known {
        let mut pause = LOAD_RETRY_FIRST;
        loop {
            let start = self.shared.clock.instant();
            let loaded = self.shared.db.account_load(&self.shared.log, account).await;
            metrics::ROUTER_LOAD_SECONDS.record(self.shared.clock.instant().saturating_duration_since(start));
            match loaded {
                Ok(Some(loaded)) => return Known::Loaded(Box::new(Account::new(account.clone(), loaded))),
                Ok(None) => return Known::Missing,
                Err(error) => tracing::error!(%account, %error, "cannot read an account; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOAD_RETRY_MAX);
        }
    }

    /// The account waits no more: does what queued up.
    fn release(&self, mutex: &Mutex<Partition>, mut guard: MutexGuard<'_, Partition>, account: &Jid) {
        let Some(slot) = guard.slots.get_mut(account.as_str()) else { return };
        slot.held = false;
        if let Some(work) = slot.queue.pop_front() {
            self.run(mutex, guard, account, work);
        }
    }

    /// Handles work, and what queues up behind it, for an account that is not held.
    fn run<'a>(
        &self,
        mutex: &'a Mutex<Partition>,
        mut guard: MutexGuard<'a, Partition>,
        account: &Jid,
        work: Work,
    ) {
        let mut next = Some(work);
        while let Some(work) = next {
            let outcome = self.turn(&mut guard, account, work);
            if !outcome.is_empty() {
                guard.hold(account);
                drop(guard);
                if self.perform_unlocked(account, outcome) {
                    return;
                }
                guard = mutex.lock();
            }
            next = guard.slots.get_mut(account.as_str()).and_then(|slot| {
                slot.held = false;
                slot.queue.pop_front()
            });
        }
    }

    /// Handles one piece of work under the lock.
    fn turn(&self, partition: &mut Partition, account: &Jid, work: Work) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(slot) = partition.slots.get_mut(account.as_str()) else { return outcome };
        match (&mut slot.known, work) {
            (known, Work::Envelope(OwnerBody::Sasl { conn, origin, step })) => {
                let state = match known {
                    Known::Loaded(state) => Some(&**state),
                    _ => None,
                };
                partition.logins.step(&self.shared, account, state, conn, &origin, step);
            }
            (Known::Loaded(state), work) => {
                let mut turn = Turn::new(&self.shared, state, &mut partition.scratch, &mut outcome);
                turn.handle(work);
                if turn.gone {
                    slot.known = Known::Missing;
                }
            }
            (_, Work::Envelope(body)) => turn::for_missing(&self.shared, account, body, &mut outcome),
            (_, Work::Done(_, _, receipt)) => outcome.settle = Some(receipt),
        }
        outcome
    }

    /// What must happen without the lock. True when the account stays held.
    fn perform_unlocked(&self, account: &Jid, outcome: Outcome) -> bool {
        for (stanza, receipt) in outcome.routes {
            self.route(stanza, receipt);
        }
        if let Some(receipt) = outcome.settle {
            self.settle(receipt);
        }
        if let Some(before) = outcome.load {
            self.load(account.clone(), Some(before));
            return true;
        }
        let Some((job, source, receipt)) = outcome.job else { return false };
        let Some(router) = self.shared.router() else { return true };
        let account = account.clone();
        let work = job(self.shared.clone());
        self.shared.life.spawn_connection(async move {
            let then = work.await;
            let mutex = router.partition(account.as_str());
            let guard = mutex.lock();
            router.run(mutex, guard, &account, Work::Done(then, source, receipt));
        });
        true
    }

    /// Sends a stanza to the inbound side of its `to`.
    pub(crate) fn route(&self, stanza: Stanza, receipt: Receipt) {
        let Some(to) = stanza.to() else { return self.settle(receipt) };
        let envelope = ToOwner { account: to.to_bare(), body: OwnerBody::Routed { stanza, receipt } };
        self.shared.bus.to_owner(envelope);
    }

    /// The effect of a stanza is complete; once it is durable its sender is told.
    pub(crate) fn settle(&self, receipt: Receipt) {
        let Receipt::Session { commit, .. } = receipt else { return };
        if let Some(Receipt::Session { account, session, seq, .. }) =
            self.shared.log.when_committed(commit, receipt)
        {
            self.shared.bus.to_owner(ToOwner { account, body: OwnerBody::Settled { session, seq } });
        }
    }

    /// A password was wrong.
    pub(crate) fn login_failed(&self, account: &Jid) {
        let now_ms = self.shared.clock.now_ms();
        self.partition(account.as_str()).lock().logins.failed(account, now_ms);
    }

    /// A session's time without a connection is over.
    pub(crate) fn expire(&self, account: Jid, session: bus::SessionId) {
        let then: Then = Box::new(move |ctx| crate::sessions::expire(ctx, session));
        self.enter(account, Work::Done(then, Source::Routed, Receipt::None));
    }
}

impl Partition {
    fn hold(&mut self, account: &Jid) {
        if let Some(slot) = self.slots.get_mut(account.as_str()) {
            slot.held = true;
        }
    }

    /// Forgets accounts that nobody uses when there are too many.
    fn make_room(&mut self, idle_max: usize) {
        if self.slots.len() < idle_max {
            return;
        }
        let in_use = |slot: &Slot| {
            slot.held || matches!(&slot.known, Known::Loaded(account) if !account.sessions.is_empty())
        };
        let idle = self.slots.values().filter(|slot| !in_use(slot)).count();
        if idle >= idle_max {
            self.slots.retain(|_, slot| in_use(slot));
        }
    }
}

/// Whether a stanza means nothing to an account without sessions.
fn is_for_sessions_only(kind: Kind) -> bool {
    use PresenceType as P;
    // A probe may be left unanswered when there is no resource (RFC 6121 §4.3.2).
    matches!(kind, Kind::Presence(P::Available | P::Unavailable | P::Error | P::Probe))
}

/// The log's sink: the commit that these waited for is durable, and their senders may be told.
pub fn settled(bus: &Bus, receipts: Vec<Receipt>) {
    for receipt in receipts {
        if let Receipt::Session { account, session, seq, .. } = receipt {
            bus.to_owner(ToOwner { account, body: OwnerBody::Settled { session, seq } });
        }
    }
}
