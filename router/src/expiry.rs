//! When detached sessions end, and what is written now and then.

use crate::shared::Shared;
use bus::SessionId;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use store::AccountId;
use tokio::sync::Notify;
use xmpp::Jid;

/// Sessions by the time at which they end unless they are resumed. An entry is a reminder: the
/// session itself knows whether it is still detached, so resuming removes nothing here. Bounded by
/// the number of times sessions break within the time they are kept.
#[derive(Default)]
pub(crate) struct Expiry {
    heap: Mutex<BinaryHeap<Reverse<(u64, Jid, u128)>>>,
    earlier: Notify,
}

impl Expiry {
    /// Ends the session at that time, if it is detached then.
    pub fn push(&self, at_ms: u64, account: Jid, session: SessionId) {
        let mut heap = self.heap.lock();
        let first = heap.peek().is_none_or(|Reverse((first, ..))| at_ms < *first);
        heap.push(Reverse((at_ms, account, session.0)));
        drop(heap);
        if first {
            self.earlier.notify_one();
        }
    }

    /// The next one that is due, or how long until there is one.
    fn next(&self, now_ms: u64) -> Result<(Jid, SessionId), Option<Duration>> {
        let mut heap = self.heap.lock();
        match heap.peek() {
            None => Err(None),
            Some(Reverse((at_ms, ..))) if *at_ms > now_ms => Err(Some(Duration::from_millis(at_ms - now_ms))),
            Some(_) => {
                let Reverse((_, account, session)) = heap.pop().expect("invariant: just peeked");
                Ok((account, SessionId(session)))
            }
        }
    }

    /// Ends sessions as they become due, until the process drains.
    pub async fn run(shared: Arc<Shared>) {
        loop {
            match shared.expiry.next(shared.clock.now_ms()) {
                Ok((account, session)) => match shared.router() {
                    Some(router) => router.expire(account, session),
                    None => return,
                },
                Err(wait) => {
                    // No entry is due for longer than a day.
                    let wait = wait.unwrap_or(Duration::from_secs(86_400));
                    tokio::select! {
                        () = shared.life.soft().cancelled() => return,
                        () = shared.expiry.earlier.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }
}

/// How long a last activity may stay unwritten. Losing it does no harm.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Last activities (XEP-0012) that are not written yet: a logout costs no transaction of its own.
#[derive(Default)]
pub(crate) struct LastSeen {
    unwritten: Mutex<HashMap<AccountId, (u64, Option<String>)>>,
    some: Notify,
}

impl LastSeen {
    /// Notes that the account was available until now.
    pub fn note(&self, account: AccountId, at_ms: u64, status: Option<String>) {
        self.unwritten.lock().insert(account, (at_ms, status));
        self.some.notify_one();
    }

    /// What is noted and not written.
    pub fn get(&self, account: AccountId) -> Option<(u64, Option<String>)> {
        self.unwritten.lock().get(&account).cloned()
    }

    /// Writes now and then, and once more when the process drains.
    pub async fn run(shared: Arc<Shared>) {
        loop {
            tokio::select! {
                () = shared.life.soft().cancelled() => {}
                () = shared.last_seen.some.notified() => {
                    tokio::select! {
                        () = shared.life.soft().cancelled() => {}
                        () = tokio::time::sleep(WRITE_EVERY) => {}
                    }
                }
            }
            shared.last_seen.write(&shared).await;
            if shared.life.soft().is_cancelled() {
                return;
            }
        }
    }

    async fn write(&self, shared: &Shared) {
        let batch: Vec<_> = {
            let unwritten = self.unwritten.lock();
            unwritten.iter().map(|(id, (at, status))| (*id, *at, status.clone())).collect()
        };
        if batch.is_empty() {
            return;
        }
        if let Err(error) = shared.db.last_activity_put(&batch).await {
            tracing::warn!(%error, "cannot write last activities; trying again later");
            return;
        }
        let mut unwritten = self.unwritten.lock();
        for (id, at, _) in batch {
            if unwritten.get(&id).is_some_and(|(newer, _)| *newer == at) {
                unwritten.remove(&id);
            }
        }
    }
}
