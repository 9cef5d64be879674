//! Start tags: names, attributes, and what they declare.

use super::chars::{NAME, NAME_START, SPACE, VALUE, any_special_in_value, check_name, is, run};
use super::fault::Fault;
use super::limits::Limits;
use super::parser::{Context, Parser, Phase, Progress, Step, check_references};
use super::span::{Attr, ChildSpan, Ns, STREAM_PREFIX, Span};
use smallvec::SmallVec;

impl Parser {
    /// At the name of a start tag.
    #[inline]
    pub(super) fn start_tag(&mut self, bytes: &[u8], at: usize, context: Context<'_>) -> Step {
        let Some((end, prefix_len)) = name_at(bytes, at, context.limits)? else {
            return Ok(Some(Progress::More));
        };
        self.tag = Span::new(at, end);
        self.tag_prefix_len = prefix_len;
        self.spaced = false;
        self.declares = false;
        self.prefixed = 0;
        self.go(Phase::Tag, end);
        self.in_tag(bytes, context)
    }

    pub(super) fn in_tag(&mut self, bytes: &[u8], context: Context<'_>) -> Step {
        loop {
            let at = run(bytes, self.pos, SPACE);
            self.spaced |= at > self.pos;
            self.pos = at;
            match bytes.get(at) {
                None => return Ok(Some(Progress::More)),
                Some(b'>') => return self.open_element(bytes, at, false, context),
                Some(b'/') => {
                    return match bytes.get(at + 1) {
                        None => Ok(Some(Progress::More)),
                        Some(b'>') => self.open_element(bytes, at, true, context),
                        Some(_) => Err(Fault::Slash),
                    };
                }
                Some(_) if !self.spaced => return Err(Fault::NoSpace),
                Some(_) => {}
            }
            let Some((end, prefix_len)) = name_at(bytes, at, context.limits)? else {
                return Ok(Some(Progress::More));
            };
            if self.attrs.len() - self.root_attrs >= usize::from(context.limits.attributes_max) {
                return Err(Fault::TooManyAttributes);
            }
            self.attr = Attr {
                name: at as u32,
                name_len: (end - at) as u16,
                prefix_len,
                value: Span::EMPTY,
                plain: true,
            };
            // Nearly always the value follows at once.
            match bytes.get(end..end + 2) {
                Some(&[b'=', quote @ (b'\'' | b'"')]) => {
                    self.go(Phase::Value(quote), end + 2);
                    if let Some(progress) = self.value(bytes, quote)? {
                        return Ok(Some(progress));
                    }
                }
                _ => {
                    self.go(Phase::Equals, end);
                    return Ok(None);
                }
            }
        }
    }

    pub(super) fn equals(&mut self, bytes: &[u8]) -> Step {
        self.pos = run(bytes, self.pos, SPACE);
        match bytes.get(self.pos) {
            None => Ok(Some(Progress::More)),
            Some(b'=') => {
                self.go(Phase::Quote, self.pos + 1);
                Ok(None)
            }
            Some(_) => Err(Fault::NoValue),
        }
    }

    pub(super) fn quote(&mut self, bytes: &[u8]) -> Step {
        self.pos = run(bytes, self.pos, SPACE);
        match bytes.get(self.pos) {
            None => Ok(Some(Progress::More)),
            Some(&quote @ (b'\'' | b'"')) => {
                self.go(Phase::Value(quote), self.pos + 1);
                Ok(None)
            }
            Some(_) => Err(Fault::NoQuotes),
        }
    }

    #[inline]
    pub(super) fn value(&mut self, bytes: &[u8], quote: u8) -> Step {
        if self.seen == self.pos {
            let rest = &bytes[self.pos..];
            if let Some(len) = memchr::memchr(quote, rest)
                && !any_special_in_value(&rest[..len])
            {
                self.push_attr(bytes, self.pos + len);
                return Ok(None);
            }
        }
        let mut at = self.seen;
        loop {
            at = run(bytes, at, VALUE);
            match bytes.get(at) {
                None => return self.wait(at),
                Some(&byte) if byte == quote => break,
                Some(b'\'' | b'"') => {}
                Some(b'&') => {
                    self.references = true;
                    self.attr.plain = false;
                }
                Some(b'\t' | b'\n' | b'\r') => self.attr.plain = false,
                Some(b'<') => return Err(Fault::LessInValue),
                Some(_) => return Err(Fault::Control),
            }
            at += 1;
        }
        if self.references {
            self.references = false;
            check_references(&bytes[self.pos..at])?;
        }
        self.push_attr(bytes, at);
        Ok(None)
    }

    /// The value of an attribute is complete; `at` is its closing quote.
    #[inline]
    fn push_attr(&mut self, bytes: &[u8], at: usize) {
        let attr = Attr { value: Span::new(self.pos, at), ..self.attr };
        if attr.is_declaration(bytes) {
            self.declares = true;
        } else if attr.prefix_len > 0 {
            self.prefixed += 1;
        }
        self.attrs.push(attr);
        self.spaced = false;
        self.go(Phase::Tag, at + 1);
    }

