//! Classes of bytes and characters in XML 1.0 (fifth edition).

use super::fault::Fault;
use crate::escape::any;

/// May start a name. Every byte of a non-ASCII character counts; [`is_name`] looks closer.
pub(super) const NAME_START: u8 = 1;
/// May stand in a name, colon included.
pub(super) const NAME: u8 = 2;
/// Needs no look in character data.
pub(super) const TEXT: u8 = 4;
/// Needs no look in an attribute's value.
pub(super) const VALUE: u8 = 8;
/// White space.
pub(super) const SPACE: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let mut class = 0;
        if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 {
            class |= NAME_START | NAME;
        }
        if byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':') {
            class |= NAME;
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            class |= SPACE;
        }
        let allowed = byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
        if allowed && !matches!(byte, b'<' | b'&' | b'>') {
            class |= TEXT;
        }
        if byte >= b' ' && !matches!(byte, b'<' | b'&' | b'\'' | b'"') {
            class |= VALUE;
        }
        table[i] = class;
        i += 1;
    }
    table
};

/// Whether `byte` is of one of the classes in `mask`.
#[inline(always)]
pub(super) fn is(byte: u8, mask: u8) -> bool {
    CLASSES[byte as usize] & mask != 0
}

/// Where the run of bytes of class `mask` that starts at `from` ends.
#[inline(always)]
pub(super) fn run(bytes: &[u8], from: usize, mask: u8) -> usize {
    let mut at = from;
    while at < bytes.len() && is(bytes[at], mask) {
        at += 1;
    }
    at
}

/// Whether a byte needs a look in character data.
#[inline]
pub(super) fn any_special_in_text(text: &[u8]) -> bool {
    any(text, |byte| (byte < b' ') | (byte == b'&') | (byte == b'>') | (byte == b'<'))
}

/// Whether a byte needs a look in an attribute's value, in which there is no quote of its own.
#[inline]
pub(super) fn any_special_in_value(value: &[u8]) -> bool {
    any(value, |byte| (byte < b' ') | (byte == b'&') | (byte == b'<'))
}

/// Checks a name without a colon (Namespaces in XML §3, NCName).
pub(super) fn check_name(name: &[u8]) -> Result<(), Fault> {
    let (first, portable) = if name.is_ascii() {
        let rest = name.iter().all(|&byte| is(byte, NAME) && byte != b':');
        (name.first().is_some_and(|&byte| is(byte, NAME_START)) && rest, true)
    } else {
        let name = std::str::from_utf8(name).map_err(|_| Fault::Utf8)?;
        let first = name.chars().next().is_some_and(is_name_start_char);
        (first && name.chars().all(is_name_char), name.chars().all(|c| c.is_ascii() || is_portable(c)))
    };
    match (first, portable) {
        (false, _) => Err(Fault::Name),
        (true, false) => Err(Fault::NameNotPortable),
        (true, true) => Ok(()),
    }
}

/// XML 1.0 §2.3, NameStartChar without the colon.
fn is_name_start_char(c: char) -> bool {
    matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// XML 1.0 §2.3, NameChar without the colon.
fn is_name_char(c: char) -> bool {
    is_name_start_char(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Letters that every edition of XML 1.0 lets stand in a name. Parsers of the fourth edition are
/// common (expat, and with it many clients): with a name of the fifth anybody could break the
/// streams of those he writes to.
fn is_portable(c: char) -> bool {
    matches!(c,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{131}'
        | '\u{14A}'..='\u{17E}' | '\u{180}'..='\u{1C3}' | '\u{250}'..='\u{2A8}'
        | '\u{388}'..='\u{38A}' | '\u{38E}'..='\u{3A1}' | '\u{3A3}'..='\u{3CE}'
        | '\u{401}'..='\u{40C}' | '\u{40E}'..='\u{44F}' | '\u{451}'..='\u{45C}'
        | '\u{45E}'..='\u{481}' | '\u{490}'..='\u{4C4}' | '\u{531}'..='\u{556}'
        | '\u{561}'..='\u{586}' | '\u{5D0}'..='\u{5EA}' | '\u{621}'..='\u{63A}'
        | '\u{641}'..='\u{64A}' | '\u{671}'..='\u{6B7}' | '\u{905}'..='\u{939}'
        | '\u{E01}'..='\u{E2E}' | '\u{1E00}'..='\u{1E9B}' | '\u{1EA0}'..='\u{1EF9}'
        | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}' | '\u{3105}'..='\u{312C}'
        | '\u{4E00}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7A3}')
}

/// Whether a namespace name is made of the characters of a URI (RFC 3986 §2) and of others beyond
/// ASCII. Parsers put names together with a separator that no URI has (expat) and refuse a name
/// with it, or what is no URI at all (libxml2): with such a name, too, anybody could break the
/// streams of those he writes to.
pub(super) fn is_namespace_name(name: &[u8]) -> bool {
    // Two at a time, by the bit in which they differ.
    let pairs = |b: u8| (b & 0xFD == b'<') | (b & 0xFD == b'\\') | (b & 0xFE == b'|') | (b & 0xFB == b'{');
    !any(name, |b| (b <= b' ') | (b == b'"') | (b == b'`') | pairs(b))
}

/// Checks the whole of a well-formed element for what is cheaper to check once: UTF-8 and the two
/// non-characters that XML excludes (§2.2).
pub(super) fn check_utf8(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Utf8)?;
    for at in memchr::memchr_iter(0xEF, bytes) {
        if matches!(bytes[at + 1..at + 3], [0xBF, 0xBE | 0xBF]) {
            return Err(Fault::NonCharacter);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_namespace_names() {
        for byte in 0..=0x7F_u8 {
            // RFC 3986 §2: unreserved, gen-delims, sub-delims and the percent sign.
            let of_uri = byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
            for len in [1, 7, 8, 15, 16, 17, 40] {
                let mut name = vec![b'a'; len];
                name[len / 2] = byte;
                assert_eq!(is_namespace_name(&name), of_uri, "{byte:#x} among {len}");
            }
        }
        assert!(is_namespace_name("urn:\u{e9}".as_bytes()));
        assert!(is_namespace_name(b""));
    }
}
