//! tokio-xmpp, a client library of other people: login under STARTTLS with SCRAM-PLUS, messages both
//! ways, resumption after its socket was cut.
//!
//! Its `StanzaStream` is used rather than its `Client`: in version 6 the latter misses wake-ups when
//! something is sent while something arrives (its halves share a lock that the receiver only tries).

use crate::client::{Client as Raw, PASSWORD};
use crate::server::Server;
use crate::steps::header;
use crate::tls;
use futures_util::StreamExt;
use sasl::common::ChannelBinding;
use std::borrow::Cow;
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::connect::ServerConnector;
use tokio_xmpp::jid::{BareJid, Jid};
use tokio_xmpp::parsers::message::{Lang, Message};
use tokio_xmpp::parsers::presence::Presence;
use tokio_xmpp::stanzastream::{Event, StanzaStage, StanzaStream, StreamEvent};
use tokio_xmpp::xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream};
use tokio_xmpp::{Error, Stanza};

/// How long an event may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Goes where it is told and takes the test's certificate; remembers the socket, to cut it.
#[derive(Debug, Clone)]
struct Connector {
    address: SocketAddr,
    socket: Arc<Mutex<Option<StdStream>>>,
}

impl Connector {
    fn new(server: &Server) -> Connector {
        Connector { address: server.c2s, socket: Arc::default() }
    }

    fn cut(&self) {
        let socket = self.socket.lock().unwrap().take().expect("it was connected");
        socket.shutdown(Shutdown::Both).expect("it was open");
    }

    async fn starttls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = StdStream::connect(self.address)?;
        socket.set_nonblocking(true)?;
        *self.socket.lock().unwrap() = Some(socket.try_clone()?);
        let mut socket = TcpStream::from_std(socket)?;
        socket.write_all(header("localhost").as_bytes()).await?;
        read_until(&mut socket, "</stream:features>").await?;
        socket.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
        read_until(&mut socket, "<proceed").await?;
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a domain name");
        TlsConnector::from(Arc::new(tls::any_certificate())).connect(name, socket).await
    }
}

/// Reads up to the end of the chunk that holds `what`; the server waits for us then.
async fn read_until(socket: &mut TcpStream, what: &str) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(what) {
        if socket.read_buf(&mut seen).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

impl ServerConnector for Connector {
    type Stream = BufStream<TlsStream<TcpStream>>;

    async fn connect(
        &self,
        jid: &Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let stream = self.starttls().await?;
        let exported =
            stream.get_ref().1.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        let binding = ChannelBinding::TlsExporter(exported.expect("TLS 1.3"));
        let header = StreamHeader { to: Some(Cow::Borrowed(jid.domain().as_str())), from: None, id: None };
        let pending = initiate_stream(BufStream::new(stream), ns, header, timeouts).await?;
        Ok((pending, binding))
    }
}

async fn next(client: &mut StanzaStream) -> Event {
    let event = tokio::time::timeout(PATIENCE, client.next()).await;
    event.expect("an event in time").expect("an event")
}

async fn next_message(client: &mut StanzaStream) -> Message {
    loop {
        if let Event::Stanza(Stanza::Message(message)) = next(client).await {
            return message;
        }
    }
}

fn run(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(test());
}

async fn log_in(connector: &Connector, user: &str) -> StanzaStream {
    let jid: BareJid = format!("{user}@localhost").parse().unwrap();
    let timeouts =
        Timeouts { read_timeout: Duration::from_secs(5), response_timeout: Duration::from_secs(5) };
    let mut client =
        StanzaStream::new_c2s(connector.clone(), jid.clone().into(), PASSWORD.to_owned(), timeouts, 16);
    match next(&mut client).await {
        Event::Stream(StreamEvent::Reset { bound_jid, .. }) => assert_eq!(bound_jid.to_bare(), jid),
        other => panic!("{other:?}"),
    }
    client.send(Box::new(Presence::available().into())).await;
    client
}

fn chat(to: &str, text: &str) -> Box<Stanza> {
    let to: Jid = to.parse().unwrap();
    Box::new(Message::chat(Some(to)).with_body(Lang::default(), text.to_owned()).into())
}

fn body(message: &Message) -> &str {
    message.get_best_body(Vec::new()).map_or("", |(_, body)| body.as_str())
}

#[test]
fn messages_both_ways() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    run(async || {
        let (for_romeo, for_juliet) = (Connector::new(&server), Connector::new(&server));
        let mut romeo = log_in(&for_romeo, "romeo").await;
        let mut juliet = log_in(&for_juliet, "juliet").await;
        let mut token = romeo.send(chat("juliet@localhost", "over there")).await;
        let received = next_message(&mut juliet).await;
        assert_eq!(body(&received), "over there");
        let back = received.from.expect("a sender").to_string();
        assert!(back.starts_with("romeo@localhost/"), "{back}");
        juliet.send(chat(&back, "and back")).await;
        assert_eq!(body(&next_message(&mut romeo).await), "and back");
        // XEP-0198: the server has it.
        token.wait_for(StanzaStage::Acked).await.expect("acknowledged");
        romeo.close().await;
        juliet.close().await;
    });
}

#[test]
fn resumption_after_the_socket_was_cut() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    run(async || {
        let connector = Connector::new(&server);
        let mut romeo = log_in(&connector, "romeo").await;
        let mut juliet = Raw::login(server.c2s, "juliet", "balcony");
        romeo.send(chat("juliet@localhost/balcony", "before")).await;
        juliet.expect("<message type='chat'><body>before</body></message>");
        connector.cut();
        juliet.send("<message to='romeo@localhost' type='chat'><body>while it was cut</body></message>");
        romeo.send(chat("juliet@localhost/balcony", "after")).await;
        let mut resumed = false;
        loop {
            match next(&mut romeo).await {
                Event::Stream(StreamEvent::Resumed) => resumed = true,
                Event::Stream(StreamEvent::Reset { .. }) => panic!("a new session instead of the old one"),
                Event::Stanza(Stanza::Message(message)) => {
                    assert_eq!(body(&message), "while it was cut");
                    break;
                }
                _ => {}
            }
        }
        assert!(resumed, "the socket was cut");
        juliet.expect("<message type='chat'><body>after</body></message>");
        juliet.expect_nothing();
    });
}