    /// A start tag is complete; `at` is its `>` or `/`.
    fn open_element(&mut self, bytes: &[u8], at: usize, empty: bool, context: Context<'_>) -> Step {
        let depth = self.open.len() + 1;
        if depth > usize::from(context.limits.depth_max) {
            return Err(Fault::TooDeep);
        }
        let ns = self.resolve_tag(bytes, depth as u16, context)?;
        let skip = if self.tag_prefix_len > 0 { u32::from(self.tag_prefix_len) + 1 } else { 0 };
        let local = Span { start: self.tag.start + skip, end: self.tag.end };
        let end = at + if empty { 2 } else { 1 };
        match depth {
            1 => {
                self.root = local;
                self.root_prefix_len = self.tag_prefix_len;
                self.root_ns = ns;
                self.root_attrs = self.attrs.len();
                let inner = if empty { at } else { end };
                self.inner = Span::new(inner, inner);
                if context.header {
                    return Ok(Some(Progress::Done(end)));
                }
            }
            2 => {
                if self.children.len() >= usize::from(context.limits.children_max) {
                    return Err(Fault::TooManyChildren);
                }
                let span = Span { start: self.tag.start - 1, end: end as u32 };
                self.children.push(ChildSpan { span, name: local, ns });
            }
            _ => {}
        }
        self.attrs.truncate(self.root_attrs);
        self.go(Phase::Content, end);
        if !empty {
            self.open.push(self.tag);
            return Ok(None);
        }
        self.scope.close(depth as u16);
        Ok((depth == 1).then_some(Progress::Done(end)))
    }

    /// Checks the attributes of a start tag, takes in what it declares and resolves its prefixes.
    fn resolve_tag(&mut self, bytes: &[u8], depth: u16, context: Context<'_>) -> Result<Ns, Fault> {
        let names = context.names;
        let attrs = &self.attrs[self.root_attrs..];
        check_duplicates(bytes, attrs)?;
        if self.declares {
            for attr in attrs.iter().filter(|attr| attr.is_declaration(bytes)) {
                if self.scope.len() >= usize::from(context.limits.declarations_max) {
                    return Err(Fault::TooManyDeclarations);
                }
                self.scope.declare(bytes, attr, depth, names)?;
            }
        }
        if self.prefixed > 0 {
            let mut seen: SmallVec<[(Ns, Span); 4]> = SmallVec::new();
            for attr in attrs.iter().filter(|attr| attr.prefix_len > 0 && !attr.is_declaration(bytes)) {
                let ns = self.scope.resolve(bytes, attr.prefix(bytes), names)?;
                self.header_prefixes |= header_bit(ns);
                let local = attr.local_span();
                let twice = |&(other, name): &(Ns, Span)| {
                    name.of(bytes) == local.of(bytes) && self.scope.same(bytes, other, ns, names)
                };
                if seen.iter().any(twice) {
                    return Err(Fault::AttributeTwice); // Namespaces in XML §6.3
                }
                seen.push((ns, local));
            }
        }
        if self.tag_prefix_len == 0 {
            // Deeper down nobody asks.
            return Ok(if depth <= 2 { self.scope.default_ns(names) } else { Ns::None });
        }
        let prefix = &self.tag.of(bytes)[..usize::from(self.tag_prefix_len)];
        if prefix == b"xmlns" {
            return Err(Fault::PrefixXmlns);
        }
        let ns = self.scope.resolve(bytes, prefix, names)?;
        self.header_prefixes |= header_bit(ns);
        if ns == Ns::Content {
            // RFC 6120 §4.8.5
            return Err(Fault::ContentPrefix);
        }
        Ok(ns)
    }
}

fn header_bit(ns: Ns) -> u32 {
    match ns {
        Ns::Streams => STREAM_PREFIX,
        Ns::Header(at) => 1 << at,
        _ => 0,
    }
}

/// The name that starts at `at`: its end and the length of its prefix. None where the bytes end
/// before the name does.
#[inline]
fn name_at(bytes: &[u8], at: usize, limits: &Limits) -> Result<Option<(usize, u16)>, Fault> {
    let mut colon = at;
    let mut colons = 0;
    let mut all = 0;
    let mut end = bytes.len();
    for (i, &byte) in bytes[at..].iter().enumerate() {
        if !is(byte, NAME) {
            end = at + i;
            break;
        }
        if byte == b':' {
            colons += 1;
            colon = at + i;
        }
        all |= byte;
    }
    if end - at > usize::from(limits.name_bytes_max) {
        return Err(Fault::NameTooLong);
    }
    if end == bytes.len() {
        return Ok(None);
    }
    let local = if colons == 0 { at } else { colon + 1 };
    let starts = |from: usize, to: usize| from < to && is(bytes[from], NAME_START);
    if colons > 1 || !starts(local, end) || (colons == 1 && !starts(at, colon)) {
        return Err(Fault::Name);
    }
    if all >= 0x80 {
        check_name(&bytes[local..end])?;
        if colons == 1 {
            check_name(&bytes[at..colon])?;
        }
    }
    Ok(Some((end, (colon - at) as u16)))
}

/// XML 1.0 §3.1: no attribute name may appear twice in a tag.
#[inline]
fn check_duplicates(bytes: &[u8], attrs: &[Attr]) -> Result<(), Fault> {
    for (at, attr) in attrs.iter().enumerate().skip(1) {
        let name = attr.name_span().of(bytes);
        if attrs[..at]
            .iter()
            .any(|other| other.name_len == attr.name_len && other.name_span().of(bytes) == name)
        {
            return Err(Fault::AttributeTwice);
        }
    }
    Ok(())
}
