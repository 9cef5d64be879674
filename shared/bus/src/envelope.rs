//! What gateways and owners say to each other.
//!
//! A *connection* is one socket at one gateway; a *session* is a bound resource, which may move
//! from connection to connection (XEP-0198). A gateway speaks for its connections, the owner of
//! the account's partition holds the session.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use xmpp::{Jid, Stanza, StanzaError, StreamError};

/// One run of one process: a random number drawn at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// One connection at one gateway. `generation` tells apart those that used the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// The gateway that holds the socket.
    pub gateway: NodeId,
    /// Its place there.
    pub slot: u32,
    /// How often the place was used before.
    pub generation: u32,
}

/// A session's name for its whole life: 128 random bits. Its text form is the XEP-0198 id, so
/// whoever knows it *and* is logged in to the account may resume the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// The 26 base32 characters that a client gets to see.
    pub fn to_text(self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0.to_be_bytes()).to_ascii_lowercase()
    }

    /// Reads [`SessionId::to_text`]'s form.
    pub fn from_text(text: &str) -> Option<SessionId> {
        let bytes = data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        Some(SessionId(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Debug for SessionId {
    /// Only the first characters: the whole id lets its owner's session be resumed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", &self.to_text()[..6])
    }
}

/// What the owner is told about the far end of a connection.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address, as the listener or a trusted balancer says.
    pub address: SocketAddr,
    /// The hosted domain the stream was opened to.
    pub domain: Arc<str>,
    /// `xml:lang` of the stream header, when there is one.
    pub lang: Option<Arc<str>>,
    /// What is known of TLS; none when the stream is in the clear.
    pub tls: Option<TlsFacts>,
}

/// What authentication needs to know of the TLS session, gathered where it ends (RFC 5929, 9266).
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// Protocol version, `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Keying material for `tls-exporter`; none where TLS 1.2 lacks the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// Hash of the certificate for `tls-server-end-point`.
    pub end_point: Option<Arc<[u8]>>,
}

/// To the owner of `account`'s partition.
#[derive(Debug)]
pub struct ToOwner {
    /// Bare JID whose partition decides where this goes.
    pub account: Jid,
    /// What it is about.
    pub body: OwnerBody,
}

/// What an owner is told.
#[derive(Debug)]
pub enum OwnerBody {
    /// A step of a SASL exchange.
    Sasl {
        /// Who asks.
        conn: ConnId,
        /// Facts about the connection.
        origin: Arc<Origin>,
        /// The step.
        step: SaslStep,
    },
    /// XEP-0077 before authentication: create `account` with this password.
    Register {
        /// Who asks.
        conn: ConnId,
        /// Facts about the connection.
        origin: Arc<Origin>,
        /// The password as the client sent it.
        password: Secret,
    },
    /// Bind a resource (RFC 6120 §7) on an authenticated connection.
    Bind {
        /// Who asks; SASL succeeded on this connection.
        conn: ConnId,
        /// Facts about the connection.
        origin: Arc<Origin>,
        /// The resource the client asks for; none lets the server choose.
        resource: Option<String>,
    },
    /// Take a session over from its earlier connection (XEP-0198 §5).
    Resume {
        /// Who asks; SASL succeeded on this connection.
        conn: ConnId,
        /// Facts about the connection.
        origin: Arc<Origin>,
        /// The session.
        session: SessionId,
        /// How many stanzas the client says it handled, modulo 2^32.
        handled: u32,
    },
    /// From the connection that holds a session.
    Session {
        /// The connection. The owner ignores a connection that no longer holds the session.
        conn: ConnId,
        /// The session.
        session: SessionId,
        /// What it says.
        body: SessionBody,
    },
    /// A stanza from another account (or the server) to `account`, for the inbound side.
    Routed {
        /// The stanza; `from` is set and true.
        stanza: Stanza,
        /// Who waits for its effect to be durable.
        receipt: Receipt,
    },
    /// A stanza sent by a session of `account` has had its durable effect everywhere.
    Settled {
        /// The session that sent it.
        session: SessionId,
        /// Its number in that session's inbound sequence.
        seq: u64,
    },
    /// An operator ends sessions of `account`.
    Kick {
        /// Only this resource; none means all.
        resource: Option<String>,
        /// The stream error they get.
        error: StreamError,
    },
    /// The account was changed or removed behind the owner's back (administration): forget what
    /// was loaded of it. With `gone`, end its sessions with `not-authorized`.
    Refresh {
        /// Whether the account no longer exists or may no longer log in.
        gone: bool,
    },
}

