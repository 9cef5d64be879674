//! Writing stanzas in their canonical form, and changing them without parsing them again.

use super::{Decoded, Kind, MessageType, Parts, Stanza};
use crate::Jid;
use crate::escape::escape_attr;
use crate::framing::reader::scan_element;
use crate::framing::span::{ChildSpan, Children, Ns, Span};
use crate::framing::{Content, Limits, StreamNamespaces};
use bytes::Bytes;
use std::sync::Arc;

/// What stands around the content of a canonical stanza.
pub(super) const NAMES: &StreamNamespaces = &StreamNamespaces::usual(Content::Client);

/// Of stanzas that were within their stream's limits before, and have grown a little since.
pub(super) const LIMITS: Limits =
    Limits { stanza_bytes_max: u32::MAX, children_max: u16::MAX, depth_max: 512, ..Limits::DEFAULT };

/// What goes into a start tag.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) from: Option<&'a Jid>,
    pub(super) to: Option<&'a Jid>,
    pub(super) id: Option<&'a str>,
    pub(super) lang: Option<&'a str>,
    /// Whether to write out `type='normal'`, because the sender did.
    pub(super) explicit_normal: bool,
}

/// A start tag that is written: where its parts are.
pub(super) struct StartTag {
    pub(super) rest: u32,
    pub(super) id: Option<Span>,
    pub(super) lang: Option<Span>,
    /// What had to be escaped, as it is.
    pub(super) decoded: Option<Box<Decoded>>,
}

impl Draft<'_> {
    /// Writes the start tag up to where further attributes may follow.
    pub(super) fn start(&self, out: &mut String) -> StartTag {
        out.push('<');
        out.push_str(self.kind.name().as_str());
        address(out, " from='", self.from);
        address(out, " to='", self.to);
        let rest = out.len() as u32;
        match self.kind.type_str() {
            Some(text) => {
                out.push_str(" type='");
                out.push_str(text);
                out.push('\'');
            }
            None if self.explicit_normal && self.kind == Kind::Message(MessageType::Normal) => {
                out.push_str(" type='normal'")
            }
            None => {}
        }
        let mut tag = StartTag { rest, id: None, lang: None, decoded: None };
        if let Some(id) = self.id {
            let (span, changed) = value(out, " id='", id);
            tag.id = Some(span);
            if changed {
                tag.decoded.get_or_insert_default().id = Some(id.into());
            }
        }
        if let Some(lang) = self.lang {
            let (span, changed) = value(out, " xml:lang='", lang);
            tag.lang = Some(span);
            if changed {
                tag.decoded.get_or_insert_default().lang = Some(lang.into());
            }
        }
        tag
    }

    /// The stanza with this content.
    pub(super) fn build(&self, inner: &str) -> Stanza {
        let addresses =
            self.from.map_or(0, |jid| jid.as_str().len()) + self.to.map_or(0, |jid| jid.as_str().len());
        let mut out = String::with_capacity(inner.len() + addresses + self.id.map_or(0, str::len) + 80);
        let mut tag = self.start(&mut out);
        let span = finish(&mut out, self.kind, inner);
        let children = scan(inner, span.start, &mut tag.decoded);
        Stanza {
            parts: Arc::new(Parts {
                xml: Bytes::from(out),
                from: self.from.cloned(),
                to: self.to.cloned(),
                kind: self.kind,
                rest: tag.rest,
                inner: span,
                id: tag.id,
                lang: tag.lang,
                children,
                decoded: tag.decoded,
            }),
        }
    }
}

/// Closes the start tag, adds the content and the end tag; says where the content is.
pub(super) fn finish(out: &mut String, kind: Kind, inner: &str) -> Span {
    if inner.is_empty() {
        let at = out.len();
        out.push_str("/>");
        return Span::new(at, at);
    }
    out.push('>');
    let start = out.len();
    out.push_str(inner);
    let span = Span::new(start, out.len());
    out.push_str("</");
    out.push_str(kind.name().as_str());
    out.push('>');
    span
}

fn address(out: &mut String, name: &str, jid: Option<&Jid>) {
    if let Some(jid) = jid {
        value(out, name, jid.as_str());
    }
}

/// Writes an attribute; says where its value is and whether something had to be escaped.
pub(super) fn value(out: &mut String, name: &str, text: &str) -> (Span, bool) {
    out.push_str(name);
    let start = out.len();
    escape_attr(text, out);
    let span = Span::new(start, out.len());
    out.push('\'');
    (span, out.len() - 1 - start != text.len())
}

/// The children in `inner`, content made by this server, which starts at `at` in the stanza.
fn scan(inner: &str, at: u32, decoded: &mut Option<Box<Decoded>>) -> Children {
    let mut children = Children::new();
    let mut done = 0;
    while let Some(start) = memchr::memchr(b'<', &inner.as_bytes()[done..]) {
        let start = done + start;
        let Ok(element) = scan_element(&inner[start..], NAMES, &LIMITS) else {
            debug_assert!(false, "invariant: content made by the server is well-formed");
            break;
        };
        let shift = Shift { old: 0, new: at + start as u32 };
        let child = shift.child(&element.child);
        if let (Ns::Escaped(Span { start, .. }), Some(name)) = (child.ns, element.ns_decoded) {
            decoded.get_or_insert_default().namespaces.push((start, name));
        }
        children.push(child);
        done = start + element.child.span.end as usize;
    }
    children
}

