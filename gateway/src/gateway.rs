//! What a process has one of.

use crate::attempts::Attempts;
use crate::connection::Connection;
use crate::settings::Settings;
use crate::slots::{Cut, Slots};
use crate::transport::{Handshake, Transport};
use bus::{Bus, GatewayPort, NodeId, ToGateway};
use runtime::listen::{Admission, Listener, Place};
use runtime::tls::CertStore;
use runtime::{Clock, Lifecycle};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::Instant;
use xmpp::stream::Stream;

/// What a connection beyond its address's share is sent: a whole stream, so that a client knows
/// (RFC 6120 §4.9.3.14).
const REFUSAL: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><stream:error>\
    <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
    <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>too many connections from your address</text>\
    </stream:error></stream:stream>";

/// How a listener's connections begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the clear; TLS is offered (RFC 6120 §5).
    StartTls,
    /// With TLS (XEP-0368).
    DirectTls,
}

/// What a gateway is given.
pub struct Ports {
    /// This run of this process.
    pub node: NodeId,
    /// To the owners.
    pub bus: Bus,
    /// The certificates.
    pub certificates: Arc<CertStore>,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub life: Lifecycle,
}

/// All client connections of a process.
pub struct Gateway {
    pub(crate) node: NodeId,
    pub(crate) bus: Bus,
    pub(crate) settings: Settings,
    pub(crate) certificates: Arc<CertStore>,
    pub(crate) slots: Slots,
    pub(crate) attempts: Attempts,
    /// What deadlines count from.
    pub(crate) start: Instant,
    admission: Arc<Admission>,
    life: Lifecycle,
}

impl GatewayPort for Gateway {
    fn receive(&self, envelope: ToGateway) {
        let conn = envelope.conn;
        if conn.gateway == self.node {
            self.slots.put(conn.slot, conn.generation, envelope.body, self.settings.outbound_bytes_max);
        }
    }
}

impl Gateway {
    /// A gateway without connections. It closes them at the soft signal. Must be called inside the
    /// tokio runtime.
    pub fn new(settings: Settings, ports: Ports) -> Arc<Gateway> {
        let Ports { node, bus, certificates, clock, life } = ports;
        let gateway = Arc::new(Gateway {
            node,
            bus,
            certificates,
            slots: Slots::new(settings.connections_max),
            attempts: Attempts::new(clock, settings.attempts_per_address_per_minute),
            start: Instant::now(),
            admission: Admission::new(
                settings.connections_max,
                settings.unauthenticated_connections_max,
                settings.connections_per_address_max,
            ),
            life: life.clone(),
            settings,
        });
        let closing = gateway.clone();
        life.clone().spawn("gateway", async move {
            life.soft().cancelled().await;
            closing.cut_all();
        });
        gateway
    }

    /// Accepts connections of a listener until the soft signal.
    pub fn serve(self: &Arc<Gateway>, listener: Listener, mode: Mode) {
        let refusal = match mode {
            Mode::StartTls => REFUSAL,
            Mode::DirectTls => b"",
        };
        let gateway = self.clone();
        let accepted = move |tcp, peer, place| gateway.accept(tcp, peer, place, mode);
        let serving = listener.serve(self.admission.clone(), self.life.soft().clone(), refusal, accepted);
        self.life.spawn("client connections", serving);
    }

    fn accept(self: &Arc<Gateway>, tcp: TcpStream, peer: SocketAddr, place: Place, mode: Mode) {
        let Some((slot, generation)) = self.slots.open() else {
            return; // The admission's limit is the same; the socket closes.
        };
        // Whoever comes while the others are told has to be told as well.
        if self.life.soft().is_cancelled()
            && let Some(mailbox) = self.slots.get(slot)
        {
            mailbox.lock().cut(Cut::Shutdown);
        }
        let (transport, stream) = match mode {
            Mode::StartTls => (Transport::Tcp(tcp), None),
            Mode::DirectTls => (
                Handshake::direct(tcp, self.certificates.current()),
                Some(Stream::direct_tls(self.settings.stream.clone())),
            ),
        };
        let connection = Connection::new(self.clone(), (slot, generation), transport, stream, peer, place);
        self.life.spawn_connection(connection);
    }

    /// Ends every connection with `system-shutdown`.
    fn cut_all(&self) {
        for mailbox in self.slots.all() {
            let mut mailbox = mailbox.lock();
            if mailbox.is_open() {
                mailbox.cut(Cut::Shutdown);
            }
        }
    }
}

/// An id that nobody can guess: 128 random bits.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("invariant: the operating system gives random bytes");
    data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}