/// A step of a SASL exchange (RFC 6120 §6.4).
#[derive(Debug)]
pub enum SaslStep {
    /// `<auth/>`: the mechanism's name and the initial response, if there was one.
    Start {
        /// As named in `<auth mechanism=''/>`.
        mechanism: String,
        /// Decoded initial response. `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `<response/>`, decoded.
    Response(Secret),
    /// `<abort/>`, or the connection closed in the middle.
    Abort,
}

/// Bytes that must not reach a log.
#[derive(Clone)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a connection says about the session it holds.
#[derive(Debug)]
pub enum SessionBody {
    /// The next stanza of the inbound sequence; `from` is the session's full JID. The first one
    /// is number 1, and each has one more than the one before: this is XEP-0198's count.
    Stanza {
        /// Its number.
        seq: u64,
        /// The stanza.
        stanza: Stanza,
    },
    /// A stanza that counts but cannot be routed as it is (malformed `to`, forged `from`, missing
    /// `id` on an IQ ...): the owner answers it with this error, so that numbers stay in step.
    Refused {
        /// Its number.
        seq: u64,
        /// The stanza without the attribute at fault.
        stanza: Stanza,
        /// What to answer.
        error: StanzaError,
    },
    /// The client has everything up to and including this outbound number: written to the socket
    /// or, with stream management, acknowledged.
    Acked {
        /// The last number.
        seq: u64,
    },
    /// XEP-0198 `<enable/>`: from now on the client acknowledges; numbers go on unchanged.
    Manage {
        /// Whether the session may be resumed.
        resume: bool,
        /// Seconds for which the client would like it kept; the owner decides.
        max_seconds: Option<u32>,
    },
    /// The connection is gone without `</stream:stream>`: a resumable session is kept.
    Detached,
    /// The stream was closed, by the client or by this gateway with an error: the session ends.
    Closed,
}

/// Who waits until a stanza's effect is durable, so that it may be acknowledged (I1).
#[derive(Debug, Clone)]
pub enum Receipt {
    /// Nobody: a stanza of the server itself.
    None,
    /// The session that sent it; answered with [`OwnerBody::Settled`].
    Session {
        /// The sender's bare JID.
        account: Jid,
        /// Its session.
        session: SessionId,
        /// The stanza's number in the session's inbound sequence.
        seq: u64,
        /// The commit of the message log that it must not outrun; 0 when nothing was logged.
        commit: u64,
    },
}

/// To the gateway that holds `conn`.
#[derive(Debug)]
pub struct ToGateway {
    /// The connection.
    pub conn: ConnId,
    /// What it is about.
    pub body: GatewayBody,
}

/// What a gateway is told.
#[derive(Debug)]
pub enum GatewayBody {
    /// The answer to [`OwnerBody::Sasl`].
    Sasl(SaslOutcome),
    /// The answer to [`OwnerBody::Register`].
    Registered(Result<(), StanzaError>),
    /// The answer to [`OwnerBody::Bind`].
    Bound(Result<Bound, StanzaError>),
    /// The answer to [`OwnerBody::Resume`].
    Resumed(Result<Resumed, ResumeRefused>),
    /// The answer to [`SessionBody::Manage`]. XEP-0198's counts begin here: inbound after the last
    /// stanza sent before `Manage`, outbound after the last `Deliver` before this.
    Managed {
        /// Seconds for which a broken session is kept; none when it cannot be resumed.
        resume_seconds: Option<u32>,
    },
    /// Write this stanza.
    Deliver {
        /// Its number in the session's outbound sequence, from 1.
        seq: u64,
        /// The whole stanza, canonical, in the content namespace.
        xml: Bytes,
    },
    /// Everything up to this inbound number has had its durable effect: it opens the window and,
    /// with stream management, may be acknowledged to the client.
    Confirm {
        /// The last number.
        seq: u64,
    },
    /// End the stream. The session is already gone or moved; the gateway says nothing back.
    Close(StreamError),
}

/// A bound session.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its name.
    pub session: SessionId,
    /// The full JID.
    pub jid: Jid,
}

/// A resumed session.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// Its name, which stays.
    pub session: SessionId,
    /// The full JID.
    pub jid: Jid,
    /// Last inbound number that was handled; the client's next stanza has the one after it.
    pub handled: u64,
    /// Last outbound number the client has; those of `unacked` follow it without a gap.
    pub acked: u64,
    /// Inbound number at which XEP-0198's count began: what goes over the wire is the number minus
    /// this, modulo 2^32.
    pub inbound_base: u64,
    /// The same for outbound numbers.
    pub outbound_base: u64,
    /// Stanzas the client does not have yet.
    pub unacked: Vec<Bytes>,
    /// Seconds for which the session is kept when it breaks again.
    pub resume_seconds: u32,
}

/// Why a session was not resumed (XEP-0198 §5, `<failed/>`).
#[derive(Debug, Clone)]
pub struct ResumeRefused {
    /// `item-not-found` where there is no such session.
    pub error: StanzaError,
    /// Last inbound number handled, where the owner still knows.
    pub handled: Option<u64>,
}

/// The answer to a step of SASL.
#[derive(Debug)]
pub enum SaslOutcome {
    /// `<challenge/>` with these bytes.
    Challenge(Vec<u8>),
    /// `<success/>`.
    Success {
        /// The account: a bare JID.
        account: Jid,
        /// Additional data with success, if the mechanism has any.
        data: Option<Vec<u8>>,
    },
    /// `<failure/>`.
    Failure(xmpp::sasl::Failure),
}
