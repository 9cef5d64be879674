//! The strict streaming reader.
//!
//! What it hands out is forwarded to other clients as it stands, so it lets nothing through that
//! is not XML by the book (RFC 6120 §11): well-formed, namespace-well-formed, UTF-8, without
//! comments, processing instructions, declarations and entities of the peer's own.
//!
//! A stanza that lies whole in the input is parsed where it lies. One that does not is collected in
//! a buffer that goes away with it: between stanzas a reader holds nothing but its state.

use super::chars::{self, SPACE, run};
use super::fault::Fault;
use super::limits::{Content, Limits, StreamNamespaces};
use super::parser::{Context, Parser, Progress};
use super::prolog;
use super::span::{ChildSpan, Ns, Parsed, Span};
use crate::Element;
use crate::error::StreamError;
use crate::escape::decode_attr;
use crate::stanza::{RawStanza, StanzaName};

pub use super::prolog::StreamHeader;

/// What a peer sent.
// A stanza is the rule and lives on the stack for a moment; a box would cost it an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Frame<'a> {
    /// The stream header.
    Header(Box<StreamHeader>),
    /// A message, presence or IQ in the content namespace.
    Stanza(RawStanza<'a>),
    /// Any other first-level element.
    Nonza(Element),
    /// The end of the stream.
    Close,
}

/// Where in the life of a stream the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte.
    Start,
    /// After white space or the XML declaration, before the header.
    Prolog,
    /// Between first-level elements.
    Open,
    /// After the end of the stream.
    Closed,
}

/// An element of which not all bytes are here.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    parser: Parser,
    /// The element is complete and handed out.
    done: bool,
}

/// The reader of one stream.
pub struct Reader {
    limits: Limits,
    names: StreamNamespaces,
    state: State,
    partial: Option<Box<Partial>>,
}

/// A piece of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Declaration,
    Header,
    Element,
    Close,
}

/// What [`Reader::advance`] found: a unit, and where its bytes are.
struct Found {
    unit: Unit,
    /// How much of the input is used.
    used: usize,
    /// Where in the input it starts; none when it is in the buffer.
    start: Option<usize>,
    /// Its length.
    len: usize,
}

impl Reader {
    /// A reader of a client's stream.
    pub fn new(limits: Limits) -> Reader {
        Reader::for_content(limits, Content::Client)
    }

    /// A reader of a stream with this content namespace.
    pub fn for_content(limits: Limits, content: Content) -> Reader {
        Reader { limits, names: StreamNamespaces::bare(content), state: State::Start, partial: None }
    }

    /// Other limits from now on: after authentication a client may send more at once.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a new stream header (RFC 6120 §4.3.3). What was read of an element that is not
    /// complete is thrown away; the caller must throw away the input it has not yet passed when
    /// TLS was negotiated, for it came in the clear (§5.3.1).
    pub fn reset(&mut self) {
        self.names = StreamNamespaces::bare(self.names.content());
        self.state = State::Start;
        self.partial = None;
    }

    /// How many bytes of an incomplete element are held.
    pub fn buffered(&self) -> usize {
        self.partial.as_ref().filter(|partial| !partial.done).map_or(0, |partial| partial.bytes.len())
    }

    /// The namespaces that the stream header put in scope.
    pub fn namespaces(&self) -> &StreamNamespaces {
        &self.names
    }

