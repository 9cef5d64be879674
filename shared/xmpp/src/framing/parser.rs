//! The strict parser of one first-level element, or of a stream header.
//!
//! It goes over the bytes once. Where they end it remembers where it was, as offsets, and goes on
//! when it is called with more of them: nothing is read twice but a name that was cut in two. What
//! it has to say about some bytes therefore never depends on how they were split. Nothing is
//! copied; what it found are [`Span`]s.
//!
//! UTF-8 is checked by the caller when the element is complete; until then a byte above 0x7F is
//! taken as part of a character that may stand where it stands.

use super::chars::{NAME, SPACE, TEXT, any_special_in_text};
use super::chars::{check_name, is, run};
use super::fault::Fault;
use super::limits::{Limits, StreamNamespaces};
use super::scope::Scope;
use super::span::{Attr, Children, Ns, Parsed, Span};
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
pub(super) enum Phase {
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
    pub(super) phase: Phase,
    /// The first byte that is not dealt with.
    pub(super) pos: usize,
    /// How far the text, value, end tag or CDATA section at `pos` was searched for its end.
    pub(super) seen: usize,
    /// Whether a reference stands between `pos` and `seen`.
    pub(super) references: bool,
    /// In a start tag: whether white space stands before `pos`.
    pub(super) spaced: bool,
    /// In a start tag: whether an attribute declares a namespace.
    pub(super) declares: bool,
    /// In a start tag: attributes with a prefix, declarations left out.
    pub(super) prefixed: u16,
    /// Name of the start tag, with its prefix.
    pub(super) tag: Span,
    pub(super) tag_prefix_len: u16,
    /// The attribute being read; its value is not known yet.
    pub(super) attr: Attr,
    /// Attributes of the first-level element, then those of the start tag being read.
    pub(super) attrs: SmallVec<[Attr; 8]>,
    pub(super) root_attrs: usize,
    /// Names of open elements, with their prefixes.
    pub(super) open: SmallVec<[Span; 8]>,
    pub(super) scope: Scope,
    pub(super) children: Children,
    pub(super) root: Span,
    pub(super) root_prefix_len: u16,
    pub(super) root_ns: Ns,
    pub(super) inner: Span,
    pub(super) header_prefixes: u32,
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
pub(super) type Step = Result<Option<Progress>, Fault>;

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
    pub(super) fn go(&mut self, phase: Phase, pos: usize) {
        self.phase = phase;
        self.pos = pos;
        self.seen = pos;
    }

    /// Remembers that there is nothing before `seen` that ends what is being read.
    pub(super) fn wait(&mut self, seen: usize) -> Step {
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

/// Only the predefined entities and references to characters (RFC 6120 §11.1).
pub(super) fn check_references(text: &[u8]) -> Result<(), Fault> {
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
