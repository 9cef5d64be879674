//! Settled entries of one account as bytes.
//!
//! `version, size, content, checksum`: the content is compressed (LZ4) to less than its size, or it is
//! as it was. It is `peers, peer*, (id - id before, flags, peer's place, stanza)*`. Stanzas are much
//! alike: compressing them costs less CPU than writing what it saves.

use super::tail::Entry;
use super::wire::{Reader, put_bytes, put_varint, seal};
use super::{LogEntry, LogId};
use crate::StoreError;
use bytes::Bytes;
use xmpp::Jid;

/// Version of the encoding.
const VERSION: u8 = 1;
/// Where a chunk ends. One stanza may be larger; it then has a chunk for itself.
const CHUNK_BYTES: usize = 64 * 1024;
/// More than any chunk has when it is unpacked: a damaged size allocates no more than this.
const CONTENT_BYTES_MAX: usize = 256 << 20;
/// What an entry takes beside its stanza, roughly.
const ENTRY_BYTES: usize = 16;

/// One row of `log_chunk`.
pub(super) struct Chunk {
    pub(super) first_id: LogId,
    pub(super) last_id: LogId,
    pub(super) data: Vec<u8>,
    /// Hashes of its peers.
    pub(super) peers: Vec<i64>,
}

/// Splits off the entries that make up the next chunk.
pub(super) fn split<'a>(entries: &mut &'a [Entry]) -> &'a [Entry] {
    let mut bytes = 0;
    let count = entries
        .iter()
        .take_while(|entry| {
            let is_first = bytes == 0;
            bytes += entry.stanza.len() + ENTRY_BYTES;
            is_first || bytes <= CHUNK_BYTES
        })
        .count();
    let (chunk, rest) = entries.split_at(count);
    *entries = rest;
    chunk
}

/// Encodes entries of one account, at least one, in the order of their ids.
pub(super) fn encode(entries: &[Entry]) -> Chunk {
    let mut peers: Vec<&Jid> = Vec::new();
    let mut size = 16;
    // Most chunks have one or two peers; a list is faster than a map up to some dozens.
    let places: Vec<usize> = entries
        .iter()
        .map(|entry| {
            size += entry.stanza.len() + ENTRY_BYTES;
            peers.iter().position(|peer| **peer == entry.peer).unwrap_or_else(|| {
                size += entry.peer.as_str().len() + 4;
                peers.push(&entry.peer);
                peers.len() - 1
            })
        })
        .collect();
    let mut data = Vec::with_capacity(size);
    put_varint(&mut data, peers.len() as u64);
    for peer in &peers {
        put_bytes(&mut data, peer.bare_str().as_bytes());
    }
    let mut id_before = 0;
    for (entry, place) in entries.iter().zip(places) {
        put_varint(&mut data, entry.id.0 - id_before);
        id_before = entry.id.0;
        // Whether it is still pending is in log_pending.
        data.push(entry.flags & !super::record::PENDING);
        put_varint(&mut data, place as u64);
        put_bytes(&mut data, &entry.stanza);
    }
    let data = pack(&data);
    Chunk {
        first_id: entries.first().map_or(LogId::MIN, |entry| entry.id),
        last_id: entries.last().map_or(LogId::MIN, |entry| entry.id),
        data,
        peers: peers.into_iter().map(peer_hash).collect(),
    }
}

/// Reads the entries with these ids; their stanzas share the chunk's buffer.
pub(super) fn decode(
    data: Vec<u8>,
    mut wanted: impl FnMut(LogId, &Jid) -> bool,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut reader = unpack(data)?;
    let mut entries = Vec::new();
    let peers = read_peers(&mut reader)?;
    let mut id = 0u64;
    while !reader.is_at_end() {
        let delta = reader.varint()?;
        id = id.checked_add(delta).ok_or_else(|| reader.damaged())?;
        let flags = reader.byte()?;
        let place = reader.varint()?;
        let len = reader.varint()?;
        let stanza = reader.take(len)?;
        let peer =
            usize::try_from(place).ok().and_then(|place| peers.get(place)).ok_or_else(|| reader.damaged())?;
        if wanted(LogId(id), peer) {
            let outgoing = flags & super::record::OUTGOING != 0;
            entries.push(LogEntry { id: LogId(id), peer: peer.clone(), outgoing, stanza });
        }
    }
    Ok(entries)
}