    /// Reads the next frame from `input`; says how many of its bytes are used. Without a frame all
    /// are, and the rest has to arrive first. Call it until then: the buffer of a frame that came
    /// in pieces is freed by the next call.
    ///
    /// # Errors
    /// The stream error to end the stream with. The reader is of no use afterwards.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Frame<'a>>), StreamError> {
        let mut parser = Parser::default();
        let Some(found) = self.advance(input, &mut parser)? else {
            return Ok((input.len(), None));
        };
        let used = found.used;
        if found.unit == Unit::Close {
            self.state = State::Closed;
            self.partial = None;
            return Ok((used, Some(Frame::Close)));
        }
        let (bytes, parsed) = match (found.start, self.partial.as_mut()) {
            (None, Some(partial)) => {
                (&partial.bytes[..found.len], std::mem::take(&mut partial.parser).finish())
            }
            (start, _) => {
                let start = start.unwrap_or(0);
                (&input[start..start + found.len], parser.finish())
            }
        };
        let xml = chars::check_utf8(bytes)?;
        if found.unit == Unit::Header {
            let (header, names) = prolog::stream_header(xml, &parsed, self.names.content())?;
            self.names = names;
            self.state = State::Open;
            return Ok((used, Some(Frame::Header(Box::new(header)))));
        }
        Ok((used, Some(frame(xml, parsed, &self.names)?)))
    }

    /// Goes on to the end of the next unit that is of interest.
    fn advance(&mut self, input: &[u8], parser: &mut Parser) -> Result<Option<Found>, Fault> {
        let mut at = 0;
        loop {
            let found = match self.partial.take() {
                Some(partial) if !partial.done => self.resume(partial, input, at)?,
                _ => self.begin(input, at, parser)?,
            };
            match found {
                Some(Found { unit: Unit::Declaration, used, .. }) => {
                    self.state = State::Prolog;
                    self.partial = None;
                    at = used;
                }
                found => return Ok(found),
            }
        }
    }

    /// Looks for a unit that starts in the input.
    fn begin(&mut self, input: &[u8], at: usize, parser: &mut Parser) -> Result<Option<Found>, Fault> {
        let start = run(input, at, SPACE);
        if start > at && self.state == State::Start {
            self.state = State::Prolog;
        }
        if start == input.len() || self.state == State::Closed {
            return Ok(None);
        }
        let bytes = &input[start..];
        if bytes[0] != b'<' {
            return Err(self.stray(bytes[0]));
        }
        match self.unit(bytes, parser)? {
            Some((unit, len)) => Ok(Some(Found { unit, used: start + len, start: Some(start), len })),
            None => {
                let parser = std::mem::take(parser);
                self.partial = Some(Box::new(Partial { bytes: bytes.to_vec(), parser, done: false }));
                Ok(None)
            }
        }
    }

    /// Goes on with the unit of which the buffer holds the start.
    fn resume(&mut self, mut partial: Box<Partial>, input: &[u8], at: usize) -> Result<Option<Found>, Fault> {
        let before = partial.bytes.len();
        // One byte beyond the limit is enough to see that it is reached.
        let room = (self.bytes_max() + 1).saturating_sub(before);
        partial.bytes.extend_from_slice(&input[at..input.len().min(at + room)]);
        let unit = self.unit(&partial.bytes, &mut partial.parser)?;
        partial.done = unit.is_some();
        self.partial = Some(partial);
        Ok(unit.map(|(unit, len)| Found { unit, used: at + len - before, start: None, len }))
    }

    fn bytes_max(&self) -> usize {
        (match self.state {
            State::Start | State::Prolog => self.limits.header_bytes_max,
            State::Open | State::Closed => self.limits.stanza_bytes_max,
        }) as usize
    }

    /// The unit at the start of `bytes`, a `<`, and its length; none while it is incomplete.
    fn unit(&self, bytes: &[u8], parser: &mut Parser) -> Result<Option<(Unit, usize)>, Fault> {
        let bytes_max = self.bytes_max();
        let window = &bytes[..bytes.len().min(bytes_max)];
        let found = match (self.state, window.get(1)) {
            (_, None) => None,
            (State::Start, Some(b'?')) => {
                prolog::xml_declaration(window)?.map(|len| (Unit::Declaration, len))
            }
            (State::Open, Some(b'/')) => self.close_tag(window)?.map(|len| (Unit::Close, len)),
            (state, Some(_)) => {
                let header = state != State::Open;
                let context = Context { limits: &self.limits, names: &self.names, header };
                match parser.run(window, context)? {
                    Progress::More => None,
                    Progress::Done(len) => Some((if header { Unit::Header } else { Unit::Element }, len)),
                }
            }
        };
        if found.is_none() && bytes.len() > bytes_max {
            return Err(match self.state {
                State::Open => Fault::StanzaTooBig,
                _ => Fault::HeaderTooBig,
            });
        }
        Ok(found)
    }

    /// The end tag of the stream.
    fn close_tag(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let name: &[u8] = if self.names.prefix_free { b"</stream" } else { b"</stream:stream" };
        let there = &bytes[..bytes.len().min(name.len())];
        if there != &name[..there.len()] {
            return Err(Fault::EndTag);
        }
        // White space may follow; a few bytes of it do.
        let end = run(bytes, name.len().min(bytes.len()), SPACE);
        match bytes.get(end) {
            _ if end > name.len() + usize::from(self.limits.name_bytes_max) => Err(Fault::EndTagTooLong),
            None => Ok(None),
            Some(b'>') => Ok(Some(end + 1)),
            Some(_) => Err(Fault::EndTag),
        }
    }

    /// The error for a byte that stands where only markup or white space may.
    fn stray(&self, byte: u8) -> Fault {
        match (self.state, byte) {
            // The marks of UTF-16 and UTF-32, and their zeros (RFC 6120 §11.6).
            (State::Start, 0 | 0xFE | 0xFF) => Fault::Encoding,
            (State::Start | State::Prolog, _) | (_, 0..b' ') => Fault::TextBeforeHeader,
            _ => Fault::TextBetween,
        }
    }
}

