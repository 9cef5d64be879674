//! The strict parser of one first-level element, or of a stream header.
//!
//! It goes over the bytes once. Where they end it remembers where it was, as offsets, and goes on
//! when it is called with more of them: nothing is read twice but a name that was cut in two. What
//! it has to say about some bytes therefore never depends on how they were split. Nothing is
//! copied; what it found are [`Span`]s.
//!
//! UTF-8 is checked by the caller when the element is complete; until then a byte above 0x7F is
//! taken as part of a character that may stand where it stands.

use super::chars::{NAME, NAME_START, SPACE, TEXT, VALUE, any_special_in_text, any_special_in_value};
use super::chars::{check_name, is, run};
use super::fault::Fault;
use super::limits::{Limits, StreamNamespaces};
use super::scope::Scope;
use super::span::{Attr, ChildSpan, Ns, Parsed, STREAM_PREFIX, Span};
use crate::escape;
use smallvec::SmallVec;

/// How far a call got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All bytes are read, the element is not complete.
    More,
    /// The element (or the header's start tag) ends before this offset.
    Done(usize),
}

/// What to read, and within which bounds.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub(super) limits: &'c Limits,
    pub(super) names: &'c StreamNamespaces,
    /// Stop after the start tag.
    pub(super) header: bool,
}

/// What is expected at `pos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Text or markup.
    Content,
    /// In a start tag, between attributes.
    Tag,
    /// After an attribute's name.
    Equals,
    /// After the `=`.
    Quote,
    /// In an attribute's value, with this quote.
    Value(u8),
    /// At the `<` of an end tag.
    EndTag,
    /// At the `<` of a CDATA section.
    Cdata,
}

/// The parser with what it remembers.
pub(super) struct Parser {
    phase: Phase,
    /// The first byte that is not dealt with.
    pos: usize,
    /// How far the text, value, end tag or CDATA section at `pos` was searched for its end.
    seen: usize,
    /// Whether a reference stands between `pos` and `seen`.
    references: bool,
    /// In a start tag: whether white space stands before `pos`.
    spaced: bool,
    /// In a start tag: whether an attribute declares a namespace.
    declares: bool,
    /// In a start tag: attributes with a prefix, declarations left out.
    prefixed: u16,
    /// Name of the start tag, with its prefix.
    tag: Span,
    tag_prefix_len: u16,
    /// The attribute being read; its value is not known yet.
    attr: Attr,
    /// Attributes of the first-level element, then those of the start tag being read.
    attrs: SmallVec<[Attr; 8]>,
    root_attrs: usize,
    /// Names of open elements, with their prefixes.
    open: SmallVec<[Span; 8]>,
    scope: Scope,
    children: SmallVec<[ChildSpan; 4]>,
    root: Span,
    root_prefix_len: u16,
    root_ns: Ns,
    inner: Span,
    header_prefixes: u32,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            phase: Phase::Content,
            pos: 0,
            seen: 0,
            references: false,
            spaced: false,
            declares: false,
            prefixed: 0,
            tag: Span::EMPTY,
            tag_prefix_len: 0,
            attr: Attr { name: 0, name_len: 0, prefix_len: 0, value: Span::EMPTY, plain: true },
            attrs: SmallVec::new(),
            root_attrs: 0,
            open: SmallVec::new(),
            scope: Scope::default(),
            children: SmallVec::new(),
            root: Span::EMPTY,
            root_prefix_len: 0,
            root_ns: Ns::None,
            inner: Span::EMPTY,
            header_prefixes: 0,
        }
    }
}

/// What a step of the parser leaves: go on, wait for bytes, or complete.
type Step = Result<Option<Progress>, Fault>;

impl Parser {
    /// Goes on over `bytes`, which start with the bytes of the calls before.
    pub(super) fn run(&mut self, bytes: &[u8], context: Context<'_>) -> Result<Progress, Fault> {
        loop {
            let step = match self.phase {
                Phase::Content => self.content(bytes, context)?,
                Phase::Tag => self.in_tag(bytes, context)?,
                Phase::Equals => self.equals(bytes)?,
                Phase::Quote => self.quote(bytes)?,
                Phase::Value(quote) => self.value(bytes, quote)?,
                Phase::EndTag => self.end_tag(bytes)?,
                Phase::Cdata => self.cdata(bytes)?,
            };
            if let Some(progress) = step {
                return Ok(progress);
            }
        }
    }

    /// What was found, after [`Progress::Done`].
    pub(super) fn finish(self) -> Parsed {
        Parsed {
            name: self.root,
            prefix_len: self.root_prefix_len,
            ns: self.root_ns,
            attrs: self.attrs,
            children: self.children,
            inner: self.inner,
            header_prefixes: self.header_prefixes,
        }
    }

    /// Moves on to `pos`, where `phase` is expected.
    #[inline]
    fn go(&mut self, phase: Phase, pos: usize) {
        self.phase = phase;
        self.pos = pos;
        self.seen = pos;
    }

    /// Remembers that there is nothing before `seen` that ends what is being read.
    fn wait(&mut self, seen: usize) -> Step {
        self.seen = seen;
        Ok(Some(Progress::More))
    }

