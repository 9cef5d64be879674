//! One connection: its socket, its reader, its stream.
//!
//! A connection is one future, polled when the socket, the mailbox or the timer has something. Each
//! turn takes all there is, within bounds, and writes once. What a turn needs only while it lasts
//! (the buffer that is read into, the bytes to write) is lent by the thread ([`scratch`]), so that
//! an idle connection holds no buffer.
//!
//! - [`scratch`]: what a thread lends.
//! - [`input`]: from the socket through the reader into the stream.
//! - [`mail`]: from the owner into the stream.
//! - [`commands`]: from the stream to the owner.
//! - [`send`]: from the stream to the socket, and the end of the connection.
//! - [`deadlines`]: the one timer.
//! - [`window`]: stanzas that are not confirmed yet.

mod commands;
mod deadlines;
mod input;
mod mail;
mod negotiation;
mod scratch;
mod send;
mod window;

use crate::gateway::{Gateway, random_id};
use crate::transport::Transport;
use bus::envelope::{OwnerBody, SessionBody};
use bus::{ConnId, SessionId, ToOwner};
use deadlines::{Deadlines, Due};
use negotiation::Negotiation;
use runtime::listen::Place;
use runtime::metrics;
use scratch::{Scratch, Work};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use window::Window;
use xmpp::error::StreamCondition;
use xmpp::framing::Reader;
use xmpp::stream::{Channel, Input, Leave, Stream};
use xmpp::{Jid, StreamError};

/// How often a turn looks for more before others get theirs.
const ROUNDS_MAX: usize = 8;
/// Bytes to write at which a turn stops looking for more.
const WRITE_BYTES: usize = 64 * 1024;

/// Where a connection is in its life. The stream's own state is [`Stream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Bytes go both ways.
    Open,
    /// What is written is sent, then TLS is negotiated.
    TurningToTls,
    /// What is written is sent, then our direction is closed.
    Closing,
    /// Our direction is closed; the peer may still read what was sent, then it closes too.
    Lingering,
    /// The socket is gone; the session that was asked for has to be given back when it comes.
    Orphaned,
    /// Over.
    Gone,
}

/// The session that a connection carries.
struct Session {
    account: Jid,
    id: SessionId,
}

/// A connection.
pub struct Connection {
    gateway: Arc<Gateway>,
    slot: u32,
    generation: u32,
    phase: Phase,
    transport: Transport,
    /// The transport holds bytes back.
    flushing: bool,
    reader: Reader,
    stream: Stream,
    session: Option<Session>,
    /// What only matters until a resource is bound.
    negotiation: Option<Box<Negotiation>>,
    window: Window,
    /// Input that has to wait: for an answer, or for room in the window.
    leftover: Vec<u8>,
    /// Output the socket does not take.
    unsent: Vec<u8>,
    /// Bytes of mail in what is being sent, for the mailbox's account.
    in_flight: usize,
    deadlines: Deadlines,
    place: Place,
}

impl Connection {
    /// A connection in the place `at`. Without a `stream` it begins in the clear.
    pub fn new(
        gateway: Arc<Gateway>,
        at: (u32, u32),
        transport: Transport,
        stream: Option<Stream>,
        peer: SocketAddr,
        place: Place,
    ) -> Connection {
        let settings = &gateway.settings;
        let stream =
            stream.unwrap_or_else(|| Stream::new(settings.stream.clone(), Channel::Clear, random_id()));
        Connection {
            slot: at.0,
            generation: at.1,
            phase: Phase::Open,
            transport,
            flushing: false,
            reader: Reader::new(settings.limits_before_login),
            stream,
            session: None,
            negotiation: Some(Box::new(Negotiation::new(peer))),
            window: Window::default(),
            leftover: Vec::new(),
            unsent: Vec::new(),
            in_flight: 0,
            deadlines: Deadlines::new(gateway.start, settings.negotiation_timeout),
            place,
            gateway,
        }
    }

    fn conn(&self) -> ConnId {
        ConnId { gateway: self.gateway.node, slot: self.slot, generation: self.generation }
    }

    /// Whether more output would only be kept.
    fn is_stalled(&self) -> bool {
        self.flushing || !self.unsent.is_empty()
    }

