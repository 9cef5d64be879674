//! A stanza as it travels: one canonical buffer, and what was read of it, once.
//!
//! The reader hands out a [`RawStanza`], borrowed from the socket's buffer. The gateway stamps it
//! with the sender's address, which is the one copy a stanza's bytes see on their way in; from
//! then on it is a [`Stanza`] that clones by reference count.
//!
//! *Canonical* means: the element is `message`, `presence` or `iq` without a prefix and without an
//! `xmlns` (the content namespace is the stream's default); its attributes are `from`, `to`,
//! `type`, `id`, `xml:lang` in this order where present, then those the sender added, then
//! declarations of the prefixes that the stream header declared and the content uses; quotes are
//! `'`; whatever is inside stands as the sender wrote it; it ends with `</message>` (or the like),
//! or with `/>` when there is nothing inside. It is well-formed by itself within a stream's default namespace, so a stored one can be
//! put into any stream.

mod canonical;
mod child;
mod content;
mod kind;
mod raw;

pub use child::Child;
pub use content::{Content, Hints};
pub(crate) use kind::StanzaName;
pub use kind::{IqType, Kind, MessageType, PresenceType};
pub use raw::RawStanza;

use crate::error::{StanzaError, StreamCondition, StreamError};
use crate::framing::span::{ChildSpan, Children, Ns, Span};
use crate::framing::{Frame, parse_frame};
use crate::{Jid, ns};
use bytes::Bytes;
use canonical::Draft;
use std::fmt;
use std::sync::Arc;

/// A stanza in its canonical form. A clone is another reference to the same one.
#[derive(Clone)]
pub struct Stanza {
    parts: Arc<Parts>,
}

/// The stanza and what was read of it. Every span lies in `xml`, on boundaries of characters.
struct Parts {
    xml: Bytes,
    from: Option<Jid>,
    to: Option<Jid>,
    kind: Kind,
    /// Where the start tag goes on after `from` and `to`.
    rest: u32,
    /// Between start and end tag; empty and before `/>` in an empty-element tag.
    inner: Span,
    id: Option<Span>,
    lang: Option<Span>,
    children: Children,
    /// What had references in it, decoded. Hardly any stanza has.
    decoded: Option<Box<Decoded>>,
}

#[derive(Clone, Default)]
struct Decoded {
    id: Option<Box<str>>,
    lang: Option<Box<str>>,
    /// By where the declaration's value starts.
    namespaces: Vec<(u32, Box<str>)>,
}

impl Stanza {
    /// Builds a stanza; `inner` is well-formed content in the content namespace, made by this server.
    pub fn new(kind: Kind, from: Option<&Jid>, to: Option<&Jid>, id: Option<&str>, inner: &str) -> Stanza {
        Draft { kind, from, to, id, lang: None, explicit_normal: false }.build(inner)
    }

    /// Parses a canonical stanza that was stored or sent by another node.
    ///
    /// # Errors
    /// What the reader has to say of one that is no stanza.
    pub fn parse(xml: Bytes) -> Result<Stanza, StreamError> {
        let text =
            std::str::from_utf8(&xml).map_err(|_| StreamError::from(StreamCondition::UnsupportedEncoding))?;
        let Frame::Stanza(raw) = parse_frame(text, canonical::NAMES, &canonical::LIMITS)? else {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        };
        let mut stanza =
            raw.restore().map_err(|error| StreamError::new(StreamCondition::BadFormat, error.to_string()))?;
        if stanza.xml() == &xml
            && let Some(parts) = Arc::get_mut(&mut stanza.parts)
        {
            parts.xml = xml;
        }
        Ok(stanza)
    }

    /// Which stanza and type.
    pub fn kind(&self) -> Kind {
        self.parts.kind
    }

    /// `from`
    pub fn from(&self) -> Option<&Jid> {
        self.parts.from.as_ref()
    }

    /// `to`
    pub fn to(&self) -> Option<&Jid> {
        self.parts.to.as_ref()
    }

    /// `id`, entities resolved.
    pub fn id(&self) -> Option<&str> {
        let span = self.parts.id?;
        match self.parts.decoded.as_ref().and_then(|decoded| decoded.id.as_deref()) {
            Some(id) => Some(id),
            None => Some(self.parts.text(span)),
        }
    }

    /// `xml:lang`
    pub fn lang(&self) -> Option<&str> {
        let span = self.parts.lang?;
        match self.parts.decoded.as_ref().and_then(|decoded| decoded.lang.as_deref()) {
            Some(lang) => Some(lang),
            None => Some(self.parts.text(span)),
        }
    }

    /// The whole stanza.
    pub fn xml(&self) -> &Bytes {
        &self.parts.xml
    }

    /// What is between the start and the end tag.
    pub fn inner(&self) -> &str {
        self.parts.text(self.parts.inner)
    }

