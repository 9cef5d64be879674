//! The message log: the archive is the queue.
//!
//! A message is appended once per account. What no session has taken yet is the account's offline
//! queue; all of it is its archive (XEP-0313).
//!
//! **Life of an entry.** [`MessageLog::append`] puts it into the open *batch* (bytes of the next
//! commit) and into the account's *tail* (memory), and returns at once. Every few milliseconds the
//! committer writes the batch as one frame of the *journal* (two files): now the message is
//! durable and those who wait for it ([`MessageLog::when_committed`]) are told. Later, in bulk,
//! *settling* moves entries from the tails into chunks in the database, one per account, and notes
//! in the same transaction up to which commit the journal is not needed any more. Readers merge
//! chunks and tail. After a crash the journal's frames become tails again.
//!
//! **Why files.** A commit of one statement cost twice the CPU of a write and a sync, most of it
//! in pages that settling deleted again; and there are up to fifty a second.
//!
//! **What holds.** Ids grow in the order of the log. A batch is written whole or not at all, and
//! in order. An entry is in the tail until the settling that wrote it to a chunk is committed, so
//! a reader who looks at the tail first and the chunks second misses nothing. An entry that was
//! delivered may be found pending again after a crash, under the same id (I3).
//!
//! In reading order: `id`, `wire` (bytes), `record` (the batch), `tail` (memory), `journal`,
//! `commit`, `chunk` and `settle`, `read`, `recover`, `retention`, `sql` (every statement).

mod chunk;
mod commit;
mod id;
mod journal;
mod read;
mod record;
mod recover;
mod retention;
mod settle;
mod sql;
mod tail;
mod wire;

pub use id::{LogId, LogIdText};
pub use read::{LogPage, PageQuery};

use crate::{AccountId, Db, StoreError};
use bytes::Bytes;
use commit::{Committer, Journal, Waiters};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tail::Tails;
use tokio::sync::{Notify, OwnedMutexGuard};
use xmpp::Jid;

/// How the log works.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Time from the first append of a batch to its commit.
    pub commit_interval: Duration,
    /// Time after which a batch is committed that nobody waits for: one with nothing but notes of
    /// what sessions took.
    pub lazy_commit_interval: Duration,
    /// Time an entry stays in the journal and in memory.
    pub settle_after: Duration,
    /// Bound of the memory of all tails, and about that of the journal. Half of it starts a settling.
    pub journal_bytes_max: usize,
    /// Bound of what waits for a commit.
    pub log_bytes_max: usize,
    /// How long settled entries are kept.
    pub retention: Retention,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            commit_interval: Duration::from_millis(20),
            lazy_commit_interval: Duration::from_secs(5),
            settle_after: Duration::from_secs(30),
            journal_bytes_max: 16 << 20,
            log_bytes_max: 64 << 20,
            retention: Retention::Forever,
        }
    }
}

/// How long settled entries are kept. One that is pending is kept whatever its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Until sessions have taken them: there is no archive.
    UntilDelivered,
    /// So many days.
    Days(u32),
    /// For ever.
    Forever,
}

/// What to append.
#[derive(Debug, Clone)]
pub struct Append {
    /// The other side; its bare JID is stored.
    pub peer: Jid,
    /// The stanza. Give the sender's and the recipient's append the same buffer: it is then
    /// written once.
    pub stanza: Bytes,
    /// Whether it waits for a session to take it ([`MessageLog::delivered`]).
    pub pending: bool,
    /// Whether the account sent it.
    pub outgoing: bool,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The entry's name, also its stanza-id.
    pub id: LogId,
    /// The commit that makes it durable: for [`MessageLog::when_committed`].
    pub commit: u64,
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name; [`LogId::time_ms`] is when it was appended.
    pub id: LogId,
    /// The other side's bare JID.
    pub peer: Jid,
    /// Whether the account sent it.
    pub outgoing: bool,
    /// The stanza.
    pub stanza: Bytes,
}

/// Says what time it is, in milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Is given those whose commit is durable, in the order they came.
pub type Sink<W> = Box<dyn Fn(Vec<W>) + Send + Sync>;

