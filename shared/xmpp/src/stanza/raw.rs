//! A stanza as a client sent it, and the one copy that makes it canonical.

use super::canonical::{Draft, Shift, finish, value};
use super::{Decoded, IqType, Kind, MessageType, Parts, PresenceType, Stanza, StanzaName};
use crate::error::{StanzaCondition, StanzaError};
use crate::escape::decode_attr;
use crate::framing::StreamNamespaces;
use crate::framing::span::{Attr, ChildSpan, Children, Ns, Parsed, STREAM_PREFIX, Span};
use crate::{Jid, ns};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// A stanza as read from a client's stream, borrowed from the reader's input.
pub struct RawStanza<'a> {
    xml: &'a str,
    name: StanzaName,
    parsed: Parsed,
    names: &'a StreamNamespaces,
}

/// The attributes that every stanza may have (RFC 6120 §8.1).
#[derive(Default)]
struct Common<'p> {
    from: Option<&'p Attr>,
    to: Option<&'p Attr>,
    kind: Option<&'p Attr>,
    id: Option<&'p Attr>,
    lang: Option<&'p Attr>,
    /// Whether there are others.
    others: bool,
}

/// Namespaces whose declaration is elsewhere in the canonical form: before and after.
type Moved = SmallVec<[(Ns, Ns); 2]>;

