//! Addresses (RFC 7622), with the stringprep rules of RFC 6122 where interop needs them.
//!
//! Where the two differ:
//!
//! - A **localpart** follows RFC 7622. `ß` stays `ß` (Nodeprep: `ss`) and symbols are refused.
//!   Mapping comes before the check (§4: "where possible, map"), so the Kelvin sign is a `k`.
//! - A **resourcepart** follows RFC 7622, but what PRECIS refuses and Resourceprep leaves alone is
//!   accepted (the Arabic tatweel, a middle dot anywhere): rooms are full of such names.
//! - In both, invisible characters that RFC 3454 B.1 maps to nothing (soft hyphen, zero-width
//!   space, emoji variation selectors) are dropped where PRECIS would refuse them.
//! - A leading space in a resource is allowed: RFC 7622's example 18 forbids it, its rules do not.
//! - A **domainpart** is made of U-labels by UTS 46 mapping, each checked by IDNA2008's classes,
//!   or is an IP literal. `--` in the third and fourth place is accepted, since such names exist;
//!   IPv6 zones are not, since they mean nothing to another host.

mod precis;
mod prepare;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Largest size of each part in bytes (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// Addresses up to this size are put together without an allocation beside their own.
const JOINED_ON_STACK_BYTES: usize = 256;

/// A prepared address: `[local@]domain[/resource]`. Cloning is cheap (one reference count);
/// two are equal when their prepared forms are equal byte for byte.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Bytes before `@`; 0 when there is no localpart (it cannot be empty).
    local: u16,
    /// Bytes before `/`; the whole length when there is no resource.
    bare: u16,
}

/// Why a string is no address. A peer gets `jid-malformed` (RFC 6120 §8.3.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// A part that is there must not be empty.
    #[error("an address part is empty")]
    Empty,
    /// A part is longer than [`PART_BYTES_MAX`] after preparation.
    #[error("an address part is longer than {PART_BYTES_MAX} bytes")]
    TooLong,
    /// The localpart has a character that RFC 7622 §3.3 forbids.
    #[error("the localpart has a forbidden character")]
    Local,
    /// The domainpart is neither a domain name nor an IP address (RFC 7622 §3.2).
    #[error("the domainpart is no domain name or IP address")]
    Domain,
    /// The resourcepart has a character that RFC 7622 §3.4 forbids.
    #[error("the resourcepart has a forbidden character")]
    Resource,
}

impl Jid {
    /// Prepares and checks an address.
    ///
    /// # Errors
    /// The first part, from the left, that does not pass.
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (bare, resource) = match text.find('/') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let (local, domain) = match bare.find('@') {
            Some(at) => (Some(&bare[..at]), &bare[at + 1..]),
            None => (None, bare),
        };
        let (local, domain, resource) = prepare_parts(local, domain, resource)?;
        let prepared = Parts { local: local.as_deref(), domain: &domain, resource: resource.as_deref() };
        // Nothing was mapped and nothing cut off: the text is its own prepared form.
        let unmapped = matches!(
            (&local, &domain, &resource),
            (None | Some(Cow::Borrowed(_)), Cow::Borrowed(_), None | Some(Cow::Borrowed(_)))
        );
        if unmapped && prepared.len() == text.len() {
            return Ok(prepared.with_text(Arc::from(text)));
        }
        Ok(prepared.join())
    }

    /// Prepares and checks the parts of an address.
    ///
    /// # Errors
    /// The first part that does not pass.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Jid, JidError> {
        let (local, domain, resource) = prepare_parts(local, domain, resource)?;
        Ok(Parts { local: local.as_deref(), domain: &domain, resource: resource.as_deref() }.join())
    }

    /// The address without its resource; the same buffer when there is none.
    pub fn to_bare(&self) -> Jid {
        if self.is_bare() {
            return self.clone();
        }
        Jid { text: Arc::from(self.bare_str()), local: self.local, bare: self.bare }
    }

    /// The bare address with this resource.
    ///
    /// # Errors
    /// When the resource does not pass preparation.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = prepare::resource(resource)?;
        Ok(Parts { local: self.local(), domain: self.domain(), resource: Some(&resource) }.join())
    }

    /// The domain part alone; the same buffer when there is nothing else.
    pub fn to_domain(&self) -> Jid {
        if self.local == 0 && self.is_bare() {
            return self.clone();
        }
        Jid { text: Arc::from(self.domain()), local: 0, bare: self.domain().len() as u16 }
    }

    /// The part before `@`.
    pub fn local(&self) -> Option<&str> {
        (self.local > 0).then(|| &self.text[..self.local as usize])
    }

    /// The domain, in its U-label form (RFC 7622 §3.2).
    pub fn domain(&self) -> &str {
        let start = if self.local > 0 { self.local as usize + 1 } else { 0 };
        &self.text[start..self.bare as usize]
    }

    /// The part after `/`.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bare as usize + 1..)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address without its resource, borrowed: the key of an account.
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare as usize]
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.bare as usize == self.text.len()
    }

    /// Whether there is a resource.
    pub fn is_full(&self) -> bool {
        !self.is_bare()
    }
}

/// Parts that are prepared.
struct Parts<'a> {
    local: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
}

type PreparedParts<'a> = (Option<Cow<'a, str>>, Cow<'a, str>, Option<Cow<'a, str>>);

fn prepare_parts<'a>(
    local: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
) -> Result<PreparedParts<'a>, JidError> {
    Ok((
        local.map(prepare::local).transpose()?,
        prepare::domain(domain)?,
        resource.map(prepare::resource).transpose()?,
    ))
}

impl Parts<'_> {
    fn bare_len(&self) -> usize {
        self.local.map_or(0, |local| local.len() + 1) + self.domain.len()
    }

    fn len(&self) -> usize {
        self.bare_len() + self.resource.map_or(0, |resource| resource.len() + 1)
    }

    /// `text` is the parts with their separators. The casts hold: a part has 1023 bytes at most.
    fn with_text(&self, text: Arc<str>) -> Jid {
        Jid { text, local: self.local.map_or(0, |local| local.len() as u16), bare: self.bare_len() as u16 }
    }

    /// Joins them with one allocation for the sizes that occur.
    fn join(&self) -> Jid {
        let mut buffer = [0; JOINED_ON_STACK_BYTES];
        let text = match buffer.get_mut(..self.len()).map(|room| self.copy_to(room)) {
            Some(Ok(text)) => Arc::from(text),
            _ => Arc::from(self.pieces().concat()),
        };
        self.with_text(text)
    }

    fn pieces(&self) -> [&str; 5] {
        [
            self.local.unwrap_or_default(),
            if self.local.is_some() { "@" } else { "" },
            self.domain,
            if self.resource.is_some() { "/" } else { "" },
            self.resource.unwrap_or_default(),
        ]
    }

    fn copy_to<'b>(&self, room: &'b mut [u8]) -> Result<&'b str, std::str::Utf8Error> {
        let mut at = 0;
        for piece in self.pieces() {
            room[at..at + piece.len()].copy_from_slice(piece.as_bytes());
            at += piece.len();
        }
        std::str::from_utf8(room)
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl std::str::FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::parse(text)
    }
}

#[cfg(test)]
mod tests;
