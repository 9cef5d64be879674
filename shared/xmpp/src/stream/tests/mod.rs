//! Table tests: what the peer and the owner say, what comes out, and the state that is left.

mod errors;
mod login;
mod managed;
mod stanzas;

use super::*;
use crate::framing::{Frame, Limits, Reader};
use crate::sasl::Mechanism;
use crate::stanza::Stanza;

const CLEAR: Channel = Channel::Clear;
const TLS: Channel = Channel::Tls { exporter: true, end_point: true };
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='example.com' version='1.0'>";

/// A stream with its reader, driven as a gateway would.
struct Driver {
    reader: Reader,
    stream: Stream,
    ids: u32,
}

fn settings() -> Settings {
    Settings {
        domains: vec![Arc::from("example.com"), Arc::from("example.net")],
        allow_plaintext: false,
        mechanisms: Mechanism::ALL.to_vec(),
        attempts_max: 3,
        registration: false,
        caps: None,
    }
}

impl Driver {
    fn new(settings: Settings, channel: Channel) -> Driver {
        let stream = Stream::new(Arc::new(settings), channel, "s1".to_owned());
        Driver { reader: Reader::new(Limits::default()), stream, ids: 1 }
    }

    /// A stream that waits for stanzas of juliet@example.com/balcony.
    fn bound() -> Driver {
        let mut driver = Driver::new(settings(), TLS);
        driver.peer(HEADER);
        driver
            .peer("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>");
        driver.success("juliet@example.com");
        driver.peer(HEADER);
        driver.peer("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        driver.owner(Input::Bound(Ok(jid("juliet@example.com/balcony"))));
        assert_eq!(driver.state(), "bound");
        driver
    }

    /// What comes of bytes of the peer; those after a frame that has to wait are lost.
    fn peer(&mut self, text: &str) -> String {
        let mut out = Output::default();
        let mut rest = text.as_bytes();
        while !rest.is_empty() && !self.stream.is_waiting() {
            let stream = std::mem::replace(&mut self.stream, Stream::Closed);
            let (used, frame) = match self.reader.next(rest) {
                Ok(found) => found,
                Err(error) => {
                    self.stream = stream.handle(Input::Fail(error), &mut out);
                    break;
                }
            };
            rest = &rest[used..];
            self.stream = match frame {
                None => stream,
                Some(Frame::Header(header)) => stream.handle(Input::Header(&header), &mut out),
                Some(Frame::Stanza(stanza)) => stream.handle(Input::Stanza(&stanza), &mut out),
                Some(Frame::Nonza(element)) => {
                    stream.handle(Input::Nonza { element: &element, pipelined: !rest.is_empty() }, &mut out)
                }
                Some(Frame::Close) => stream.handle(Input::Close, &mut out),
            };
            if out.commands.iter().any(|command| matches!(command, Command::ResetReader)) {
                self.reader.reset();
            }
        }
        transcript(&out)
    }

    /// What comes of anything else.
    fn owner(&mut self, input: Input<'_>) -> String {
        let mut out = Output::default();
        self.stream = std::mem::replace(&mut self.stream, Stream::Closed).handle(input, &mut out);
        if out.commands.iter().any(|command| matches!(command, Command::ResetReader)) {
            self.reader.reset();
        }
        transcript(&out)
    }

    fn success(&mut self, account: &str) -> String {
        self.ids += 1;
        let id = format!("s{}", self.ids);
        self.owner(Input::Success { account: jid(account), data: None, id })
    }

    fn deliver(&mut self, seq: u64) -> String {
        self.owner(Input::Deliver { seq, xml: b"<message/>" })
    }

    fn state(&self) -> &'static str {
        match &self.stream {
            Stream::Opening(_) => "opening",
            Stream::Securing(_) => "securing",
            Stream::Authenticating(_) => "authenticating",
            Stream::Binding(_) => "binding",
            Stream::Bound(_) => "bound",
            Stream::Closed => "closed",
        }
    }
}

/// Bytes, then a line for each command.
fn transcript(out: &Output) -> String {
    let mut lines = vec![String::from_utf8(out.bytes.clone()).unwrap()];
    lines.retain(|bytes| !bytes.is_empty());
    lines.extend(out.commands.iter().map(describe));
    lines.join("\n")
}

fn describe(command: &Command) -> String {
    let text = |stanza: &Stanza| String::from_utf8(stanza.xml().to_vec()).unwrap();
    match command {
        Command::Opened { domain, lang } => format!("(opened {domain} {})", lang.as_deref().unwrap_or("-")),
        Command::StartTls => "(starttls)".to_owned(),
        Command::ResetReader => "(reset)".to_owned(),
        Command::Sasl { account, step } => match step {
            SaslStep::Start { mechanism, initial } => {
                format!(
                    "(sasl {account} {mechanism} {})",
                    String::from_utf8_lossy(&initial.0).replace('\0', "0")
                )
            }
            SaslStep::Response(data) => format!("(sasl {account} {})", String::from_utf8_lossy(&data.0)),
            SaslStep::Abort => format!("(sasl {account} abort)"),
        },
        Command::Register { account, password } => {
            format!("(register {account} {})", String::from_utf8_lossy(&password.0))
        }
        Command::Authenticated { account } => format!("(authenticated {account})"),
        Command::Bind { resource } => format!("(bind {})", resource.as_deref().unwrap_or("-")),
        Command::Resume { previd, handled } => format!("(resume {previd} {handled})"),
        Command::Route { seq, stanza } => format!("(route {seq} {})", text(stanza)),
        Command::Refuse { seq, stanza, error } => {
            format!("(refuse {seq} {} {})", text(stanza), error.condition)
        }
        Command::Acked { seq } => format!("(acked {seq})"),
        Command::Manage { resume, max_seconds } => format!("(manage {resume} {max_seconds:?})"),
        Command::AwaitConfirm { seq } => format!("(await {seq})"),
        Command::Leave(leave) => format!("({leave:?})").to_lowercase(),
        Command::Close(_) => "(close)".to_owned(),
    }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn response(id: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' id='{id}' from='example.com' version='1.0' xml:lang='en'>"
    )
}

/// What a stream error looks like.
fn error(condition: &str, text: &str) -> String {
    let text = match text {
        "" => String::new(),
        text => format!("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>{text}</text>"),
    };
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{text}</stream:error></stream:stream>"
    )
}
