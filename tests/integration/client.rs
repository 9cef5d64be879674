//! A raw XMPP client: it sends exactly the bytes a test names and shows exactly what came back.

use crate::pattern::{self, Captures};
use crate::xml::{self, Element, Piece};
use rustls::{ClientConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take before a test gives up: long, for busy machines; never waited for
/// in a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The domain of every test server.
pub const DOMAIN: &str = "localhost";

/// The password of every account made for tests.
pub const PASSWORD: &str = "pencil, rope=1";

/// What came from the server.
#[derive(Debug)]
pub enum Event {
    Open(Element),
    Child(Element),
    Close,
    /// The socket was closed; or reset, when the server had unread bytes of ours.
    Eof,
}

pub enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Gone,
}

/// One connection to the server.
pub struct Client {
    pub socket: Socket,
    bytes: Vec<u8>,
    /// Read while waiting for something else, in order.
    early: VecDeque<Element>,
    transcript: VecDeque<String>,
    pub captures: Captures,
    pub patience: Duration,
    syncs: u32,
    /// Whether a failure is nothing to tell of: the test expects broken connections.
    pub quiet: bool,
    /// The full JID, once bound.
    pub jid: String,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap_or_else(|| panic!("no connection to {address}"))
    }

    /// `None` when nobody listens.
    pub fn try_connect(address: SocketAddr) -> Option<Client> {
        let socket = TcpStream::connect(address).ok()?;
        socket.set_nodelay(true).ok()?;
        Some(Client {
            quiet: false,
            socket: Socket::Plain(socket),
            bytes: Vec::new(),
            early: VecDeque::new(),
            transcript: VecDeque::new(),
            captures: Captures::new(),
            patience: PATIENCE,
            syncs: 0,
            jid: String::new(),
        })
    }

    // Bytes.

    pub fn send(&mut self, text: &str) {
        self.remember(format!("> {}", xml::shorten(text)));
        self.send_bytes(text.as_bytes());
    }

    /// Sends `text` with every `{name}` that was caught earlier put in.
    pub fn send_filled(&mut self, text: &str) {
        let mut filled = text.to_owned();
        for (name, value) in &self.captures {
            filled = filled.replace(&format!("{{{name}}}"), &xml::escape(value));
        }
        self.send(&filled);
    }

    /// Writes bytes; that the server has closed meanwhile shows itself at the next reading.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.try_send_bytes(bytes);
    }

    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.socket {
            Socket::Plain(socket) => socket.write_all(bytes),
            Socket::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Socket::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// The next thing from the server.
    pub fn next(&mut self) -> Event {
        if let Some(element) = self.early.pop_front() {
            return Event::Child(element);
        }
        self.read_event()
    }

    fn read_event(&mut self) -> Event {
        match self.try_next(self.patience) {
            Some(event) => event,
            None => self.fail("nothing came in time"),
        }
    }

    /// The next thing from the server, if it comes within this time.
    pub fn try_next(&mut self, patience: Duration) -> Option<Event> {
        let deadline = Instant::now() + patience;
        loop {
            match xml::next_piece(&self.bytes) {
                Ok(Some((piece, used))) => {
                    let raw = String::from_utf8_lossy(&self.bytes[..used]).into_owned();
                    self.bytes.drain(..used);
                    if !matches!(piece, Piece::Space) {
                        self.remember(format!("< {}", xml::shorten(&raw)));
                    }
                    match piece {
                        Piece::Space => continue,
                        Piece::Open(element) => return Some(Event::Open(element)),
                        Piece::Child(element) => return Some(Event::Child(element)),
                        Piece::Close => return Some(Event::Close),
                    }
                }
                Ok(None) => {}
                Err(why) => {
                    let raw = String::from_utf8_lossy(&self.bytes).into_owned();
                    self.fail(&format!("the server sent something broken ({why}): {raw}"))
                }
            }
            match self.read_some(deadline) {
                Ok(0) => {
                    self.remember("< (closed)".to_owned());
                    return Some(Event::Eof);
                }
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return None,
                    // A server that closes with our bytes unread resets the connection; rustls
                    // reports a missing close_notify as an unexpected end.
                    _ => {
                        self.remember(format!("< ({error})"));
                        return Some(Event::Eof);
                    }
                },
            }
        }
    }

    fn read_some(&mut self, deadline: Instant) -> std::io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut chunk = [0; 4096];
        let read = match &mut self.socket {
            Socket::Plain(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.read(&mut chunk)
            }
            Socket::Tls(stream) => {
                stream.sock.set_read_timeout(Some(left))?;
                stream.read(&mut chunk)
            }
            Socket::Gone => Ok(0),
        }?;
        self.bytes.extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    /// Writes to the socket past TLS.
    pub fn send_below_tls(&mut self, bytes: &[u8]) {
        match &mut self.socket {
            Socket::Tls(stream) => stream.sock.write_all(bytes).expect("a socket that is open"),
            _ => panic!("no TLS on this connection"),
        }
    }

    /// The next bytes, whatever they are.
    pub fn read_bytes(&mut self) -> Vec<u8> {
        assert!(self.bytes.is_empty(), "nothing is left from before");
        if let Err(error) = self.read_some(Instant::now() + self.patience) {
            self.fail(&format!("nothing to read: {error}"));
        }
        std::mem::take(&mut self.bytes)
    }

    /// Everything up to the end of the connection, as bytes.
    pub fn read_to_end(&mut self, into: &mut Vec<u8>) {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.read_some(deadline) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.fail("the connection stays open")
                }
                Err(_) => break,
            }
        }
        into.append(&mut self.bytes);
    }

    /// Keeps the last lines of what was said, to be shown when something goes wrong.
    fn remember(&mut self, line: String) {
        const LINES_MAX: usize = 40;
        if self.transcript.len() == LINES_MAX {
            self.transcript.pop_front();
        }
        self.transcript.push_back(line);
    }

    /// Ends the test, showing what was said on this connection.
    pub fn fail(&self, why: &str) -> ! {
        let lines: Vec<&str> = self.transcript.iter().map(String::as_str).collect();
        if self.quiet {
            std::panic::resume_unwind(Box::new(why.to_owned()));
        }
        panic!("{} {why}\n{}", self.jid, lines.join("\n"))
    }

    // Expectations.

    pub fn next_element(&mut self) -> Element {
        match self.next() {
            Event::Child(element) => element,
            other => self.fail(&format!("wanted a stanza, got {other:?}")),
        }
    }

    /// The next stanza; XEP-0198's requests and answers, which may come at any time, are passed over.
    pub fn next_stanza(&mut self) -> Element {
        loop {
            let element = self.next_element();
            if !is_count(&element) {
                return element;
            }
        }
    }

    /// The next element must match the pattern (see [`pattern::matches`]).
    pub fn expect(&mut self, pattern: &str) -> Element {
        let wanted = Element::parse(pattern);
        let element = if is_count(&wanted) { self.next_element() } else { self.next_stanza() };
        if let Err(why) = pattern::matches(&wanted, &element, &mut self.captures) {
            self.fail(&format!("wanted {pattern}\n  got {element}\n  {why}"));
        }
        element
    }

    /// The next elements must match these patterns, in any order.
    pub fn expect_any_order(&mut self, patterns: &[&str]) {
        let mut left = patterns.to_vec();
        while !left.is_empty() {
            let element = self.next_stanza();
            let mut reasons = Vec::new();
            let found = left.iter().position(|pattern| {
                let mut trial = self.captures.clone();
                let result = pattern::matches(&Element::parse(pattern), &element, &mut trial);
                match result {
                    Ok(()) => self.captures = trial,
                    Err(why) => {
                        reasons.push(format!("not {pattern}: {why}"));
                        return false;
                    }
                }
                true
            });
            match found {
                Some(index) => drop(left.remove(index)),
                None => self.fail(&format!("got {element}\n  {}", reasons.join("\n  "))),
            }
        }
    }

    /// A stream error with this condition, the end of the stream, and the end of the connection.
    pub fn expect_stream_error(&mut self, condition: &str) {
        let error = loop {
            match self.next() {
                // RFC 6120 §4.9.1.1: a header comes first, where none was sent yet.
                Event::Open(_) => continue,
                Event::Child(element) => break element,
                other => self.fail(&format!("wanted stream error {condition}, got {other:?}")),
            }
        };
        if !error.is("error", "http://etherx.jabber.org/streams")
            || !error.children.iter().any(|c| c.is(condition, "urn:ietf:params:xml:ns:xmpp-streams"))
        {
            self.fail(&format!("wanted stream error {condition}, got {error}"));
        }
        self.expect_close();
    }

    /// `</stream:stream>`, then the end of the connection.
    pub fn expect_close(&mut self) {
        match self.next() {
            Event::Close => {}
            other => self.fail(&format!("wanted </stream:stream>, got {other:?}")),
        }
        match self.next() {
            Event::Eof => self.socket = Socket::Gone,
            other => self.fail(&format!("wanted the end of the connection, got {other:?}")),
        }
    }

    /// Waits until the server has worked off all that was sent here; what arrives is kept.
    pub fn sync(&mut self) {
        self.syncs += 1;
        let id = format!("sync-{}", self.syncs);
        self.send(&format!("<iq type='get' id='{id}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        loop {
            match self.read_event() {
                Event::Child(element) if element.name == "iq" && element.attr("id") == Some(&id) => return,
                Event::Child(element) if is_count(&element) => {}
                Event::Child(element) => self.early.push_back(element),
                other => self.fail(&format!("while waiting for a ping's answer: {other:?}")),
            }
        }
    }

    /// XEP-0198: asks until the server has exactly this many stanzas. It may answer with less for as
    /// long as it has not made sure of them.
    pub fn expect_acknowledged(&mut self, count: u32) {
        let deadline = Instant::now() + self.patience;
        loop {
            self.send("<r xmlns='urn:xmpp:sm:3'/>");
            let answer = loop {
                let element = self.next_element();
                match element.name.as_str() {
                    "a" => break element,
                    "r" => {}
                    _ => self.fail(&format!("wanted an acknowledgement, got {element}")),
                }
            };
            match answer.attr("h").and_then(|h| h.parse::<u32>().ok()) {
                Some(h) if h == count => return,
                Some(h) if h < count && Instant::now() < deadline => {}
                _ => self.fail(&format!("wanted {count} acknowledged, got {answer}")),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nothing was received that no one asked for. Other clients are to be synced before.
    pub fn expect_nothing(&mut self) {
        self.sync();
        if let Some(element) = self.early.front() {
            self.fail(&format!("wanted nothing, got {element}"));
        }
    }

    // The end.

    /// Closes the stream in peace.
    pub fn close(mut self) {
        self.send("</stream:stream>");
        loop {
            match self.next() {
                Event::Child(_) => continue,
                Event::Close => break,
                other => self.fail(&format!("wanted </stream:stream>, got {other:?}")),
            }
        }
    }

    /// Whether the connection was cut here, or seen closed by the server.
    pub fn is_gone(&self) -> bool {
        matches!(self.socket, Socket::Gone)
    }

    /// Cuts the connection without a word, as a lost network would.
    pub fn cut(&mut self) {
        if let Socket::Plain(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Socket::Tls(stream) = &self.socket {
            let _ = stream.sock.shutdown(Shutdown::Both);
        }
        self.socket = Socket::Gone;
    }
}

/// One of XEP-0198's `<r/>` and `<a/>`.
fn is_count(element: &Element) -> bool {
    element.ns == "urn:xmpp:sm:3" && matches!(element.name.as_str(), "r" | "a")
}
