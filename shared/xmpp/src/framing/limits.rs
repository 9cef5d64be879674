//! What a stream may cost its reader, and the namespaces its header put in scope.

use super::span::Ns;
use crate::ns;

/// Bounds on what a peer may make the reader hold or do. Reaching one ends the stream with
/// `policy-violation` (RFC 6120 §4.9.3.14) before more memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of a first-level element in bytes. RFC 6120 §13.12 asks for at least 10000.
    pub stanza_bytes_max: u32,
    /// Size of the stream header in bytes, and of the XML declaration.
    pub header_bytes_max: u32,
    /// Size of an element's or attribute's name in bytes, prefix included.
    pub name_bytes_max: u16,
    /// Depth of nested elements, the first-level element being 1.
    pub depth_max: u16,
    /// Attributes of one element, namespace declarations included.
    pub attributes_max: u16,
    /// Children directly below a first-level element.
    pub children_max: u16,
    /// Namespace declarations in scope at one place.
    pub declarations_max: u16,
}

impl Limits {
    /// The limits of a client's stream where the configuration says nothing else.
    pub const DEFAULT: Limits = Limits {
        stanza_bytes_max: 262_144,
        header_bytes_max: 4096,
        name_bytes_max: 256,
        depth_max: 64,
        attributes_max: 64,
        children_max: 1024,
        declarations_max: 64,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// The content namespace of a stream (RFC 6120 §4.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `jabber:client`
    Client,
    /// `jabber:server`
    Server,
}

impl Content {
    /// The namespace's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Content::Client => ns::CLIENT,
            Content::Server => ns::SERVER,
        }
    }
}

/// The default namespace that a stream header declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultNs {
    None,
    Content,
    Streams,
}

/// A prefix and the name of its namespace.
pub(super) type Declared = (Box<str>, Box<str>);

/// The namespaces in scope around a first-level element: what the stream header declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamNamespaces {
    pub(super) content: Content,
    pub(super) default: DefaultNs,
    /// Whether the prefix `stream` stands for the stream namespace.
    pub(super) stream_prefix: bool,
    /// Whether the stream header's own name has no prefix, so that its end tag has none.
    pub(super) prefix_free: bool,
    /// Further prefixes with their namespaces; there are none on nearly every stream.
    pub(super) prefixes: Option<Box<[Declared]>>,
}

impl StreamNamespaces {
    /// How many prefixes a header may declare beside `stream`.
    pub(super) const PREFIXES_MAX: usize = 16;

    /// What nearly every stream declares: the content namespace as default, and the prefix
    /// `stream`.
    pub const fn usual(content: Content) -> StreamNamespaces {
        StreamNamespaces {
            content,
            default: DefaultNs::Content,
            stream_prefix: true,
            prefix_free: false,
            prefixes: None,
        }
    }

    /// Nothing is declared: each WebSocket frame declares its own (RFC 7395 §3.3.3).
    pub const fn bare(content: Content) -> StreamNamespaces {
        StreamNamespaces {
            content,
            default: DefaultNs::None,
            stream_prefix: false,
            prefix_free: false,
            prefixes: None,
        }
    }

    /// The content namespace of the stream.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Name of the default namespace, empty for none.
    pub(super) fn default_name(&self) -> &'static str {
        match self.default {
            DefaultNs::None => "",
            DefaultNs::Content => self.content.as_str(),
            DefaultNs::Streams => ns::STREAMS,
        }
    }

    pub(super) fn default_ns(&self) -> Ns {
        match self.default {
            DefaultNs::None => Ns::None,
            DefaultNs::Content => Ns::Content,
            DefaultNs::Streams => Ns::Streams,
        }
    }

    pub(super) fn resolve(&self, prefix: &[u8]) -> Option<Ns> {
        if self.stream_prefix && prefix == b"stream" {
            return Some(Ns::Streams);
        }
        let at = self.prefixes.as_ref()?.iter().position(|(p, _)| p.as_bytes() == prefix)?;
        Some(if &*self.prefixes.as_ref()?[at].1 == self.content.as_str() {
            Ns::Content
        } else {
            Ns::Header(at as u8)
        })
    }

    /// The prefix and the name of a namespace that stands as [`Ns::Header`].
    pub(crate) fn header(&self, at: u8) -> (&str, &str) {
        match self.prefixes.as_ref().and_then(|list| list.get(at as usize)) {
            Some((prefix, name)) => (prefix, name),
            None => ("", ""),
        }
    }

    /// Every prefix that is declared, with its namespace.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        let stream = self.stream_prefix.then_some(("stream", ns::STREAMS));
        let others = self.prefixes.iter().flat_map(|list| list.iter().map(|(p, n)| (&**p, &**n)));
        stream.into_iter().chain(others)
    }
}
