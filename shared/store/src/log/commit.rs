//! The committer: group commit, and when to settle.

use super::{Core, MessageLog, sql};
use crate::StoreError;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Pause after the database failed; it doubles from the first to the second.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Time between two looks for entries that are too old.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(3600);

/// What the journal holds that is not settled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Journal {
    /// The last row.
    pub(super) through: u64,
    /// Size of all rows.
    pub(super) bytes: usize,
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

/// When the committer has to do something that nobody calls for.
#[derive(Default)]
struct Timers {
    lazy_commit: Option<Instant>,
    settle: Option<Instant>,
    expire: Option<Instant>,
    /// Nothing is tried before this: the database failed.
    retry: Option<Instant>,
    pause: Duration,
}

impl Timers {
    fn failed(&mut self, what: &str, error: &StoreError) {
        self.pause = (self.pause * 2).clamp(RETRY_FIRST, RETRY_MAX);
        self.retry = Some(Instant::now() + self.pause);
        tracing::error!(%error, pause_ms = self.pause.as_millis() as u64, "{what} failed; trying again");
    }

    fn succeeded(&mut self) {
        self.pause = Duration::ZERO;
        self.retry = None;
    }

    fn next(&self) -> Option<Instant> {
        let timer = [self.lazy_commit, self.settle, self.expire].into_iter().flatten().min()?;
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
    /// Commits and settles until `shutdown`, then commits what is left. While there is nothing to
    /// do it sleeps without a timer.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: another process has taken over, this one must stop. Every other
    /// failure of the database is tried again for ever, and nothing is lost meanwhile.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) -> Result<(), StoreError> {
        let mut shutdown = pin!(shutdown);
        let core = &self.core;
        let mut timers = Timers {
            // What an earlier run left is old enough.
            settle: core.has_journal().then(Instant::now),
            expire: core.expires().then(|| Instant::now() + EXPIRE_INTERVAL),
            ..Timers::default()
        };
        loop {
            if core.has_appends() || self.is_under_way() {
                let due = Instant::now() + core.config.commit_interval;
                let due = timers.retry.map_or(due, |retry| due.max(retry));
                tokio::select! {
                    () = &mut shutdown => break,
                    () = sleep_until(due) => self.try_commit(&mut timers).await?,
                }
            } else if core.has_records() {
                timers.lazy_commit.get_or_insert_with(|| Instant::now() + core.config.lazy_commit_interval);
            }
            self.keep_house(&mut timers).await?;
            if core.has_appends() || self.is_under_way() {
                continue;
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = core.work.notified() => {}
                () = sleep_until_some(timers.next()) => {}
            }
        }
        while let Err(error) = self.flush().await {
            if matches!(error, StoreError::Fenced) {
                return Err(error);
            }
            timers.failed("the last commit of the message log", &error);
            sleep(timers.pause).await;
        }
        Ok(())
    }

    /// Commits all that was appended before the call.
    ///
    /// # Errors
    /// The database's. The batch is kept: a later commit writes it.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let through = {
            let batch = self.core.tails.batch();
            if batch.records > 0 { batch.commit } else { batch.commit - 1 }
        };
        while self.core.committed.load(Ordering::Acquire) < through {
            // On a failure run() tries again, which may be asleep.
            self.commit().await.inspect_err(|_| self.core.work.notify_one())?;
        }
        Ok(())
    }

    /// Does what is due beside commits with appends in them.
    async fn keep_house(&self, timers: &mut Timers) -> Result<(), StoreError> {
        let core = &self.core;
        if timers.retry.is_some_and(|retry| retry > Instant::now()) {
            return Ok(());
        }
        if is_due(timers.lazy_commit) {
            self.try_commit(timers).await?;
        }
        if is_due(timers.settle) || core.is_half_full() {
            match core.settle().await {
                Ok(()) => {
                    timers.settle = None;
                    timers.succeeded();
                }
                Err(error) => {
                    timers.settle = Some(Instant::now());
                    self.check(timers, "settling the message log", error)?;
                }
            }
        }
        if core.has_journal() {
            timers.settle.get_or_insert_with(|| Instant::now() + core.config.settle_after);
        }
        if is_due(timers.expire) {
            timers.expire = Some(Instant::now() + EXPIRE_INTERVAL);
            if let Err(error) = core.expire().await {
                self.check(timers, "removing old messages", error)?;
            }
        }
        Ok(())
    }

    async fn try_commit(&self, timers: &mut Timers) -> Result<(), StoreError> {
        timers.lazy_commit = None;
        match self.commit().await {
            Ok(()) => timers.succeeded(),
            Err(error) => self.check(timers, "a commit of the message log", error)?,
        }
        Ok(())
    }

    /// Notes a failure that may pass, hands on one that cannot.
    fn check(&self, timers: &mut Timers, what: &str, error: StoreError) -> Result<(), StoreError> {
        if matches!(error, StoreError::Fenced) {
            self.core.is_fenced.store(true, Ordering::Relaxed);
            return Err(error);
        }
        timers.failed(what, &error);
        Ok(())
    }

    /// Whether a batch was taken but is not known to be stored.
    fn is_under_way(&self) -> bool {
        self.committing.try_lock().is_ok_and(|under_way| under_way.is_some())
    }

    /// Commits one batch: the one that failed before, else the open one.
    pub(super) async fn commit(&self) -> Result<(), StoreError> {
        let core = &self.core;
        let mut under_way = self.committing.lock().await;
        if under_way.is_none() {
            *under_way = core.tails.batch().take();
        }
        let Some(batch) = under_way.as_mut() else { return Ok(()) };
        let (commit, len) = (batch.commit, batch.len);
        sql::journal_insert(&core.db, core.writer, commit, batch.bytes()).await?;
        *under_way = None;
        core.tails.uncommitted.fetch_sub(len, Ordering::Relaxed);
        {
            let mut journal = core.journal.lock();
            journal.through = commit;
            journal.bytes += len;
        }
        core.committed.store(commit, Ordering::Release);
        let ready = self.waiters.lock().take(commit);
        if !ready.is_empty() {
            // Still under the lock of the committer: those who wait are told in order.
            (self.sink)(ready);
        }
        Ok(())
    }
}

impl Core {
    fn has_appends(&self) -> bool {
        self.tails.batch().appends > 0
    }

    pub(super) fn has_records(&self) -> bool {
        self.tails.batch().records > 0
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