impl<'a> RawStanza<'a> {
    pub(crate) fn new(
        xml: &'a str,
        name: StanzaName,
        parsed: Parsed,
        names: &'a StreamNamespaces,
    ) -> RawStanza<'a> {
        RawStanza { xml, name, parsed, names }
    }

    /// Which stanza and type. An unknown IQ or presence type is `bad-request` (RFC 6120 §8.2.3).
    ///
    /// # Errors
    /// `bad-request`.
    pub fn kind(&self) -> Result<Kind, StanzaError> {
        let (kind, error) = self.kind_of(&self.common());
        error.map_or(Ok(kind), Err)
    }

    /// The stanza as it was sent.
    pub fn xml(&self) -> &'a str {
        self.xml
    }

    /// `from` as the client wrote it, unprepared, entities resolved.
    pub fn from_attr(&self) -> Option<Cow<'a, str>> {
        self.common().from.map(|attr| self.value(attr))
    }

    /// The canonical stanza with this sender. The error carries the canonical stanza without the
    /// attribute at fault, so that it can be answered.
    ///
    /// # Errors
    /// `jid-malformed` for `to`; `bad-request` for an unknown type, an IQ without an `id` and an IQ
    /// request that has not exactly one child (RFC 6120 §8.2.3).
    pub fn stamp(&self, from: &Jid) -> Result<Stanza, (Stanza, StanzaError)> {
        self.stamp_in(from, None)
    }

    /// The same, with the language of the stream for a stanza that does not say its own
    /// (RFC 6120 §8.1.5).
    ///
    /// # Errors
    /// As [`RawStanza::stamp`].
    pub fn stamp_in(&self, from: &Jid, lang: Option<&str>) -> Result<Stanza, (Stanza, StanzaError)> {
        let common = self.common();
        let (kind, bad_kind) = self.kind_of(&common);
        let mut error = bad_kind.or_else(|| self.check(kind, &common));
        let to = match common.to.map(|attr| Jid::parse(&self.value(attr))).transpose() {
            Ok(to) => to,
            Err(why) => {
                error.get_or_insert_with(|| StanzaError::new(StanzaCondition::JidMalformed, why.to_string()));
                None
            }
        };
        let stanza = self.build(kind, Some(from), to, lang, &common);
        match error {
            None => Ok(stanza),
            Some(error) => Err((stanza, error)),
        }
    }

    /// A canonical stanza that was written before, with the `from` it has.
    pub(super) fn restore(&self) -> Result<Stanza, StanzaError> {
        let common = self.common();
        let (kind, error) = self.kind_of(&common);
        if let Some(error) = error {
            return Err(error);
        }
        let address = |attr: Option<&Attr>| {
            let jid = attr.map(|attr| Jid::parse(&self.value(attr))).transpose();
            jid.map_err(|why| StanzaError::new(StanzaCondition::JidMalformed, why.to_string()))
        };
        let from = address(common.from)?;
        Ok(self.build(kind, from.as_ref(), address(common.to)?, None, &common))
    }

    fn value(&self, attr: &Attr) -> Cow<'a, str> {
        let raw = attr.value.text(self.xml);
        if attr.plain { Cow::Borrowed(raw) } else { decode_attr(raw) }
    }

    fn common(&self) -> Common<'_> {
        let mut common = Common::default();
        let bytes = self.xml.as_bytes();
        for attr in &self.parsed.attrs {
            let place = match attr.name_span().of(bytes) {
                b"from" => &mut common.from,
                b"to" => &mut common.to,
                b"type" => &mut common.kind,
                b"id" => &mut common.id,
                b"xml:lang" => &mut common.lang,
                b"xmlns" => continue,
                _ => {
                    common.others = true;
                    continue;
                }
            };
            *place = Some(attr);
        }
        common
    }

    /// The kind; for an unknown type one that can be answered, and the error.
    fn kind_of(&self, common: &Common<'_>) -> (Kind, Option<StanzaError>) {
        let text = common.kind.map(|attr| self.value(attr));
        match Kind::of(self.name, text.as_deref()) {
            Some(kind) => (kind, None),
            None => {
                let error = StanzaError::new(StanzaCondition::BadRequest, "an unknown type");
                let kind = match self.name {
                    StanzaName::Message => Kind::Message(MessageType::Normal),
                    StanzaName::Presence => Kind::Presence(PresenceType::Available),
                    StanzaName::Iq => Kind::Iq(IqType::Get),
                };
                (kind, Some(error))
            }
        }
    }

    /// RFC 6120 §8.2.3
    fn check(&self, kind: Kind, common: &Common<'_>) -> Option<StanzaError> {
        let Kind::Iq(iq) = kind else {
            return None;
        };
        if common.id.is_none() {
            return Some(StanzaError::new(StanzaCondition::BadRequest, "an IQ without an id"));
        }
        if matches!(iq, IqType::Get | IqType::Set) && self.parsed.children.len() != 1 {
            return Some(StanzaError::new(
                StanzaCondition::BadRequest,
                "an IQ request has exactly one child",
            ));
        }
        None
    }

    fn build(
        &self,
        kind: Kind,
        from: Option<&Jid>,
        to: Option<Jid>,
        lang: Option<&str>,
        common: &Common<'_>,
    ) -> Stanza {
        let inner = self.parsed.inner.text(self.xml);
        let addresses =
            [from, to.as_ref()].into_iter().flatten().map(|jid| jid.as_str().len()).sum::<usize>();
        let mut out = String::with_capacity(self.xml.len() + addresses + 32);
        let id = common.id.map(|attr| self.value(attr));
        let own_lang = common.lang.map(|attr| self.value(attr));
        let draft = Draft {
            kind,
            from,
            to: to.as_ref(),
            id: id.as_deref(),
            lang: own_lang.as_deref().or(lang),
            explicit_normal: common.kind.is_some_and(|attr| self.value(attr) == "normal"),
        };
        let mut tag = draft.start(&mut out);
        let mut moved = Moved::new();
        if common.others {
            self.write_others(&mut out, &mut moved);
        }
        if self.parsed.header_prefixes != 0 {
            self.write_header_prefixes(&mut out, &mut moved);
        }
        let span = finish(&mut out, kind, inner);
        let shift = Shift { old: self.parsed.inner.start, new: span.start };
        let children = self.moved_children(&shift, &moved, &mut tag.decoded);
        Stanza {
            parts: Arc::new(Parts {
                xml: Bytes::from(out),
                from: from.cloned(),
                to,
                kind,
                rest: tag.rest,
                inner: span,
                id: tag.id,
                lang: tag.lang,
                children,
                decoded: tag.decoded,
            }),
        }
    }

    /// Attributes and declarations of the sender's own.
    fn write_others(&self, out: &mut String, moved: &mut Moved) {
        for attr in &self.parsed.attrs {
            let name = attr.name_span().text(self.xml);
            if matches!(name, "from" | "to" | "type" | "id" | "xml:lang" | "xmlns") {
                continue;
            }
            out.push(' ');
            out.push_str(name);
            let (span, changed) = value(out, "='", &self.value(attr));
            if attr.prefix(self.xml.as_bytes()) == b"xmlns" {
                let old = if attr.plain { Ns::Here(attr.value) } else { Ns::Escaped(attr.value) };
                moved.push((old, if changed { Ns::Escaped(span) } else { Ns::Here(span) }));
            }
        }
    }

    /// Declarations of the stream header that the stanza depends on: it leaves that stream
    /// (RFC 6120 §4.8.5).
    fn write_header_prefixes(&self, out: &mut String, moved: &mut Moved) {
        let mut declare = |old: Ns, prefix: &str, name: &str| {
            let own = |attr: &Attr| {
                attr.prefix(self.xml.as_bytes()) == b"xmlns" && attr.local_span().text(self.xml) == prefix
            };
            if self.parsed.attrs.iter().any(own) {
                return; // The stanza declares it for itself.
            }
            out.push_str(" xmlns:");
            out.push_str(prefix);
            let (span, changed) = value(out, "='", name);
            moved.push((old, if changed { Ns::Escaped(span) } else { Ns::Here(span) }));
        };
        if self.parsed.header_prefixes & STREAM_PREFIX != 0 {
            declare(Ns::Streams, "stream", ns::STREAMS);
        }
        for at in (0..31).filter(|at| self.parsed.header_prefixes & (1 << at) != 0) {
            let (prefix, name) = self.names.header(at);
            declare(Ns::Header(at), prefix, name);
        }
    }

    /// The children where they are in the canonical form.
    fn moved_children(&self, shift: &Shift, moved: &Moved, decoded: &mut Option<Box<Decoded>>) -> Children {
        let mut children = Children::with_capacity(self.parsed.children.len());
        for child in &self.parsed.children {
            let ns = match child.ns {
                Ns::Here(span) if span.start >= self.parsed.inner.start => Ns::Here(shift.span(span)),
                Ns::Escaped(span) if span.start >= self.parsed.inner.start => Ns::Escaped(shift.span(span)),
                ns => moved.iter().find(|(old, _)| *old == ns).map_or(ns, |(_, new)| *new),
            };
            if let Ns::Escaped(Span { start, .. }) = ns {
                let name = child.ns.name(self.xml.as_bytes(), self.names);
                let name = String::from_utf8_lossy(&name).into_owned().into_boxed_str();
                decoded.get_or_insert_default().namespaces.push((start, name));
            }
            children.push(ChildSpan { span: shift.span(child.span), name: shift.span(child.name), ns });
        }
        children
    }
}