    /// The child elements in order.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        self.parts.children.iter().map(|child| self.parts.child(child))
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<Child<'_>> {
        let found = |child: &&ChildSpan| self.parts.is(child, name.as_bytes(), ns.as_bytes());
        self.parts.children.iter().find(found).map(|child| self.parts.child(child))
    }

    /// The only child element of an IQ request; none when there is not exactly one (RFC 6120 §8.2.3).
    pub fn payload(&self) -> Option<Child<'_>> {
        match &*self.parts.children {
            [child] => Some(self.parts.child(child)),
            _ => None,
        }
    }

    /// What a message is worth keeping, copying or waking somebody for.
    pub fn content(&self) -> Content {
        content::classify(self.kind(), self.parts.names())
    }

    /// What the sender asks to be done with a message (XEP-0334).
    pub fn hints(&self) -> Hints {
        content::hints(self.kind(), self.parts.names())
    }

    /// The same with another `to` (and type, id, content kept).
    pub fn with_to(&self, to: Option<&Jid>) -> Stanza {
        self.readdressed(self.from().cloned(), to.cloned())
    }

    /// The same with another `from`.
    pub fn with_from(&self, from: Option<&Jid>) -> Stanza {
        self.readdressed(from.cloned(), self.to().cloned())
    }

    /// The same with both addresses exchanged for others.
    pub fn with_addresses(&self, from: Option<&Jid>, to: Option<&Jid>) -> Stanza {
        self.readdressed(from.cloned(), to.cloned())
    }

    /// The same with `xml`, one element or several, added after its last child.
    pub fn with_child(&self, xml: &str) -> Stanza {
        canonical::with_child(&self.parts, xml)
    }

    /// The same without the children for which `drop` says so; the same buffer when there is none.
    pub fn without(&self, drop: impl Fn(Child<'_>) -> bool) -> Stanza {
        let doomed = |child: &ChildSpan| drop(self.parts.child(child));
        canonical::without(&self.parts, doomed).unwrap_or_else(|| self.clone())
    }

    /// The same with this content in place of its own.
    pub fn with_inner(&self, inner: &str) -> Stanza {
        let id = self.id();
        Draft {
            kind: self.kind(),
            from: self.from(),
            to: self.to(),
            id,
            lang: self.lang(),
            explicit_normal: false,
        }
        .build(inner)
    }

    /// The error that answers this stanza: `from` and `to` swapped, `id` kept (RFC 6120 §8.3.1).
    /// None for errors and IQ results, which are never answered.
    pub fn error_reply(&self, error: &StanzaError) -> Option<Stanza> {
        if self.kind().is_error() || self.kind() == Kind::Iq(IqType::Result) {
            return None;
        }
        Some(self.reply(self.kind().to_error(), &error.to_xml()))
    }

    /// The result that answers this IQ: `from` and `to` swapped, `id` kept.
    pub fn result_reply(&self, inner: &str) -> Stanza {
        self.reply(Kind::Iq(IqType::Result), inner)
    }

    fn reply(&self, kind: Kind, inner: &str) -> Stanza {
        // RFC 6120 §8.2.3: the id of an answer to an IQ is there even if the request had none.
        let id = self.id().or((kind.name() == StanzaName::Iq).then_some(""));
        Draft { kind, from: self.to(), to: self.from(), id, lang: None, explicit_normal: false }.build(inner)
    }

    fn readdressed(&self, from: Option<Jid>, to: Option<Jid>) -> Stanza {
        canonical::readdress(&self.parts, from, to)
    }
}

impl Parts {
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.xml))
            .expect("invariant: spans lie on boundaries of characters in UTF-8")
    }

    fn child<'s>(&'s self, child: &ChildSpan) -> Child<'s> {
        Child {
            name: self.text(child.name),
            ns: std::str::from_utf8(self.ns(child.ns)).expect("invariant: a namespace is UTF-8"),
            xml: self.text(child.span),
            stanza: self,
        }
    }

    fn ns(&self, ns: Ns) -> &[u8] {
        match ns {
            Ns::Content | Ns::Header(_) => ns::CLIENT.as_bytes(),
            Ns::None => b"",
            Ns::Xml => ns::XML.as_bytes(),
            Ns::Streams => ns::STREAMS.as_bytes(),
            Ns::Here(span) => span.of(&self.xml),
            Ns::Escaped(span) => {
                let decoded = self.decoded.iter().flat_map(|decoded| &decoded.namespaces);
                decoded
                    .into_iter()
                    .find(|(start, _)| *start == span.start)
                    .map_or(b"", |(_, name)| name.as_bytes())
            }
        }
    }

    fn is(&self, child: &ChildSpan, name: &[u8], ns: &[u8]) -> bool {
        child.name.of(&self.xml) == name && self.ns(child.ns) == ns
    }

    /// Names and namespaces of the children.
    fn names(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.children.iter().map(|child| (child.name.of(&self.xml), self.ns(child.ns)))
    }
}

impl fmt::Debug for Stanza {
    /// Kind, addresses and id; never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stanza")
            .field("kind", &self.kind())
            .field("from", &self.from())
            .field("to", &self.to())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Stanza {
    /// Byte for byte.
    fn eq(&self, other: &Stanza) -> bool {
        self.xml() == other.xml()
    }
}

impl Eq for Stanza {}
