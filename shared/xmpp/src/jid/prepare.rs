//! From a part as it was written to the part as it is compared (RFC 7622 §3.2 to §3.4).
//!
//! ASCII that is already prepared, which is nearly all there is, takes one scan and is borrowed.

use super::{JidError, PART_BYTES_MAX, precis};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use std::net::Ipv6Addr;
use stringprep::tables::commonly_mapped_to_nothing;

/// No mapping shrinks a text more than this, so a longer one need not be looked at.
const SHRINK_MAX: usize = 4;
/// Longest domain name in its ASCII form (RFC 1035 §2.3.4, without the root's dot).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label of a domain name.
const LABEL_BYTES_MAX: usize = 63;

const LOCAL: u8 = 1;
const DOMAIN: u8 = 2;
const RESOURCE: u8 = 4;

/// In which parts an ASCII byte stands for itself.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x20;
    while byte <= 0x7e_u8 {
        let local = match byte {
            // RFC 7622 §3.3.1, and what is not in the IdentifierClass or is case-mapped.
            b' ' | b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@' | b'A'..=b'Z' => 0,
            _ => LOCAL,
        };
        let domain = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => DOMAIN,
            _ => 0,
        };
        table[byte as usize] = local | domain | RESOURCE;
        byte += 1;
    }
    table
};

/// UsernameCaseMapped (RFC 8265 §3.3) without the characters of RFC 7622 §3.3.1.
pub(super) fn local(text: &str) -> Result<Cow<'_, str>, JidError> {
    if is_prepared_ascii(text, LOCAL) {
        return Ok(Cow::Borrowed(text));
    }
    liberal(text, precis::map_username, is_local, JidError::Local)
}

/// OpaqueString (RFC 8265 §4.2).
pub(super) fn resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    if is_prepared_ascii(text, RESOURCE) {
        return Ok(Cow::Borrowed(text));
    }
    liberal(text, precis::map_opaque, is_resource, JidError::Resource)
}

/// A domain name as U-labels, an IPv4 address or a bracketed IPv6 address.
pub(super) fn domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    // RFC 7622 §3.2: the final dot goes before all else. UTS 46 takes the last three for dots too.
    let text = text.strip_suffix(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).unwrap_or(text);
    if is_prepared_domain(text.as_bytes()) {
        return Ok(Cow::Borrowed(text));
    }
    bound(text)?;
    if let Some(literal) = text.strip_prefix('[') {
        let address = literal.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok());
        // RFC 5952's form is the one to compare.
        return address.map(|address| Cow::Owned(format!("[{address}]"))).ok_or(JidError::Domain);
    }
    let (mapped, checked) =
        Uts46::new().to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    if mapped.len() > PART_BYTES_MAX {
        return Err(JidError::TooLong);
    }
    checked.map_err(|_| JidError::Domain)?;
    // The limits are on the A-labels. Checking the mapped text again makes sure that it is stable.
    Uts46::new()
        .to_ascii(mapped.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| JidError::Domain)?;
    // UTS 46 lets symbols pass that no U-label may have (RFC 5892).
    if !mapped.split('.').all(|label| label.is_ascii() || precis::is_identifier(label)) {
        return Err(JidError::Domain);
    }
    Ok(mapped)
}

fn is_prepared_ascii(text: &str, class: u8) -> bool {
    !text.is_empty()
        && text.len() <= PART_BYTES_MAX
        && text.bytes().all(|byte| CLASS[usize::from(byte)] & class != 0)
}

fn is_prepared_domain(name: &[u8]) -> bool {
    if name.len() > DOMAIN_BYTES_MAX {
        return false;
    }
    let mut start = 0;
    for (at, &byte) in name.iter().enumerate() {
        if byte == b'.' {
            if !is_prepared_label(&name[start..at]) {
                return false;
            }
            start = at + 1;
        } else if CLASS[usize::from(byte)] & DOMAIN == 0 {
            return false;
        }
    }
    is_prepared_label(&name[start..])
}

/// Of a label made of allowed bytes. An A-label is to be decoded, so it is not prepared.
fn is_prepared_label(label: &[u8]) -> bool {
    label.len() <= LABEL_BYTES_MAX
        && label.first().is_some_and(|byte| *byte != b'-')
        && label.last() != Some(&b'-')
        && !label.starts_with(b"xn--")
}

/// Refuses what cannot be a part whatever it is mapped to, before any work is put into it.
fn bound(text: &str) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError::Empty),
        length if length > SHRINK_MAX * PART_BYTES_MAX => Err(JidError::TooLong),
        _ => Ok(()),
    }
}

/// Maps and checks; where that fails, once more without what stringprep maps to nothing.
fn liberal<'a>(
    text: &'a str,
    map: fn(&str) -> String,
    is_valid: fn(&str) -> bool,
    error: JidError,
) -> Result<Cow<'a, str>, JidError> {
    bound(text)?;
    let mut mapped = map(text);
    if !is_valid(&mapped) {
        let visible: String = text.chars().filter(|c| !commonly_mapped_to_nothing(*c)).collect();
        if visible.is_empty() {
            return Err(JidError::Empty);
        }
        mapped = map(&visible);
        if !is_valid(&mapped) {
            return Err(error);
        }
    }
    if mapped.len() > PART_BYTES_MAX {
        return Err(JidError::TooLong);
    }
    Ok(Cow::Owned(mapped))
}

fn is_local(text: &str) -> bool {
    // Width mapping may bring forth what §3.3.1 excludes, so this is checked on the result.
    text.bytes().all(|byte| !byte.is_ascii() || CLASS[usize::from(byte)] & LOCAL != 0)
        && precis::is_identifier(text)
        && precis::satisfies_bidi_rule(text)
}

fn is_resource(text: &str) -> bool {
    text.char_indices().all(|(at, c)| precis::is_freeform(text, at, c) || is_kept_by_resourceprep(c))
}

/// Whether RFC 6122's profile leaves this character as it is.
fn is_kept_by_resourceprep(c: char) -> bool {
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    stringprep::resourceprep(text).is_ok_and(|prepared| prepared == text)
}
