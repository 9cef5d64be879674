//! The name of a log entry.

use std::fmt;

/// Bits below the milliseconds: entries per millisecond before ids run ahead of the clock.
const COUNTER_BITS: u32 = 20;
/// Characters of the text form: 13 × 5 bits hold 64.
const TEXT_CHARS: usize = 13;
/// base32hex (RFC 4648 §7) in lower case: its characters sort as their values do.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Names one entry of one account's log: the time in milliseconds and a counter. Ids grow strictly
/// in the order of the log. The text form is the XEP-0359 stanza-id and sorts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LogId(pub u64);

impl LogId {
    /// Before every entry.
    pub const MIN: LogId = LogId(0);
    /// After every entry. SQLite's integers end here.
    pub const MAX: LogId = LogId(i64::MAX as u64);

    /// Before every entry of this millisecond (since the Unix epoch) and of later ones.
    pub fn at_ms(ms: u64) -> LogId {
        LogId(ms.min(u64::MAX >> (COUNTER_BITS + 1)) << COUNTER_BITS)
    }

    /// When the entry was appended, in milliseconds since the Unix epoch.
    pub fn time_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The id after this one at this time: of this millisecond where the clock did not step back.
    pub(super) fn next(self, now_ms: u64) -> LogId {
        LogId((self.0 + 1).max(LogId::at_ms(now_ms).0))
    }

    /// 13 lower-case characters of base32hex.
    pub fn to_text(self) -> LogIdText {
        let mut text = [0; TEXT_CHARS];
        for (at, char) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_CHARS - 1 - at);
            *char = ALPHABET[(self.0 >> shift) as usize & 31];
        }
        LogIdText(text)
    }

    /// Reads [`LogId::to_text`]'s form and nothing else.
    pub fn from_text(text: &str) -> Option<LogId> {
        if text.len() != TEXT_CHARS {
            return None;
        }
        let mut id = 0u64;
        for char in text.bytes() {
            let value = ALPHABET.iter().position(|known| *known == char)? as u64;
            id = id.checked_mul(32)?.checked_add(value)?;
        }
        (id <= LogId::MAX.0).then_some(LogId(id))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// The text of a [`LogId`], without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogIdText([u8; TEXT_CHARS]);

impl std::ops::Deref for LogIdText {
    type Target = str;
    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: the alphabet is ASCII")
    }
}

impl fmt::Display for LogIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for LogIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_steps_back() {
        let first = LogId::MIN.next(1_000);
        assert_eq!(first.time_ms(), 1_000);
        let second = first.next(1_000);
        let third = second.next(10);
        assert!(first < second && second < third);
        assert_eq!(third.time_ms(), 1_000);
        assert_eq!(third.next(2_000), LogId::at_ms(2_000));
    }

    #[test]
    fn text_sorts_as_ids_do_and_reads_back() {
        let ids = [LogId(1), LogId(31), LogId(32), LogId::at_ms(1_700_000_000_000), LogId::MAX];
        for pair in ids.windows(2) {
            assert!(*pair[0].to_text() < *pair[1].to_text());
        }
        for id in ids {
            assert_eq!(LogId::from_text(&id.to_text()), Some(id));
        }
        for bad in ["", "0", "0000000000000 ", "000000000000A", "vvvvvvvvvvvvv", "00000000000é"] {
            assert_eq!(LogId::from_text(bad), None, "{bad}");
        }
    }
}