/// Reads only the hashes of the peers.
pub(super) fn decode_peers(data: Vec<u8>) -> Result<Vec<i64>, StoreError> {
    let peers = read_peers(&mut unpack(data)?)?;
    Ok(peers.iter().map(peer_hash).collect())
}

fn pack(content: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(content.len() + 16);
    data.push(VERSION);
    put_varint(&mut data, content.len() as u64);
    let start = data.len();
    data.resize(start + lz4_flex::block::get_maximum_output_size(content.len()), 0);
    let packed = lz4_flex::block::compress_into(content, &mut data[start..]);
    match packed {
        Ok(packed) if packed < content.len() => data.truncate(start + packed),
        Ok(_) | Err(_) => {
            data.truncate(start);
            data.extend_from_slice(content);
        }
    }
    seal(&mut data);
    data
}

fn unpack(data: Vec<u8>) -> Result<Reader, StoreError> {
    let mut reader = Reader::open(Bytes::from(data), VERSION, "chunk")?;
    let size = reader.varint()?;
    let content = reader.rest();
    if content.len() as u64 == size {
        return Ok(Reader::of(content, "chunk"));
    }
    let size = usize::try_from(size).ok().filter(|size| *size <= CONTENT_BYTES_MAX);
    let content = size.and_then(|size| lz4_flex::block::decompress(&content, size).ok());
    let content = content.ok_or_else(|| reader.damaged())?;
    Ok(Reader::of(content.into(), "chunk"))
}

fn read_peers(reader: &mut Reader) -> Result<Vec<Jid>, StoreError> {
    let count = reader.varint()?;
    (0..count).map(|_| reader.jid()).collect()
}

/// The stored hash of a bare JID: FNV-1a. Two peers with the same one cost a look at the other's
/// chunks, nothing else: entries are compared by the whole address.
pub(super) fn peer_hash(peer: &Jid) -> i64 {
    peer.bare_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::{OUTGOING, PENDING};

    fn entry(id: u64, peer: &str, flags: u8, size: usize) -> Entry {
        Entry {
            id: LogId(id),
            commit: 1,
            flags_at: 0,
            flags,
            peer: Jid::parse(peer).unwrap(),
            stanza: vec![b'x'; size].into(),
        }
    }

    #[test]
    fn a_chunk_reads_back() {
        let entries = [
            entry(1 << 60, "romeo@example.com", OUTGOING, 5),
            entry((1 << 60) + 1, "nurse@example.com", PENDING, 0),
            entry(1 << 61, "romeo@example.com", 0, 300),
        ];
        let chunk = encode(&entries);
        assert_eq!((chunk.first_id, chunk.last_id), (LogId(1 << 60), LogId(1 << 61)));
        assert_eq!(chunk.peers.len(), 2);
        assert_eq!(decode_peers(chunk.data.clone()).unwrap(), chunk.peers);
        let read = decode(chunk.data, |_, _| true).unwrap();
        assert_eq!(read.len(), 3);
        for (read, entry) in read.iter().zip(&entries) {
            assert_eq!((read.id, &read.peer, &read.stanza), (entry.id, &entry.peer, &entry.stanza));
            assert_eq!(read.outgoing, entry.flags & OUTGOING != 0);
        }
    }

    #[test]
    fn chunks_are_bounded_and_a_giant_stanza_is_alone() {
        let sizes = [30_000, 30_000, 30_000, 200_000, 10, 10];
        let entries: Vec<Entry> =
            sizes.iter().enumerate().map(|(n, size)| entry(n as u64 + 1, "a@b", 0, *size)).collect();
        let mut rest = &entries[..];
        let mut counts = Vec::new();
        while !rest.is_empty() {
            counts.push(split(&mut rest).len());
        }
        assert_eq!(counts, [2, 1, 1, 2]);
    }

    #[test]
    fn the_hash_of_a_peer_is_part_of_the_stored_format() {
        assert_eq!(peer_hash(&Jid::parse("a@b/c").unwrap()), peer_hash(&Jid::parse("a@b").unwrap()));
        assert_eq!(peer_hash(&Jid::parse("juliet@example.com").unwrap()), -5_226_657_300_924_734_433);
    }
}
