//! The committer: group commit on a thread of its own, since it does little but wait for the
//! disk; and the task beside it that settles.

use super::journal::JournalFiles;
use super::record::Sealed;
use super::{Core, MessageLog};
use crate::StoreError;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Pause after the disk or the database failed; it doubles from the first to the second.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Time between two looks for entries that are too old.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(3600);

/// What the journal holds that is not settled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Journal {
    /// The last commit.
    pub(super) through: u64,
    /// Size of all that are not settled.
    pub(super) bytes: usize,
}

/// The files, and the batch that is on its way into them.
pub(super) struct Committer {
    pub(super) files: JournalFiles,
    /// It has left the tails and is not known to be stored.
    pub(super) under_way: Option<Sealed>,
}

impl Committer {
    pub(super) fn new(files: JournalFiles) -> Committer {
        Committer { files, under_way: None }
    }
}

/// Those who wait, by commit. There are two at most: the one under way and the open one.
pub(super) struct Waiters<W> {
    queues: VecDeque<(u64, Vec<W>)>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Waiters<W> {
        Waiters { queues: VecDeque::new() }
    }
}

impl<W> Waiters<W> {
    pub(super) fn push(&mut self, commit: u64, waiter: W) {
        let place = self.queues.partition_point(|(known, _)| *known < commit);
        if self.queues.get(place).is_none_or(|(known, _)| *known != commit) {
            self.queues.insert(place, (commit, Vec::new()));
        }
        self.queues[place].1.push(waiter);
    }

    fn take(&mut self, through: u64) -> Vec<W> {
        let mut ready = Vec::new();
        while self.queues.front().is_some_and(|(commit, _)| *commit <= through) {
            let waiters = self.queues.pop_front().map(|(_, waiters)| waiters).unwrap_or_default();
            if ready.is_empty() { ready = waiters } else { ready.extend(waiters) }
        }
        ready
    }
}

/// Ends the committer's thread, also when the task that began it is dropped.
#[derive(Default)]
struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn is_set(&self) -> bool {
        *self.is_set.lock()
    }

    /// Sleeps; returns early when it is set.
    fn pause(&self, time: Duration) {
        let mut is_set = self.is_set.lock();
        if !*is_set {
            self.changed.wait_for(&mut is_set, time);
        }
    }
}

struct StopOnDrop<'a>(&'a Stop, &'a Core);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.is_set.lock() = true;
        self.0.changed.notify_all();
        // Under the lock: the thread has either not looked yet or is waiting.
        let _batch = self.1.tails.batch();
        self.1.tails.work.notify_all();
    }
}

/// When the task has to do something that nobody calls for.
#[derive(Default)]
struct Timers {
    settle: Option<Instant>,
    expire: Option<Instant>,
    /// Nothing is tried before this: the database failed.
    retry: Option<Instant>,
    pause: Pause,
}

/// A growing pause.
#[derive(Default)]
struct Pause(Duration);

impl Pause {
    fn failed(&mut self, what: &str, error: &StoreError) -> Duration {
        self.0 = (self.0 * 2).clamp(RETRY_FIRST, RETRY_MAX);
        tracing::error!(%error, pause_ms = self.0.as_millis() as u64, "{what} failed; trying again");
        self.0
    }
}

impl Timers {
    fn failed(&mut self, what: &str, error: &StoreError) {
        self.retry = Some(Instant::now() + self.pause.failed(what, error));
    }

    fn succeeded(&mut self) {
        self.pause = Pause::default();
        self.retry = None;
    }

    fn next(&self) -> Option<Instant> {
        let timer = [self.settle, self.expire].into_iter().flatten().min()?;
        Some(self.retry.map_or(timer, |retry| timer.max(retry)))
    }
}

