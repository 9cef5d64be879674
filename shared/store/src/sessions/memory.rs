//! Sessions in this process's memory.

use super::{Attachment, Fence, SessionRecord, StaleEpoch};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use xmpp::Jid;

/// Parts with a lock of their own. A bare JID's sessions are all in one.
const SHARDS: usize = 64;

/// Sessions in this process. The address buffer is shared with the caller's `Jid`; the rest is
/// some 90 bytes in a node of a tree.
#[derive(Debug)]
pub struct MemorySessions {
    shards: Box<[Mutex<BTreeMap<Jid, Value>>]>,
    /// The highest epoch seen of each partition.
    epochs: Box<[AtomicU64]>,
}

/// A record without its key.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Two halves, since a `u128` would be padded to a multiple of 16 bytes.
    session: [u64; 2],
    attachment: Attachment,
    /// Apart, since a `SocketAddr` has 32 bytes.
    ip: Option<IpAddr>,
    port: u16,
    flags: u8,
}

impl Value {
    fn new(record: &SessionRecord) -> Value {
        Value {
            session: halves(record.session),
            attachment: record.attachment,
            ip: record.address.map(|address| address.ip()),
            port: record.address.map_or(0, |address| address.port()),
            flags: record.flags,
        }
    }

    fn record(&self, jid: &Jid) -> SessionRecord {
        SessionRecord {
            session: u128::from(self.session[0]) << 64 | u128::from(self.session[1]),
            jid: jid.clone(),
            attachment: self.attachment,
            flags: self.flags,
            address: self.ip.map(|ip| SocketAddr::new(ip, self.port)),
        }
    }
}

fn halves(session: u128) -> [u64; 2] {
    [(session >> 64) as u64, session as u64]
}

impl MemorySessions {
    /// An empty store.
    pub fn new(partitions: u32) -> MemorySessions {
        MemorySessions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            epochs: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn shard(&self, jid: &Jid) -> usize {
        // FNV-1a: the order of pages depends on it, within one process only.
        let hash = jid.bare_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash >> 32) as usize % SHARDS
    }

    fn check(&self, fence: Fence) -> Result<(), StaleEpoch> {
        let Some(epoch) = self.epochs.get(fence.partition as usize) else {
            debug_assert!(false, "partition {} of {}", fence.partition, self.epochs.len());
            return Ok(());
        };
        let newest = epoch.fetch_max(fence.epoch, Ordering::Relaxed);
        if newest > fence.epoch { Err(StaleEpoch { newest }) } else { Ok(()) }
    }

    pub(super) fn put(&self, fence: Fence, record: SessionRecord) -> Result<(), StaleEpoch> {
        let mut shard = self.shards[self.shard(&record.jid)].lock();
        // Under the lock, so that no older owner's write lands after a newer one's.
        self.check(fence)?;
        let value = Value::new(&record);
        shard.insert(record.jid, value);
        Ok(())
    }

    pub(super) fn remove(&self, fence: Fence, jid: &Jid, session: u128) -> Result<(), StaleEpoch> {
        let mut shard = self.shards[self.shard(jid)].lock();
        self.check(fence)?;
        if shard.get(jid).is_some_and(|value| value.session == halves(session)) {
            shard.remove(jid);
        }
        Ok(())
    }

    pub(super) fn load(&self, bare: &Jid) -> Vec<SessionRecord> {
        let shard = self.shards[self.shard(bare)].lock();
        // All full JIDs of a bare one lie between `bare/` and `bare0`: `0` follows `/`.
        let first = format!("{}/", bare.bare_str());
        let end = format!("{}0", bare.bare_str());
        shard
            .range::<str, _>((Bound::Included(first.as_str()), Bound::Excluded(end.as_str())))
            .map(|(jid, value)| value.record(jid))
            .collect()
    }

    pub(super) fn list(&self, after: Option<&Jid>, limit: usize) -> Vec<SessionRecord> {
        let mut found = Vec::new();
        let first = after.map_or(0, |jid| self.shard(jid));
        for (at, shard) in self.shards.iter().enumerate().skip(first) {
            let from = match after {
                Some(jid) if at == first => Bound::Excluded(jid.as_str()),
                _ => Bound::Unbounded,
            };
            let shard = shard.lock();
            let rest = limit - found.len();
            found.extend(
                shard
                    .range::<str, _>((from, Bound::Unbounded))
                    .take(rest)
                    .map(|(jid, value)| value.record(jid)),
            );
            if found.len() == limit {
                break;
            }
        }
        found
    }

    pub(super) fn count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCE: Fence = Fence { partition: 0, epoch: 1 };

    fn record(jid: &str, session: u128) -> SessionRecord {
        SessionRecord {
            session,
            jid: Jid::parse(jid).unwrap(),
            attachment: Attachment::Attached { gateway: 1, slot: 2, generation: 3 },
            flags: 0,
            address: Some("192.0.2.1:40000".parse().unwrap()),
        }
    }

    #[test]
    fn a_record_is_small() {
        // A B-tree node is at least half full: twice this bounds the cost of a session.
        assert!(2 * (size_of::<Value>() + size_of::<Jid>()) <= 200);
    }

    #[test]
    fn sessions_are_found_by_bare_jid() {
        let sessions = MemorySessions::new(1);
        let balcony = record("juliet@example.com/balcony", 1);
        sessions.put(FENCE, balcony.clone()).unwrap();
        sessions.put(FENCE, record("juliet@example.com/chamber", 2)).unwrap();
        sessions.put(FENCE, record("juliet@example.com.evil.example/x", 3)).unwrap();
        let found = sessions.load(&Jid::parse("juliet@example.com").unwrap());
        assert_eq!(found.iter().map(|r| r.session).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found[0], balcony);
        assert_eq!(sessions.count(), 3);
    }

    #[test]
    fn removing_an_old_session_leaves_the_one_that_replaced_it() {
        let sessions = MemorySessions::new(1);
        let old = record("juliet@example.com/balcony", 1);
        let new = record("juliet@example.com/balcony", 1 << 100);
        sessions.put(FENCE, old.clone()).unwrap();
        sessions.put(FENCE, new.clone()).unwrap();
        sessions.remove(FENCE, &old.jid, old.session).unwrap();
        assert_eq!(sessions.load(&old.jid.to_bare()), std::slice::from_ref(&new));
        sessions.remove(FENCE, &new.jid, new.session).unwrap();
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn an_older_epoch_is_refused() {
        let sessions = MemorySessions::new(2);
        let record = record("juliet@example.com/balcony", 1);
        sessions.put(Fence { partition: 1, epoch: 7 }, record.clone()).unwrap();
        let stale = Fence { partition: 1, epoch: 6 };
        assert_eq!(sessions.put(stale, record.clone()), Err(StaleEpoch { newest: 7 }));
        assert_eq!(sessions.remove(stale, &record.jid, 1), Err(StaleEpoch { newest: 7 }));
        assert_eq!(sessions.count(), 1);
        // Other partitions have epochs of their own.
        sessions.remove(FENCE, &record.jid, 1).unwrap();
    }

    #[test]
    fn pages_list_each_session_once() {
        let sessions = MemorySessions::new(1);
        for n in 0..500u128 {
            sessions.put(FENCE, record(&format!("user{}@example.com/r{n}", n / 2), n)).unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut after = None;
        loop {
            let page = sessions.list(after.as_ref(), 7);
            let Some(last) = page.last() else { break };
            after = Some(last.jid.clone());
            for record in page {
                assert!(seen.insert(record.session), "listed twice");
            }
        }
        assert_eq!(seen.len(), 500);
    }
}
