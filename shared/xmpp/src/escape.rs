//! Characters of XML 1.0, escaping and its reverse.
//!
//! What this server writes goes through [`escape_text`] and [`escape_attr`]; what a peer wrote is
//! read with [`decode_text`] and [`decode_attr`], after the reader has found it well-formed.

use std::borrow::Cow;

/// Whether XML 1.0 lets this character stand in a document (§2.2).
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Whether `special` says so of any byte. The compiler makes vector instructions of it where
/// `special` has no branches.
#[inline(always)]
pub(crate) fn any(bytes: &[u8], special: impl Fn(u8) -> bool + Copy) -> bool {
    let among = |chunk: &[u8]| chunk.iter().fold(false, |found, &byte| found | special(byte));
    let (chunks, _) = bytes.as_chunks::<16>();
    // The last chunk overlaps the one before, so that no rest is left to go over byte by byte.
    if let Some(last) = bytes.last_chunk::<16>() {
        return chunks.iter().any(|chunk| among(chunk)) || among(last);
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => among(first) | among(last),
        _ => among(bytes),
    }
}

/// Appends `text` as character data. A character that XML cannot carry becomes U+FFFD.
pub fn escape_text(text: &str, into: &mut String) {
    escape(into, text, |b| (b == b'&') | (b == b'<') | (b == b'>') | (b == b'\r'));
}

/// Appends `value` for an attribute in quotes of either kind. A character that XML cannot carry
/// becomes U+FFFD.
pub fn escape_attr(value: &str, into: &mut String) {
    // Without branches, for `any`.
    let quote = |b| (b == b'\'') | (b == b'"');
    let space = |b| (b == b'\t') | (b == b'\n') | (b == b'\r');
    escape(into, value, |b| (b == b'&') | (b == b'<') | (b == b'>') | quote(b) | space(b));
}

fn escape(into: &mut String, text: &str, special: impl Fn(u8) -> bool + Copy) {
    // Nearly always there is nothing to do. Bytes from 0xEF up may begin a non-character.
    if !any(text.as_bytes(), |byte| !(b' '..0xEF).contains(&byte) | special(byte)) {
        into.push_str(text);
        return;
    }
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        let (replacement, len) = match byte {
            b'&' if special(byte) => ("&amp;", 1),
            b'<' if special(byte) => ("&lt;", 1),
            b'>' if special(byte) => ("&gt;", 1),
            b'\'' if special(byte) => ("&apos;", 1),
            b'"' if special(byte) => ("&quot;", 1),
            b'\t' if special(byte) => ("&#9;", 1),
            b'\n' if special(byte) => ("&#10;", 1),
            b'\r' if special(byte) => ("&#13;", 1),
            0..b' ' if !matches!(byte, b'\t' | b'\n' | b'\r') => ("\u{FFFD}", 1),
            0xEF if matches!(&text.as_bytes()[at + 1..at + 3], [0xBF, 0xBE | 0xBF]) => ("\u{FFFD}", 3),
            _ => continue,
        };
        into.push_str(&text[done..at]);
        into.push_str(replacement);
        done = at + len;
    }
    into.push_str(&text[done..]);
}

/// Character data as an application sees it: references resolved, line ends normalised
/// (XML 1.0 §2.11).
pub fn decode_text(raw: &str) -> Cow<'_, str> {
    decode(raw, b'\n')
}

/// An attribute's value as an application sees it: references resolved, white space normalised
/// (XML 1.0 §3.3.3).
pub fn decode_attr(raw: &str) -> Cow<'_, str> {
    decode(raw, b' ')
}

/// `line_end` is what a line end, and in an attribute any white space, turns into.
fn decode(raw: &str, line_end: u8) -> Cow<'_, str> {
    let in_attr = line_end == b' ';
    let odd = |byte: u8| byte == b'&' || byte == b'\r' || (in_attr && matches!(byte, b'\t' | b'\n'));
    if !raw.bytes().any(odd) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.bytes().position(odd) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        rest = match tail.as_bytes()[0] {
            b'&' => match parse_reference(tail) {
                Some((c, len)) => {
                    out.push(c);
                    &tail[len..]
                }
                None => {
                    out.push('&');
                    &tail[1..]
                }
            },
            b'\r' => {
                out.push(char::from(line_end));
                tail[1..].strip_prefix('\n').unwrap_or(&tail[1..])
            }
            _ => {
                out.push(' ');
                &tail[1..]
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that the reference at the start of `text` stands for, and the reference's
/// length. None when it is no predefined entity and no reference to an XML character.
pub(crate) fn parse_reference(text: &str) -> Option<(char, usize)> {
    // The longest sensible one is `&#x10FFFF;`; leading zeros are allowed, up to a bound.
    const REFERENCE_BYTES_MAX: usize = 32;
    let window = &text.as_bytes()[..text.len().min(REFERENCE_BYTES_MAX)];
    let end = window.iter().position(|&byte| byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    u32::from_str_radix(hex, 16).ok()?
                }
                None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok()?,
                _ => return None,
            };
            char::from_u32(code).filter(|&c| is_xml_char(c))?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> String {
        let mut out = String::new();
        escape_text(s, &mut out);
        out
    }

    fn attr(s: &str) -> String {
        let mut out = String::new();
        escape_attr(s, &mut out);
        out
    }

    #[test]
    fn escapes() {
        assert_eq!(text("a<b>&'\"\r\n\t]]>"), "a&lt;b&gt;&amp;'\"&#13;\n\t]]&gt;");
        assert_eq!(attr("a<b>&'\"\r\n\t"), "a&lt;b&gt;&amp;&apos;&quot;&#13;&#10;&#9;");
        assert_eq!(text("\0a\u{1F}\u{FFFE}é\u{FFFF}\u{FFFD}"), "\u{FFFD}a\u{FFFD}\u{FFFD}é\u{FFFD}\u{FFFD}");
        assert_eq!(text(""), "");
    }

    #[test]
    fn decodes() {
        for (raw, as_text, as_attr) in [
            ("plain é", "plain é", "plain é"),
            ("&amp;&lt;&gt;&apos;&quot;", "&<>'\"", "&<>'\""),
            ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te", "a b c d e"),
            ("&#10;&#xD;&#x1F600;", "\n\r\u{1F600}", "\n\r\u{1F600}"),
            ("&#0000000065;", "A", "A"),
            ("\r", "\n", " "),
        ] {
            assert_eq!(decode_text(raw), as_text, "{raw:?}");
            assert_eq!(decode_attr(raw), as_attr, "{raw:?}");
        }
    }

    #[test]
    fn refuses_references_to_what_is_no_character() {
        for raw in [
            "&#0;",
            "&#xFFFE;",
            "&#xD800;",
            "&#x110000;",
            "&#;",
            "&#x;",
            "&#+5;",
            "&#X41;",
            "&foo;",
            "&amp",
            "&;",
            "&#99999999999;",
        ] {
            assert_eq!(parse_reference(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn escaping_is_undone_by_decoding() {
        let odd = "<&>'\" \r\n\t é \u{10FFFF}";
        assert_eq!(decode_text(&text(odd)), odd);
        assert_eq!(decode_attr(&attr(odd)), odd);
    }
}