/// Reads one whole element, as a WebSocket frame holds it (RFC 7395 §3.3.3).
///
/// # Errors
/// The stream error to end the stream with.
pub fn parse_frame<'a>(
    xml: &'a str,
    names: &'a StreamNamespaces,
    limits: &Limits,
) -> Result<Frame<'a>, StreamError> {
    let bytes = xml.as_bytes();
    let start = run(bytes, 0, SPACE);
    let bytes = &bytes[start..];
    if bytes.len() > limits.stanza_bytes_max as usize {
        return Err(Fault::StanzaTooBig.into());
    }
    if !bytes.starts_with(b"<") {
        return Err(Fault::NoElement.into());
    }
    let mut parser = Parser::default();
    match parser.run(bytes, Context { limits, names, header: false })? {
        Progress::Done(len) if run(bytes, len, SPACE) == bytes.len() => {
            frame(chars::check_utf8(&bytes[..len])?, parser.finish(), names)
        }
        Progress::Done(_) => Err(Fault::SecondElement.into()),
        Progress::More => Err(Fault::Unclosed.into()),
    }
}

/// An element at the start of some text.
pub(crate) struct Scanned {
    /// The element, as a child.
    pub(crate) child: ChildSpan,
    /// The name of its namespace, where there are references in it.
    pub(crate) ns_decoded: Option<Box<str>>,
}

/// Looks at the one element that `xml` starts with.
pub(crate) fn scan_element(
    xml: &str,
    names: &StreamNamespaces,
    limits: &Limits,
) -> Result<Scanned, StreamError> {
    let mut parser = Parser::default();
    let Progress::Done(end) = parser.run(xml.as_bytes(), Context { limits, names, header: false })? else {
        return Err(Fault::Unclosed.into());
    };
    let parsed = parser.finish();
    let ns_decoded = match parsed.ns {
        Ns::Escaped(span) => Some(decode_attr(span.text(xml)).into()),
        _ => None,
    };
    Ok(Scanned { child: ChildSpan { span: Span::new(0, end), name: parsed.name, ns: parsed.ns }, ns_decoded })
}

fn frame<'a>(xml: &'a str, parsed: Parsed, names: &'a StreamNamespaces) -> Result<Frame<'a>, StreamError> {
    let name = parsed.is_content().then(|| StanzaName::from_name(parsed.name.text(xml))).flatten();
    match name {
        Some(name) => Ok(Frame::Stanza(RawStanza::new(xml, name, parsed, names))),
        None => Ok(Frame::Nonza(Element::parse_in(xml, names.default_name(), names.declared())?)),
    }
}
