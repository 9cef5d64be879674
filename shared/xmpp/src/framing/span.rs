//! What the parser found, as offsets into the bytes: nothing is copied.

use super::limits::StreamNamespaces;
use crate::{escape, ns};
use smallvec::SmallVec;
use std::borrow::Cow;

/// A piece of the element, as offsets from its `<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) const EMPTY: Span = Span { start: 0, end: 0 };

    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    #[inline]
    pub(crate) fn text(self, xml: &str) -> &str {
        &xml[self.start as usize..self.end as usize]
    }
}

/// A namespace, by where its name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ns {
    /// The content namespace of the stream.
    Content,
    /// No namespace.
    None,
    /// That of the prefix `xml`.
    Xml,
    /// The stream namespace, declared by the stream header.
    Streams,
    /// Of this prefix of the stream header.
    Header(u8),
    /// The value of a declaration in the element.
    Here(Span),
    /// The same, with references in it.
    Escaped(Span),
}

impl Ns {
    /// The namespace's name.
    pub(crate) fn name<'b>(self, bytes: &'b [u8], names: &'b StreamNamespaces) -> Cow<'b, [u8]> {
        Cow::Borrowed(match self {
            Ns::Content => names.content.as_str().as_bytes(),
            Ns::None => b"",
            Ns::Xml => ns::XML.as_bytes(),
            Ns::Streams => ns::STREAMS.as_bytes(),
            Ns::Header(at) => names.header(at).1.as_bytes(),
            Ns::Here(span) => span.of(bytes),
            Ns::Escaped(span) => {
                let raw = String::from_utf8_lossy(span.of(bytes));
                return Cow::Owned(escape::decode_attr(&raw).into_owned().into_bytes());
            }
        })
    }
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attr {
    /// Start of the name, with its prefix.
    pub(super) name: u32,
    /// Length of the name, with its prefix.
    pub(super) name_len: u16,
    /// Length of the prefix without its colon; 0 for none.
    pub(crate) prefix_len: u16,
    /// What stands between the quotes.
    pub(crate) value: Span,
    /// Whether the value is what stands there: no references, no white space to normalise.
    pub(crate) plain: bool,
}

impl Attr {
    pub(crate) fn name_span(&self) -> Span {
        Span { start: self.name, end: self.name + u32::from(self.name_len) }
    }

    pub(crate) fn local_span(&self) -> Span {
        let skip = if self.prefix_len > 0 { u32::from(self.prefix_len) + 1 } else { 0 };
        Span { start: self.name + skip, end: self.name + u32::from(self.name_len) }
    }

    #[inline]
    pub(crate) fn prefix<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.name as usize..self.name as usize + self.prefix_len as usize]
    }

    #[inline]
    pub(crate) fn is_declaration(&self, bytes: &[u8]) -> bool {
        match self.prefix_len {
            0 => self.name_span().of(bytes) == b"xmlns",
            _ => self.prefix(bytes) == b"xmlns",
        }
    }
}

/// A child of the first-level element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildSpan {
    /// The whole child.
    pub(crate) span: Span,
    /// Its local name.
    pub(crate) name: Span,
    pub(crate) ns: Ns,
}

/// As many children as a chat client's message has, and one that the server adds.
pub(crate) type Children = SmallVec<[ChildSpan; 6]>;

/// What was found of an element that is complete.
pub(crate) struct Parsed {
    /// Local name.
    pub(crate) name: Span,
    /// Length of the name's prefix, 0 for none.
    pub(crate) prefix_len: u16,
    pub(crate) ns: Ns,
    pub(crate) attrs: SmallVec<[Attr; 8]>,
    pub(crate) children: Children,
    /// Between start and end tag; empty and before the `/` in an empty-element tag.
    pub(crate) inner: Span,
    /// Which prefixes of the stream header are used inside: a bit for each, the top one for
    /// `stream`.
    pub(crate) header_prefixes: u32,
}

/// Bit of [`Parsed::header_prefixes`] for the prefix `stream`.
pub(crate) const STREAM_PREFIX: u32 = 1 << 31;