fn is_due(timer: Option<Instant>) -> bool {
    timer.is_some_and(|at| at <= Instant::now())
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl<W: Send + 'static> MessageLog<W> {
    /// Commits and settles until `shutdown`, then commits and settles what is left. While there is
    /// nothing to do it sleeps without a timer. Must not run twice at a time.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: another process has taken over, this one must stop. Every other
    /// failure of the disk and the database is tried again for ever; nothing is lost meanwhile.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) -> Result<(), StoreError> {
        let stop = Arc::new(Stop::default());
        let committer = tokio::task::spawn_blocking({
            let (log, stop) = (self.clone(), stop.clone());
            move || log.commit_until(&stop)
        });
        let settled = {
            let _stop = StopOnDrop(&stop, &self.core);
            self.core.keep_house(shutdown).await
        };
        let _ = committer.await;
        settled?;
        let mut pause = Pause::default();
        while let Err(error) = self.flush().await {
            sleep(pause.failed("the last commit of the message log", &error)).await;
        }
        // All of it is in the database now: a copy of that alone is a complete backup.
        if let Err(error) = self.core.settle().await {
            tracing::warn!(%error, "the journal stays for the next start: settling failed");
        }
        Ok(())
    }

    /// Commits all that was appended before the call. It waits for the disk on this thread.
    ///
    /// # Errors
    /// The disk's. The batch is kept: a later commit writes it.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let through = {
            let batch = self.core.tails.batch();
            if batch.records > 0 { batch.commit } else { batch.commit - 1 }
        };
        while self.core.committed.load(Ordering::Acquire) < through {
            self.commit()?;
        }
        Ok(())
    }

    /// The committer's thread.
    fn commit_until(&self, stop: &Stop) {
        while self.core.wait_for_work(stop) {
            let mut pause = Pause::default();
            while let Err(error) = self.commit() {
                stop.pause(pause.failed("a commit of the message log", &error));
                if stop.is_set() {
                    return;
                }
            }
        }
    }

    /// Commits one batch: the one that failed before, else the open one.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        let core = &self.core;
        let mut committer = self.committer.lock();
        let Committer { files, under_way } = &mut *committer;
        if under_way.is_none() {
            *under_way = core.tails.batch().take();
        }
        let Some(batch) = under_way.as_mut() else { return Ok(()) };
        let (commit, len) = (batch.commit, batch.len);
        let settling = core.tails.settling.load(Ordering::Acquire);
        files.write(commit, batch.frame(), settling, core.settled.load(Ordering::Acquire))?;
        *under_way = None;
        core.tails.uncommitted.fetch_sub(len, Ordering::Relaxed);
        core.committed(commit, len);
        let ready = self.waiters.lock().take(commit);
        if !ready.is_empty() {
            // Still under the lock of the committer: those who wait are told in order.
            (self.sink)(ready);
        }
        Ok(())
    }
}

impl Core {
    /// Waits until a commit is due. False when there is to be none any more.
    fn wait_for_work(&self, stop: &Stop) -> bool {
        let mut batch = self.tails.batch();
        while batch.appends == 0 {
            if stop.is_set() {
                return false;
            }
            if batch.records == 0 {
                self.tails.work.wait(&mut batch);
            } else if self.tails.work.wait_for(&mut batch, self.config.lazy_commit_interval).timed_out() {
                return true;
            }
        }
        drop(batch);
        stop.pause(self.config.commit_interval);
        true
    }

    /// A batch is durable.
    fn committed(&self, commit: u64, len: usize) {
        let was_empty = {
            let mut journal = self.journal.lock();
            let was_empty = journal.bytes == 0;
            journal.through = commit;
            journal.bytes += len;
            was_empty
        };
        self.committed.store(commit, Ordering::Release);
        if was_empty || self.is_half_full() {
            self.work.notify_one();
        }
    }

    /// Settles and expires until `shutdown`.
    async fn keep_house(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), StoreError> {
        let mut shutdown = pin!(shutdown);
        let mut timers = Timers {
            // What an earlier run left is old enough.
            settle: self.has_journal().then(Instant::now),
            expire: self.expires().then(|| Instant::now() + EXPIRE_INTERVAL),
            ..Timers::default()
        };
        loop {
            self.do_what_is_due(&mut timers).await?;
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = self.work.notified() => {}
                () = sleep_until_some(timers.next()) => {}
            }
        }
    }

    async fn do_what_is_due(&self, timers: &mut Timers) -> Result<(), StoreError> {
        if timers.retry.is_some_and(|retry| retry > Instant::now()) {
            return Ok(());
        }
        if is_due(timers.settle) || self.is_half_full() {
            match self.settle().await {
                Ok(()) => {
                    timers.settle = None;
                    timers.succeeded();
                }
                Err(StoreError::Fenced) => {
                    self.is_fenced.store(true, Ordering::Relaxed);
                    return Err(StoreError::Fenced);
                }
                Err(error) => {
                    timers.settle = Some(Instant::now());
                    timers.failed("settling the message log", &error);
                }
            }
        }
        if self.has_journal() {
            timers.settle.get_or_insert_with(|| Instant::now() + self.config.settle_after);
        }
        if is_due(timers.expire) {
            timers.expire = Some(Instant::now() + EXPIRE_INTERVAL);
            if let Err(error) = self.expire().await {
                timers.failed("removing old messages", &error);
            }
        }
        Ok(())
    }

    pub(super) fn has_journal(&self) -> bool {
        self.journal.lock().bytes > 0
    }

    fn is_half_full(&self) -> bool {
        let half = self.config.journal_bytes_max / 2;
        let journal = self.journal.lock().bytes;
        journal >= half || journal > 0 && self.tails.bytes.load(Ordering::Relaxed) >= half
    }
}
