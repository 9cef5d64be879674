//! One group commit as bytes: the batch being filled, and how a stored one is read again.
//!
//! `version, record*, checksum`. A record is one of
//!
//! - append: `1, flags, account, id - id before, peer, stanza`, where the stanza is `n + 4` and
//!   `n` bytes, or `0..=3`: that many places back in the ring of the last four distinct stanzas.
//!   The sender's and the recipient's copy share one buffer, so the second costs a byte.
//! - delivered: `2, account, id`.

use super::LogId;
use super::journal::HEADER_BYTES;
use super::wire::{Reader, checksum, put_bytes, put_varint};
use crate::{AccountId, StoreError};
use bytes::Bytes;
use xmpp::Jid;

/// Version of the encoding.
const VERSION: u8 = 1;
/// Kind of record: an append.
const APPEND: u8 = 1;
/// Kind of record: a session took an entry.
const DELIVERED: u8 = 2;
/// Distinct stanzas that a later append may refer to.
const RING: usize = 4;
/// Largest buffer that is made in advance for the next batch.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// What a batch starts with: room for the frame's header, and the version.
const START: [u8; HEADER_BYTES + 1] = {
    let mut start = [0; HEADER_BYTES + 1];
    start[HEADER_BYTES] = VERSION;
    start
};

/// Flag: no session has taken it.
pub(super) const PENDING: u8 = 1;
/// Flag: the account sent it.
pub(super) const OUTGOING: u8 = 2;

/// The last few distinct stanzas, on the writing and on the reading side.
#[derive(Default)]
struct Ring {
    stanzas: [Bytes; RING],
    at: usize,
}

impl Ring {
    /// How many places back the same buffer is. The ring keeps buffers alive, so an equal address
    /// means equal bytes.
    fn find(&self, stanza: &Bytes) -> Option<u64> {
        (0..RING)
            .find(|back| {
                let known = self.get(*back);
                std::ptr::eq(known.as_ptr(), stanza.as_ptr()) && known.len() == stanza.len()
            })
            .map(|back| back as u64)
    }

    fn get(&self, back: usize) -> &Bytes {
        &self.stanzas[(self.at + RING - 1 - back) % RING]
    }

    fn push(&mut self, stanza: Bytes) {
        self.stanzas[self.at] = stanza;
        self.at = (self.at + 1) % RING;
    }
}

/// The batch that the next commit writes.
pub(super) struct Batch {
    /// Its number, which becomes the row's.
    pub(super) commit: u64,
    /// Highest id ever given.
    pub(super) last_id: LogId,
    /// Records in it, of which `appends` wait for the commit.
    pub(super) records: u32,
    /// Appends in it.
    pub(super) appends: u32,
    data: Vec<u8>,
    delta_from: LogId,
    ring: Ring,
}

impl Batch {
    pub(super) fn new(commit: u64, last_id: LogId) -> Batch {
        Batch {
            commit,
            last_id,
            records: 0,
            appends: 0,
            data: START.to_vec(),
            delta_from: LogId::MIN,
            ring: Ring::default(),
        }
    }

    /// Bytes of records so far.
    pub(super) fn len(&self) -> usize {
        self.data.len() - START.len()
    }

    /// Adds an append under the next id and says where its flags stand.
    pub(super) fn append(
        &mut self,
        account: AccountId,
        now_ms: u64,
        flags: u8,
        peer: &Jid,
        stanza: &Bytes,
    ) -> (LogId, u32) {
        let id = self.last_id.next(now_ms);
        self.last_id = id;
        self.data.push(APPEND);
        let flags_at = self.data.len() as u32;
        self.data.push(flags);
        put_varint(&mut self.data, account.0 as u64);
        put_varint(&mut self.data, id.0 - self.delta_from.0);
        self.delta_from = id;
        put_bytes(&mut self.data, peer.bare_str().as_bytes());
        match self.ring.find(stanza) {
            // An empty ring holds empty stanzas; no one sends those.
            Some(back) => put_varint(&mut self.data, back),
            None => {
                put_varint(&mut self.data, (stanza.len() + RING) as u64);
                self.data.extend_from_slice(stanza);
                self.ring.push(stanza.clone());
            }
        }
        self.records += 1;
        self.appends += 1;
        (id, flags_at)
    }

    /// Changes an append that is still in this batch: it needs no record of its own.
    pub(super) fn clear_pending(&mut self, flags_at: u32) {
        self.data[flags_at as usize] &= !PENDING;
    }

    /// Notes that a session took an entry of an earlier batch.
    pub(super) fn delivered(&mut self, account: AccountId, id: LogId) {
        self.data.push(DELIVERED);
        put_varint(&mut self.data, account.0 as u64);
        put_varint(&mut self.data, id.0);
        self.records += 1;
    }

