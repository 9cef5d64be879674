//! What a stream wants done.

use crate::Jid;
use crate::Stanza;
use crate::error::{StanzaError, StreamCondition, StreamError};
use crate::framing::writer;
use std::fmt;
use std::sync::Arc;

/// What a step produced. The driver empties it; it may be used for step after step.
#[derive(Debug, Default)]
pub struct Output {
    /// For the peer. They go out before [`Command::StartTls`] and [`Command::Close`] take effect,
    /// and through what the transport was when they were written.
    pub bytes: Vec<u8>,
    /// In the order they were made.
    pub commands: Vec<Command>,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Command {
    /// The peer named the domain it wants to talk to.
    Opened {
        /// The domain, one of the settings'.
        domain: Arc<str>,
        /// The language of the stream.
        lang: Option<Arc<str>>,
    },
    /// Send what is written, then negotiate TLS and say [`super::Input::Secured`].
    StartTls,
    /// The next bytes begin a new stream.
    ResetReader,
    /// Ask the account's owner to judge a step of SASL.
    Sasl {
        /// Whose owner.
        account: Jid,
        /// The step.
        step: SaslStep,
    },
    /// Ask the owner to make an account.
    Register {
        /// The account, a bare JID.
        account: Jid,
        /// Its password.
        password: Secret,
    },
    /// The client has logged in: it may send more, and wait longer.
    Authenticated {
        /// The account, a bare JID.
        account: Jid,
    },
    /// Ask the owner to bind a resource.
    Bind {
        /// The one the client would like.
        resource: Option<String>,
    },
    /// Ask the owner to resume a session.
    Resume {
        /// What the client names it by.
        previd: String,
        /// How many stanzas the client handled, modulo 2^32.
        handled: u32,
    },
    /// A stanza of the client, stamped and numbered.
    Route {
        /// Its number.
        seq: u64,
        /// The stanza.
        stanza: Stanza,
    },
    /// A stanza that has to be answered with an error.
    Refuse {
        /// Its number.
        seq: u64,
        /// What can be used of it.
        stanza: Stanza,
        /// What to answer.
        error: Box<StanzaError>,
    },
    /// The client has everything up to this outbound number.
    Acked {
        /// The last number.
        seq: u64,
    },
    /// The client wants stream management.
    Manage {
        /// Whether the session may be resumed.
        resume: bool,
        /// For how many seconds the client would like it kept.
        max_seconds: Option<u32>,
    },
    /// Say [`super::Input::Confirmed`] once this inbound number is, or after a short while with the
    /// number that is confirmed then.
    AwaitConfirm {
        /// The number.
        seq: u64,
    },
    /// This connection no longer carries its session.
    Leave(Leave),
    /// Send what is written, then close the transport. The condition is that of the stream error,
    /// if there was one.
    Close(Option<StreamCondition>),
}

/// How a connection leaves its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It broke: the session may be resumed.
    Detached,
    /// The stream was closed: the session ends.
    Closed,
}

/// A step of SASL.
#[derive(Debug)]
pub enum SaslStep {
    /// The mechanism, one that is offered, and the client's first message.
    Start {
        /// Its name.
        mechanism: &'static str,
        /// The message.
        initial: Secret,
    },
    /// A later message.
    Response(Secret),
    /// The exchange ends without a result.
    Abort,
}

/// Bytes that must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Output {
    pub(super) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends what `write` writes. Not for stanzas: it copies.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) {
        let mut text = String::new();
        write(&mut text);
        self.push(&text);
    }

    /// Appends a stream error and the end of the stream (RFC 6120 §4.9). `extra` is an
    /// application-specific condition: a whole element.
    pub(super) fn stream_error(&mut self, error: &StreamError, extra: Option<&str>) {
        self.write(|text| {
            writer::stream_error(text, error, false);
            if let Some(extra) = extra {
                // RFC 6120 §4.9.4: it stands last.
                let end = text.len() - "</stream:error>".len();
                text.insert_str(end, extra);
            }
        });
        self.stream_close();
    }

    pub(super) fn stream_close(&mut self) {
        self.push(writer::STREAM_END);
    }
}
