//! What a stream is told.

use crate::error::{StanzaError, StreamError};
use crate::framing::StreamHeader;
use crate::sasl::Failure;
use crate::stanza::RawStanza;
use crate::{Element, Jid};
use bytes::Bytes;

/// What happened.
pub enum Input<'a> {
    /// The peer sent a stream header.
    Header(&'a StreamHeader),
    /// The peer sent a stanza.
    Stanza(&'a RawStanza<'a>),
    /// The peer sent another first-level element.
    Nonza {
        /// The element.
        element: &'a Element,
        /// Whether more bytes came with it: nothing may follow `<starttls/>`.
        pipelined: bool,
    },
    /// The peer closed the stream.
    Close,

    /// The TLS handshake is done.
    Secured {
        /// What it gives.
        channel: Channel,
        /// For the answer to the next stream header.
        id: String,
    },
    /// Owner: `<challenge/>` with this.
    Challenge(Vec<u8>),
    /// Owner: the client is who it says.
    Success {
        /// The account, a bare JID.
        account: Jid,
        /// Additional data with success.
        data: Option<Vec<u8>>,
        /// For the answer to the next stream header.
        id: String,
    },
    /// Owner: it is not.
    Failure(Failure),
    /// Owner: the answer to a registration.
    Registered(Result<(), StanzaError>),
    /// Owner: the full JID that is bound, or why there is none.
    Bound(Result<Jid, StanzaError>),
    /// Owner: the session that is resumed, or why it is not.
    Resumed(Result<Box<Resumed>, ResumeRefused>),
    /// Owner: stream management begins here.
    Managed {
        /// What the client has to name to resume.
        id: String,
        /// Seconds for which a broken session is kept; none when it cannot be resumed.
        resume_seconds: Option<u32>,
    },
    /// Owner: write this stanza.
    Deliver {
        /// Its number.
        seq: u64,
        /// The stanza, canonical.
        xml: &'a [u8],
    },
    /// Owner: the session is gone already; tell the peer why.
    End(StreamError),

    /// Everything up to this inbound number is confirmed, or it took too long to wait for more.
    /// Comes only after [`super::Command::AwaitConfirm`].
    Confirmed(u64),
    /// The bytes written so far are about to be sent.
    Writing,
    /// All bytes have been handed to the transport.
    Written,
    /// The peer was silent for long.
    Idle,
    /// An error of the reader or of the driver's own: time-out, limit, shutdown.
    Fail(StreamError),
    /// The transport is gone.
    Gone,
}

/// What protects a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Nothing.
    Clear,
    /// TLS, with what SASL may bind to (XEP-0440).
    Tls {
        /// `tls-exporter` (RFC 9266).
        exporter: bool,
        /// `tls-server-end-point` (RFC 5929).
        end_point: bool,
    },
}

impl Channel {
    /// Whether it is TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Channel::Tls { .. })
    }

    /// Whether SASL has anything to bind to.
    pub fn binds(self) -> bool {
        matches!(self, Channel::Tls { exporter, end_point } if exporter || end_point)
    }
}

/// A session that another connection had before (XEP-0198 §5).
#[derive(Debug, Clone)]
pub struct Resumed {
    /// What the client named it by.
    pub id: String,
    /// The full JID.
    pub jid: Jid,
    /// Last inbound number that was handled.
    pub handled: u64,
    /// Last outbound number the client has.
    pub acked: u64,
    /// Inbound number at which XEP-0198's count began.
    pub inbound_base: u64,
    /// Outbound number at which it began.
    pub outbound_base: u64,
    /// Stanzas the client does not have yet; they follow `acked` without a gap.
    pub unacked: Vec<Bytes>,
}

/// Why a session is not resumed.
#[derive(Debug, Clone)]
pub struct ResumeRefused {
    /// `item-not-found` where there is no such session.
    pub error: StanzaError,
    /// How many stanzas were handled, as XEP-0198 counts, where that is still known.
    pub handled: Option<u64>,
}