    /// Takes what there is, and starts the next batch. None when there is nothing.
    pub(super) fn take(&mut self) -> Option<Sealed> {
        if self.records == 0 {
            return None;
        }
        let mut next = Batch::new(self.commit + 1, self.last_id);
        next.data.reserve(self.data.len().min(SPARE_BYTES_MAX));
        let full = std::mem::replace(self, next);
        Some(Sealed { commit: full.commit, len: full.len(), data: full.data, is_sealed: false })
    }
}

/// A batch that is being committed.
pub(super) struct Sealed {
    /// Its number.
    pub(super) commit: u64,
    /// Bytes of records in it, as [`Batch::len`] counted them.
    pub(super) len: usize,
    data: Vec<u8>,
    is_sealed: bool,
}

impl Sealed {
    /// The frame to store. The checksum is added here, outside the batch's lock.
    pub(super) fn frame(&mut self) -> &mut Vec<u8> {
        if !self.is_sealed {
            let sum = checksum(&self.data[HEADER_BYTES..]);
            self.data.extend_from_slice(&sum.to_le_bytes());
            self.is_sealed = true;
        }
        &mut self.data
    }
}

/// A record as it is read again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// An append.
    Append {
        /// Whose log.
        account: AccountId,
        /// Its name.
        id: LogId,
        /// [`PENDING`], [`OUTGOING`].
        flags: u8,
        /// The other side's bare JID.
        peer: Jid,
        /// The stanza, in the row's buffer.
        stanza: Bytes,
    },
    /// A session took the entry.
    Delivered {
        /// Whose log.
        account: AccountId,
        /// Its name.
        id: LogId,
    },
}

/// Reads a stored batch.
pub(super) fn decode(data: Bytes) -> Result<Vec<Record>, StoreError> {
    let mut reader = Reader::open(data, VERSION, "journal")?;
    let mut records = Vec::new();
    let mut id_before = 0u64;
    let mut ring = Ring::default();
    while !reader.is_at_end() {
        records.push(match reader.byte()? {
            APPEND => {
                let flags = reader.byte()?;
                let account = AccountId(reader.varint()? as i64);
                let delta = reader.varint()?;
                id_before = id_before.checked_add(delta).ok_or_else(|| reader.damaged())?;
                let peer = reader.jid()?;
                let stanza = match reader.varint()? {
                    back @ 0..RING_U64 => ring.get(back as usize).clone(),
                    len => {
                        let stanza = reader.take(len - RING_U64)?;
                        ring.push(stanza.clone());
                        stanza
                    }
                };
                Record::Append { account, id: LogId(id_before), flags, peer, stanza }
            }
            DELIVERED => {
                let account = AccountId(reader.varint()? as i64);
                Record::Delivered { account, id: LogId(reader.varint()?) }
            }
            kind => return Err(StoreError::Format { what: format!("journal record {kind}") }),
        });
    }
    Ok(records)
}

const RING_U64: u64 = RING as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn a_batch_reads_back_and_shares_stanzas() {
        let mut batch = Batch::new(7, LogId::at_ms(5));
        let (juliet, romeo) = (AccountId(1), AccountId(300));
        let stanzas: Vec<Bytes> = (0..6).map(|n| Bytes::from(format!("<message id='{n}'/>"))).collect();
        let mut expected = Vec::new();
        // Each stanza for both sides, and the first again after it has left the ring.
        for (n, stanza) in stanzas.iter().chain([&stanzas[0]]).enumerate() {
            for (account, peer, flags) in
                [(juliet, "romeo@example.com", OUTGOING), (romeo, "juliet@example.com", PENDING)]
            {
                let before = batch.len();
                let (id, flags_at) = batch.append(account, 4, flags, &jid(peer), stanza);
                if account == romeo {
                    assert!(batch.len() - before < peer.len() + 10, "the stanza is stored twice");
                    if n == 2 {
                        batch.clear_pending(flags_at);
                    }
                }
                let flags = if n == 2 { flags & !PENDING } else { flags };
                expected.push(Record::Append { account, id, flags, peer: jid(peer), stanza: stanza.clone() });
            }
        }
        batch.delivered(romeo, LogId(3));
        expected.push(Record::Delivered { account: romeo, id: LogId(3) });
        let mut sealed = batch.take().unwrap();
        assert_eq!((sealed.commit, batch.commit, batch.records), (7, 8, 0));
        let data = Bytes::copy_from_slice(&sealed.frame()[HEADER_BYTES..]);
        assert_eq!(decode(data).unwrap(), expected);
        assert!(batch.take().is_none());
    }

    #[test]
    fn an_unknown_record_is_a_newer_format() {
        let mut data = vec![VERSION, 9];
        crate::log::wire::seal(&mut data);
        assert!(matches!(decode(data.into()), Err(StoreError::Format { .. })));
    }
}