/// The message log. `W` is whatever waits for commits.
pub struct MessageLog<W> {
    core: Core,
    waiters: Mutex<Waiters<W>>,
    /// Held by whoever commits.
    committer: Mutex<Committer>,
    sink: Sink<W>,
}

/// What does not depend on who waits.
struct Core {
    db: Db,
    config: LogConfig,
    now_ms: NowMs,
    /// Names this run in the database.
    writer: i64,
    tails: Tails,
    /// The last durable commit.
    committed: AtomicU64,
    /// The last commit that is settled.
    settled: AtomicU64,
    journal: Mutex<Journal>,
    /// Wakes the task that settles.
    work: Notify,
    /// Held by whoever settles or deletes.
    settling: Arc<tokio::sync::Mutex<()>>,
    is_fenced: AtomicBool,
}

impl<W> fmt::Debug for MessageLog<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageLog(committed {})", self.core.committed.load(Ordering::Relaxed))
    }
}

impl<W: Send + 'static> MessageLog<W> {
    /// Opens the log: fences whoever wrote it before and reads back what was not settled. Nothing
    /// is committed until [`MessageLog::run`] runs. `sink` is called between commits, on the
    /// committer's thread: it must be quick and not block.
    ///
    /// # Errors
    /// [`StoreError::Format`] when a newer version wrote the journal, and the database's.
    pub async fn open(
        db: Db,
        config: LogConfig,
        now_ms: NowMs,
        sink: Sink<W>,
    ) -> Result<MessageLog<W>, StoreError> {
        let (core, committer) = Core::recover(db, config, now_ms).await?;
        Ok(MessageLog { core, waiters: Mutex::default(), committer: Mutex::new(committer), sink })
    }

    /// Appends to an account's log. Never fails and never waits: a caller that has the choice
    /// looks at [`MessageLog::backlogged`] first.
    pub fn append(&self, account: AccountId, append: Append) -> Appended {
        self.core.tails.append(account, append, (self.core.now_ms)())
    }

    /// A session has taken the entry: it is no longer pending. This reaches the disk with a later
    /// commit and causes none for a while.
    pub fn delivered(&self, account: AccountId, id: LogId) {
        self.core.tails.delivered(account, id);
    }

    /// Has the sink called with `waiter` when this commit is durable. Gives it back when it is
    /// already: the caller goes on at once. Commit 0 is durable by definition.
    pub fn when_committed(&self, commit: u64, waiter: W) -> Option<W> {
        let skips_commit = cfg!(feature = "fault-injection");
        if skips_commit || commit <= self.core.committed.load(Ordering::Acquire) {
            return Some(waiter);
        }
        let mut waiters = self.waiters.lock();
        // Again under the lock, which the committer takes after it has moved the number.
        if commit <= self.core.committed.load(Ordering::Acquire) {
            return Some(waiter);
        }
        waiters.push(commit, waiter);
        None
    }

    /// Whether so much waits for the database that nothing new should be accepted (I7).
    pub fn backlogged(&self) -> bool {
        let core = &self.core;
        core.tails.uncommitted.load(Ordering::Relaxed) >= core.config.log_bytes_max
            || core.tails.bytes.load(Ordering::Relaxed) >= core.config.journal_bytes_max
            || core.is_fenced.load(Ordering::Relaxed)
    }

    /// Bytes of memory that entries hold which are not settled.
    pub fn tail_bytes(&self) -> usize {
        self.core.tails.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that wait for a commit.
    pub fn uncommitted_bytes(&self) -> usize {
        self.core.tails.uncommitted.load(Ordering::Relaxed)
    }

    /// Forgets an account that is being deleted. No settling takes place until the guard is
    /// dropped, so the caller can remove its rows.
    pub(crate) async fn forget(&self, account: AccountId) -> OwnedMutexGuard<()> {
        let settling = self.core.settling.clone().lock_owned().await;
        self.core.tails.forget(account);
        settling
    }
}

#[cfg(test)]
mod tests;
