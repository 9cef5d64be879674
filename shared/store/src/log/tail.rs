//! What is not settled yet, in memory: a tail per account, and the batch that the next commit
//! writes. Both change together, under the lock of the account's shard, so that whoever has seen
//! batch *n* being taken sees in the tails all that is in it.

use super::record::{Batch, OUTGOING, PENDING};
use super::{Append, Appended, LogEntry, LogId};
use crate::AccountId;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use xmpp::Jid;

/// Parts of the tails with a lock of their own.
const SHARDS: usize = 32;
/// Entries at a tail's end that are looked through one by one.
const NEAR: usize = 4;
/// What a taken id of a settled entry costs, roughly.
const TAKEN_BYTES: usize = 16;

/// An entry that is not settled.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: LogId,
    /// The batch it is in.
    pub(super) commit: u64,
    /// Where its flags stand there.
    pub(super) flags_at: u32,
    pub(super) flags: u8,
    pub(super) peer: Jid,
    pub(super) stanza: Bytes,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Entry>() + self.stanza.len()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.flags & PENDING != 0
    }

    pub(super) fn to_log_entry(&self) -> LogEntry {
        LogEntry {
            id: self.id,
            peer: self.peer.clone(),
            outgoing: self.flags & OUTGOING != 0,
            stanza: self.stanza.clone(),
        }
    }
}

/// One account's entries that are not settled, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) entries: VecDeque<Entry>,
    /// Settled entries that were taken since, oldest call first: their rows in `log_pending` go
    /// with the next settling.
    pub(super) taken: Vec<LogId>,
}

impl Tail {
    /// Where an entry stands.
    fn find(&self, id: LogId) -> Option<usize> {
        // Mostly it is one of the last few: sessions take messages as they come.
        let count = self.entries.len();
        let near = count.saturating_sub(NEAR);
        match self.entries.get(near) {
            Some(entry) if entry.id <= id => (near..count).find(|place| self.entries[*place].id == id),
            _ => self.entries.binary_search_by_key(&id, |entry| entry.id).ok(),
        }
    }

    /// Entries with a higher id.
    pub(super) fn after(&self, id: LogId) -> impl DoubleEndedIterator<Item = &Entry> {
        let start = self.entries.partition_point(|entry| entry.id <= id);
        self.entries.range(start..)
    }
}

/// Spreads account ids, which are ours and count up: no peer can make them collide.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i64(i64::from(*byte));
        }
    }

    fn write_i64(&mut self, id: i64) {
        self.0 = (self.0 ^ id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) tails: HashMap<AccountId, Tail, BuildHasherDefault<IdHasher>>,
    /// Accounts that were deleted: what still comes for them is dropped.
    forgotten: HashSet<AccountId>,
}

/// All tails and the open batch.
pub(super) struct Tails {
    shards: Box<[Mutex<Shard>]>,
    batch: Mutex<Batch>,
    /// Wakes the committer: the batch has its first record, or its first append.
    pub(super) work: Condvar,
    /// Memory of all tails.
    pub(super) bytes: AtomicUsize,
    /// Bytes of the open batch and of the one being committed.
    pub(super) uncommitted: AtomicUsize,
    /// The batch up to which entries are being settled or were.
    pub(super) settling: AtomicU64,
}

/// What one account has to settle.
pub(super) struct Cut {
    pub(super) account: AccountId,
    pub(super) entries: Vec<Entry>,
    pub(super) taken: Vec<LogId>,
}

impl Tails {
    pub(super) fn new() -> Tails {
        Tails {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            batch: Mutex::new(Batch::new(1, LogId::MIN)),
            work: Condvar::new(),
            bytes: AtomicUsize::new(0),
            uncommitted: AtomicUsize::new(0),
            settling: AtomicU64::new(0),
        }
    }

