//! The bytes inside blobs: varints, lengths, a version in front and a checksum behind.

use crate::StoreError;
use bytes::Bytes;

/// Appends an integer, seven bits a byte, least significant first.
pub(super) fn put_varint(data: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        data.push(value as u8 | 0x80);
        value >>= 7;
    }
    data.push(value as u8);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(data, bytes.len() as u64);
    data.extend_from_slice(bytes);
}

/// Appends the checksum of all that is there.
pub(super) fn seal(data: &mut Vec<u8>) {
    let sum = checksum(data);
    data.extend_from_slice(&sum.to_le_bytes());
}

/// Guards against damage, not against an attacker. Any change of one 8-byte word changes the sum:
/// each step is a bijection.
pub(super) fn checksum(data: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut words = data.chunks_exact(8);
    let mut sum = data.len() as u64;
    for word in &mut words {
        sum = mix(sum, u64::from_le_bytes(word.try_into().expect("invariant: chunks of 8")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    mix(sum, u64::from_le_bytes(last))
}

/// Reads what the functions above wrote.
pub(super) struct Reader {
    data: Bytes,
    at: usize,
    what: &'static str,
}

impl Reader {
    /// Checks the checksum and the version byte. `what` names the blob in errors.
    pub(super) fn open(data: Bytes, version: u8, what: &'static str) -> Result<Reader, StoreError> {
        let damaged = || StoreError::Corrupt(format!("{what}: checksum"));
        let end = data.len().checked_sub(8).filter(|end| *end > 0).ok_or_else(damaged)?;
        if checksum(&data[..end]).to_le_bytes() != data[end..] {
            return Err(damaged());
        }
        if data[0] != version {
            return Err(StoreError::Format { what: format!("{what} version {}", data[0]) });
        }
        Ok(Reader { data: data.slice(..end), at: 1, what })
    }

    /// Reads bytes that were checked already.
    pub(super) fn of(data: Bytes, what: &'static str) -> Reader {
        Reader { data, at: 0, what }
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Bytes {
        let rest = self.data.slice(self.at..);
        self.at = self.data.len();
        rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.data.len()
    }

    pub(super) fn damaged(&self) -> StoreError {
        StoreError::Corrupt(format!("{} at byte {}", self.what, self.at))
    }

    pub(super) fn byte(&mut self) -> Result<u8, StoreError> {
        let byte = *self.data.get(self.at).ok_or_else(|| self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, StoreError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    /// Bytes whose length was read already; they share the blob's buffer.
    pub(super) fn take(&mut self, len: u64) -> Result<Bytes, StoreError> {
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len))
            .filter(|end| *end <= self.data.len())
            .ok_or_else(|| self.damaged())?;
        let bytes = self.data.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    /// A length and so many bytes that are a bare JID.
    pub(super) fn jid(&mut self) -> Result<xmpp::Jid, StoreError> {
        let len = self.varint()?;
        let bytes = self.take(len)?;
        crate::error::stored_jid(std::str::from_utf8(&bytes).map_err(|_| self.damaged())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_read_back(values: Vec<u64>) {
            let mut data = vec![1];
            values.iter().for_each(|value| put_varint(&mut data, *value));
            seal(&mut data);
            let mut reader = Reader::open(data.into(), 1, "test").unwrap();
            for value in values {
                prop_assert_eq!(reader.varint().unwrap(), value);
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn a_flipped_bit_is_noticed(mut data: Vec<u8>, at: prop::sample::Index, bit in 0..8u32) {
            data.insert(0, 1);
            seal(&mut data);
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
            prop_assert!(matches!(Reader::open(data.into(), 1, "test"), Err(StoreError::Corrupt(_))));
        }

        #[test]
        fn anything_reads_without_a_panic(mut data: Vec<u8>) {
            data.insert(0, 1);
            seal(&mut data);
            let mut reader = Reader::open(data.into(), 1, "test").unwrap();
            while let Ok(len) = reader.varint() {
                if reader.take(len).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn an_unknown_version_is_a_newer_format() {
        let mut data = vec![2];
        seal(&mut data);
        assert!(matches!(Reader::open(data.into(), 1, "test"), Err(StoreError::Format { .. })));
    }
}