/// The same stanza with other addresses.
pub(super) fn readdress(parts: &Parts, from: Option<Jid>, to: Option<Jid>) -> Stanza {
    let rest = parts.text(Span { start: parts.rest, end: parts.xml.len() as u32 });
    let addresses = [&from, &to].into_iter().flatten().map(|jid| jid.as_str().len() + 16).sum::<usize>();
    let mut out = String::with_capacity(rest.len() + addresses + 16);
    out.push('<');
    out.push_str(parts.kind.name().as_str());
    address(&mut out, " from='", from.as_ref());
    address(&mut out, " to='", to.as_ref());
    let shift = Shift { old: parts.rest, new: out.len() as u32 };
    out.push_str(rest);
    let mut decoded = parts.decoded.clone();
    if let Some(decoded) = &mut decoded {
        decoded.namespaces.iter_mut().for_each(|(start, _)| *start = shift.at(*start));
    }
    Stanza {
        parts: Arc::new(Parts {
            xml: Bytes::from(out),
            from,
            to,
            kind: parts.kind,
            rest: shift.new,
            inner: shift.span(parts.inner),
            id: parts.id.map(|span| shift.span(span)),
            lang: parts.lang.map(|span| shift.span(span)),
            children: parts.children.iter().map(|child| shift.child(child)).collect(),
            decoded,
        }),
    }
}

/// The same stanza with `xml` after its content.
pub(super) fn with_child(parts: &Parts, xml: &str) -> Stanza {
    let old = parts.text(parts.inner);
    let mut out = String::with_capacity(parts.xml.len() + xml.len() + 12);
    out.push_str(parts.text(parts.start_tag()));
    let inner = if old.is_empty() {
        finish(&mut out, parts.kind, xml)
    } else {
        out.push('>');
        out.push_str(old);
        out.push_str(xml);
        let inner = Span { start: parts.inner.start, end: out.len() as u32 };
        out.push_str("</");
        out.push_str(parts.kind.name().as_str());
        out.push('>');
        inner
    };
    let mut children = parts.children.clone();
    let mut decoded = parts.decoded.clone();
    children.extend(scan(xml, inner.end - xml.len() as u32, &mut decoded));
    parts.with_content(out, inner, children, decoded)
}

/// The same stanza without some children; none when it has none of them.
pub(super) fn without(parts: &Parts, doomed: impl Fn(&ChildSpan) -> bool) -> Option<Stanza> {
    if !parts.children.iter().any(&doomed) {
        return None;
    }
    let mut inner = String::with_capacity(parts.inner.end as usize - parts.inner.start as usize);
    let mut kept: Children = Children::new();
    let mut decoded = parts.decoded.clone();
    if let Some(decoded) = &mut decoded {
        // Those of the content move with their children, or go.
        decoded.namespaces.retain(|(start, _)| *start < parts.inner.start);
    }
    let mut done = parts.inner.start;
    for child in &parts.children {
        let end = if doomed(child) { child.span.start } else { child.span.end };
        inner.push_str(parts.text(Span { start: done, end }));
        done = child.span.end;
        if end == child.span.end {
            let shift = Shift { old: end, new: parts.inner.start + inner.len() as u32 };
            let moved = shift.child_from(child, parts.inner.start);
            if let (Ns::Escaped(old), Ns::Escaped(new)) = (child.ns, moved.ns)
                && old.start >= parts.inner.start
            {
                let name = String::from_utf8_lossy(parts.ns(child.ns)).into_owned();
                decoded.get_or_insert_default().namespaces.push((new.start, name.into()));
            }
            kept.push(moved);
        }
    }
    inner.push_str(parts.text(Span { start: done, end: parts.inner.end }));
    let mut out = String::with_capacity(parts.xml.len());
    out.push_str(parts.text(parts.start_tag()));
    let span = finish(&mut out, parts.kind, &inner);
    Some(parts.with_content(out, span, kept, decoded))
}

impl Parts {
    /// The stanza of which only the content changed.
    fn with_content(
        &self,
        xml: String,
        inner: Span,
        children: Children,
        decoded: Option<Box<Decoded>>,
    ) -> Stanza {
        Stanza {
            parts: Arc::new(Parts {
                xml: Bytes::from(xml),
                from: self.from.clone(),
                to: self.to.clone(),
                kind: self.kind,
                rest: self.rest,
                inner,
                id: self.id,
                lang: self.lang,
                children,
                decoded,
            }),
        }
    }

    /// The start tag without the `>` or `/>` that ends it.
    pub(super) fn start_tag(&self) -> Span {
        let closed = self.xml[self.inner.end as usize..].starts_with(b"/>");
        Span { start: 0, end: self.inner.start - u32::from(!closed) }
    }
}

/// Moves spans: what was at `old` is at `new`.
pub(super) struct Shift {
    pub(super) old: u32,
    pub(super) new: u32,
}

impl Shift {
    fn at(&self, offset: u32) -> u32 {
        offset.wrapping_sub(self.old).wrapping_add(self.new)
    }

    pub(super) fn span(&self, span: Span) -> Span {
        Span { start: self.at(span.start), end: self.at(span.end) }
    }

    fn child(&self, child: &ChildSpan) -> ChildSpan {
        self.child_from(child, 0)
    }

    /// The same where the start tag, before `from`, does not move.
    fn child_from(&self, child: &ChildSpan, from: u32) -> ChildSpan {
        let ns = match child.ns {
            Ns::Here(span) if span.start >= from => Ns::Here(self.span(span)),
            Ns::Escaped(span) if span.start >= from => Ns::Escaped(self.span(span)),
            ns => ns,
        };
        ChildSpan { span: self.span(child.span), name: self.span(child.name), ns }
    }
}