    /// Takes what there is and writes what comes of it.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) {
        let Scratch { buffer, work } = scratch;
        while let Some(due) = self.deadlines.due() {
            self.expired(due, work);
        }
        if self.is_stalled() {
            self.send(cx, work);
        }
        let mut round = 0;
        loop {
            let mail = self.take_mail(cx, work);
            let input = self.take_input(cx, buffer, work);
            if !mail && !input {
                break;
            }
            round += 1;
            if round == ROUNDS_MAX || work.out.bytes.len() >= WRITE_BYTES {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.send(cx, work);
        self.deadlines.poll(cx);
    }

    /// Lets the stream handle something, and does what it says.
    fn step(&mut self, input: Input<'_>, work: &mut Work) {
        let stream = std::mem::replace(&mut self.stream, Stream::Closed);
        let awaited = stream.awaits_session();
        self.stream = stream.handle(input, &mut work.out);
        self.stepped(awaited, work);
    }

    /// Does what the stream said in its last step. `awaited`: it waited for a session before.
    fn stepped(&mut self, awaited: bool, work: &mut Work) {
        if awaited && self.stream.is_closed() {
            self.orphan();
        }
        if !work.out.commands.is_empty() {
            self.execute(work);
        }
    }

    /// Ends the stream with an error of our own.
    fn fail(&mut self, error: impl Into<StreamError>, work: &mut Work) {
        self.step(Input::Fail(error.into()), work);
    }

    /// The socket is of no use any more.
    fn gone(&mut self, work: &mut Work) {
        self.transport = Transport::Gone;
        self.unsent = Vec::new();
        self.leftover = Vec::new();
        self.flushing = false;
        if matches!(self.phase, Phase::Closing | Phase::Lingering) {
            self.phase = Phase::Gone;
            return;
        }
        self.step(Input::Gone, work);
        work.out.bytes.clear();
        if self.phase != Phase::Orphaned {
            self.phase = Phase::Gone;
        }
    }

    /// A session was asked for and may come although nobody can have it.
    fn orphan(&mut self) {
        self.transport = Transport::Gone;
        self.phase = Phase::Orphaned;
        self.deadlines.end_in(self.gateway.settings.orphan_timeout);
    }

    fn expired(&mut self, due: Due, work: &mut Work) {
        match due {
            // Whatever was to end has not ended in time.
            Due::Main if self.phase == Phase::Orphaned => {
                tracing::warn!("a session that was asked for did not come");
                self.phase = Phase::Gone;
            }
            Due::Main if matches!(self.phase, Phase::Closing | Phase::Lingering) => self.gone(work),
            Due::Main if self.negotiation.is_some() => match self.transport.is_handshake() {
                true => self.gone(work),
                false => {
                    let text = "the login took too long";
                    self.fail(StreamError::new(StreamCondition::ConnectionTimeout, text), work);
                }
            },
            Due::Main => self.idle(work),
            Due::Write => {
                metrics::GATEWAY_DEAD_PEERS_TOTAL.increment(1);
                self.gone(work);
            }
            Due::Confirm => self.confirm(work),
        }
    }

    /// Nothing came for a while: see whether the peer is there (RFC 6120 §4.6).
    fn idle(&mut self, work: &mut Work) {
        match self.deadlines.quiet(self.gateway.settings.idle_timeout) {
            deadlines::Quiet::Fine => {}
            deadlines::Quiet::Ask => self.step(Input::Idle, work),
            deadlines::Quiet::Dead if self.stream.is_managed() => {
                metrics::GATEWAY_DEAD_PEERS_TOTAL.increment(1);
                let text = "no answer for too long";
                self.fail(StreamError::new(StreamCondition::ConnectionTimeout, text), work);
            }
            // Its TCP took the whitespace, or the kernel would have said otherwise
            // (TCP_USER_TIMEOUT): nothing else can be asked of it.
            deadlines::Quiet::Dead => self.step(Input::Idle, work),
        }
    }

    fn to_owner(&self, account: Jid, body: OwnerBody) {
        self.gateway.bus.to_owner(ToOwner { account, body });
    }

    /// Says something about the session, if there is one.
    fn to_session(&self, body: SessionBody) {
        if let Some(Session { account, id }) = &self.session {
            let conn = self.conn();
            self.to_owner(account.clone(), OwnerBody::Session { conn, session: *id, body });
        }
    }

    fn leave(&mut self, leave: Leave) {
        self.to_session(match leave {
            Leave::Detached => SessionBody::Detached,
            Leave::Closed => SessionBody::Closed,
        });
        self.session = None;
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Scratch::with(|scratch| self.turn(cx, scratch));
        match self.phase {
            Phase::Gone => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Connection {
    /// The place is given back; a session that is still carried, because the process stops its
    /// tasks or a turn panicked, is left as if the socket had broken.
    fn drop(&mut self) {
        self.leave(Leave::Detached);
        self.gateway.slots.release(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every idle connection pays for this: see `docs/performance.md` before it grows.
    #[test]
    fn a_connection_is_small() {
        let sizes = [
            ("connection", size_of::<Connection>()),
            ("reader", size_of::<Reader>()),
            ("transport", size_of::<Transport>()),
            ("deadlines", size_of::<Deadlines>()),
            ("place", size_of::<Place>()),
            ("mailbox", size_of::<parking_lot::Mutex<crate::slots::Mailbox>>()),
            ("bound stream", size_of::<xmpp::stream::Bound>()),
            ("timer", size_of::<tokio::time::Sleep>()),
            ("TLS stream", size_of::<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>()),
        ];
        for (name, size) in sizes {
            println!("{name}: {size}");
        }
        assert!(size_of::<Connection>() <= 512);
    }
}