    fn content(&mut self, bytes: &[u8], context: Context<'_>) -> Step {
        let at = match self.text(bytes)? {
            Some(at) => at,
            None => return Ok(Some(Progress::More)),
        };
        self.go(Phase::Content, at);
        match bytes.get(at + 1) {
            None => Ok(Some(Progress::More)),
            Some(b'/') => {
                self.go(Phase::EndTag, at);
                self.end_tag(bytes)
            }
            Some(b'!') if self.open.is_empty() => match bytes.get(at + 2) {
                None => Ok(Some(Progress::More)),
                Some(b'[') => Err(Fault::TextBetween),
                Some(_) => Err(Fault::Markup),
            },
            Some(b'!') => {
                self.go(Phase::Cdata, at);
                Ok(None)
            }
            Some(b'?') => Err(Fault::ProcessingInstruction), // RFC 6120 §11.1
            Some(_) => self.start_tag(bytes, at + 1, context),
        }
    }

    /// Goes over character data; gives the `<` after it, or none where it does not end.
    #[inline]
    fn text(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        if self.seen == self.pos {
            if bytes.get(self.pos) == Some(&b'<') {
                return Ok(Some(self.pos));
            }
            // Nearly always the text is whole and there is nothing in it to look at.
            let rest = &bytes[self.pos..];
            if let Some(len) = memchr::memchr(b'<', rest)
                && !any_special_in_text(&rest[..len])
            {
                return Ok(Some(self.pos + len));
            }
        }
        let mut at = self.seen;
        loop {
            at = run(bytes, at, TEXT);
            match bytes.get(at) {
                None => {
                    self.seen = at;
                    return Ok(None);
                }
                Some(b'<') => break,
                Some(b'&') => self.references = true,
                // XML 1.0 §2.4: `]]>` must not appear in content.
                Some(b'>') if bytes[self.pos..at].ends_with(b"]]") => return Err(Fault::CdataEndInText),
                Some(b'>') => {}
                Some(_) => return Err(Fault::Control),
            }
            at += 1;
        }
        if self.references {
            self.references = false;
            check_references(&bytes[self.pos..at])?;
        }
        Ok(Some(at))
    }

    /// At the name of a start tag.
    #[inline]
    fn start_tag(&mut self, bytes: &[u8], at: usize, context: Context<'_>) -> Step {
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

    fn in_tag(&mut self, bytes: &[u8], context: Context<'_>) -> Step {
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

    fn equals(&mut self, bytes: &[u8]) -> Step {
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

    fn quote(&mut self, bytes: &[u8]) -> Step {
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
    fn value(&mut self, bytes: &[u8], quote: u8) -> Step {
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

    fn end_tag(&mut self, bytes: &[u8]) -> Step {
        let Some(&open) = self.open.last() else {
            return Err(Fault::EndTag);
        };
        let name = open.of(bytes);
        let start = self.pos + 2;
        let there = &bytes[start..bytes.len().min(start + name.len())];
        if there != &name[..there.len()] {
            return Err(Fault::EndTag);
        }
        if there.len() < name.len() {
            return Ok(Some(Progress::More));
        }
        let at = run(bytes, self.seen.max(start + name.len()), SPACE);
        match bytes.get(at) {
            None => return self.wait(at),
            Some(b'>') => {}
            Some(_) => return Err(Fault::EndTag),
        }
        let depth = self.open.len();
        self.open.pop();
        self.scope.close(depth as u16);
        match depth {
            1 => self.inner.end = self.pos as u32,
            2 => {
                if let Some(child) = self.children.last_mut() {
                    child.span.end = at as u32 + 1;
                }
            }
            _ => {}
        }
        self.go(Phase::Content, at + 1);
        Ok((depth == 1).then_some(Progress::Done(at + 1)))
    }

    /// XML 1.0 §2.7. RFC 6120 §11.1 does not forbid it.
    fn cdata(&mut self, bytes: &[u8]) -> Step {
        const START: &[u8] = b"<![CDATA[";
        let there = &bytes[self.pos..bytes.len().min(self.pos + START.len())];
        if there != &START[..there.len()] {
            return Err(Fault::Markup); // RFC 6120 §11.1
        }
        if there.len() < START.len() {
            return Ok(Some(Progress::More));
        }
        let start = self.pos + START.len();
        let mut from = self.seen.max(start);
        loop {
            let Some(found) = memchr::memchr(b'>', &bytes[from..]) else {
                return self.wait(bytes.len());
            };
            let at = from + found;
            if bytes[start..at].ends_with(b"]]") {
                if bytes[start..at].iter().any(|&byte| !is(byte, TEXT) && byte < b' ') {
                    return Err(Fault::Control);
                }
                self.go(Phase::Content, at + 1);
                return Ok(None);
            }
            from = at + 1;
        }
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

/// Only the predefined entities and references to characters (RFC 6120 §11.1).
fn check_references(text: &[u8]) -> Result<(), Fault> {
    for at in memchr::memchr_iter(b'&', text) {
        let tail = &text[at..];
        // A reference is ASCII; what is not is none, so a broken character may be left out.
        let ascii = tail.iter().position(|byte| !byte.is_ascii()).unwrap_or(tail.len()).min(32);
        let known = std::str::from_utf8(&tail[..ascii]).ok().and_then(escape::parse_reference);
        if known.is_none() {
            let end = run(tail, 1, NAME);
            return Err(match tail.get(end) {
                Some(b';') if check_name(&tail[1..end]).is_ok() => Fault::Entity,
                _ => Fault::Reference,
            });
        }
    }
    Ok(())
}