    pub(super) fn shard(&self, account: AccountId) -> MutexGuard<'_, Shard> {
        self.shards[account.0 as usize % SHARDS].lock()
    }

    pub(super) fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock()
    }

    pub(super) fn append(&self, account: AccountId, append: Append, now_ms: u64) -> Appended {
        let Append { peer, stanza, pending, outgoing } = append;
        let peer = if peer.is_bare() { peer } else { peer.to_bare() };
        let flags = if pending { PENDING } else { 0 } | if outgoing { OUTGOING } else { 0 };
        let mut shard = self.shard(account);
        if shard.forgotten.contains(&account) {
            let mut batch = self.batch();
            batch.last_id = batch.last_id.next(now_ms);
            return Appended { id: batch.last_id, commit: 0 };
        }
        let (appended, flags_at, is_first) = {
            let mut batch = self.batch();
            let before = batch.len();
            let (id, flags_at) = batch.append(account, now_ms, flags, &peer, &stanza);
            self.uncommitted.fetch_add(batch.len() - before, Ordering::Relaxed);
            (Appended { id, commit: batch.commit }, flags_at, batch.appends == 1)
        };
        let entry = Entry { id: appended.id, commit: appended.commit, flags_at, flags, peer, stanza };
        self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        shard.tails.entry(account).or_default().entries.push_back(entry);
        drop(shard);
        if is_first {
            self.work.notify_one();
        }
        appended
    }

    /// Marks an entry as taken, wherever it is.
    pub(super) fn delivered(&self, account: AccountId, id: LogId) {
        let mut shard = self.shard(account);
        if shard.forgotten.contains(&account) {
            return;
        }
        let tail = shard.tails.entry(account).or_default();
        let Some(place) = tail.find(id) else {
            self.taken(tail, id);
            self.record_delivered(account, id);
            return;
        };
        let entry = &mut tail.entries[place];
        if !entry.is_pending() {
            return;
        }
        entry.flags &= !PENDING;
        let (commit, flags_at) = (entry.commit, entry.flags_at);
        let mut batch = self.batch();
        if commit == batch.commit {
            batch.clear_pending(flags_at);
            return;
        }
        drop(batch);
        if commit <= self.settling.load(Ordering::Acquire) {
            // The settling may have copied it as pending: undo that with the next one.
            self.taken(tail, id);
        }
        self.record_delivered(account, id);
    }

    fn taken(&self, tail: &mut Tail, id: LogId) {
        tail.taken.push(id);
        self.bytes.fetch_add(TAKEN_BYTES, Ordering::Relaxed);
    }

    fn record_delivered(&self, account: AccountId, id: LogId) {
        let mut batch = self.batch();
        let before = batch.len();
        batch.delivered(account, id);
        self.uncommitted.fetch_add(batch.len() - before, Ordering::Relaxed);
        if batch.records == 1 {
            self.work.notify_one();
        }
    }

    /// Puts an entry of an earlier run back. In the order of ids.
    pub(super) fn recover(&self, account: AccountId, entry: Entry) {
        self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        self.shard(account).tails.entry(account).or_default().entries.push_back(entry);
    }

    /// Repeats what an earlier run noted as taken.
    pub(super) fn recover_delivered(&self, account: AccountId, id: LogId) {
        let mut shard = self.shard(account);
        let tail = shard.tails.entry(account).or_default();
        match tail.find(id) {
            Some(place) => tail.entries[place].flags &= !PENDING,
            None => self.taken(tail, id),
        }
    }

    /// The accounts that have a tail.
    pub(super) fn accounts(&self) -> Vec<AccountId> {
        self.shards.iter().flat_map(|shard| shard.lock().tails.keys().copied().collect::<Vec<_>>()).collect()
    }

    /// Drops an account for good.
    pub(super) fn forget(&self, account: AccountId) {
        let mut shard = self.shard(account);
        shard.forgotten.insert(account);
        if let Some(tail) = shard.tails.remove(&account) {
            let entries: usize = tail.entries.iter().map(Entry::bytes).sum();
            self.bytes.fetch_sub(entries + tail.taken.len() * TAKEN_BYTES, Ordering::Relaxed);
        }
    }

    /// Copies out what is in batches up to this one; it stays readable here until
    /// [`Tails::settled`]. From now on, entries that are taken are noted twice. That goes on when
    /// the settling fails: nobody knows then whether its transaction took place.
    pub(super) fn cut(&self, through: u64) -> Vec<Cut> {
        self.settling.store(through, Ordering::Release);
        let mut cuts = Vec::new();
        for shard in &self.shards {
            for (account, tail) in &shard.lock().tails {
                let count = tail.entries.partition_point(|entry| entry.commit <= through);
                if count > 0 || !tail.taken.is_empty() {
                    cuts.push(Cut {
                        account: *account,
                        entries: tail.entries.range(..count).cloned().collect(),
                        taken: tail.taken.clone(),
                    });
                }
            }
        }
        cuts
    }

    /// Drops what was settled.
    pub(super) fn settled(&self, cuts: &[Cut]) {
        for cut in cuts {
            let mut shard = self.shard(cut.account);
            // None when the account was forgotten meanwhile.
            let Some(tail) = shard.tails.get_mut(&cut.account) else { continue };
            let dropped: usize = tail.entries.drain(..cut.entries.len()).map(|entry| entry.bytes()).sum();
            tail.taken.drain(..cut.taken.len());
            self.bytes.fetch_sub(dropped + cut.taken.len() * TAKEN_BYTES, Ordering::Relaxed);
            if tail.entries.is_empty() && tail.taken.is_empty() {
                shard.tails.remove(&cut.account);
            }
        }
    }
}
