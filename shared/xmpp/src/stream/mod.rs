//! The life of a client's stream, from its header to its close, without I/O.
//!
//! A [`Stream`] is told what happened ([`Input`]) and says what to do ([`Output`]): bytes for the
//! peer, and [`Command`]s for whoever drives it. Each state is a struct that owns only what that
//! state knows, is consumed by the event it handles, and returns the next one:
//!
//! ```text
//! Opening --header--> Authenticating --SASL--> Opening --header--> Binding --bind, resume--> Bound
//!    ^                      |
//!    +---TLS--- Securing <--+ starttls
//! ```
//!
//! In reading order:
//!
//! - [`input`], [`output`]: what goes in and what comes out.
//! - [`settings`]: what a stream offers.
//! - [`opening`]: stream headers (RFC 6120 §4.7) and what they are answered with.
//! - [`features`]: stream features (§4.3.2).
//! - [`securing`]: between `<proceed/>` and the end of the TLS handshake (§5).
//! - [`authenticating`]: SASL (§6), and [`registering`] before it (XEP-0077).
//! - [`binding`]: a resource (§7), or an earlier session (XEP-0198 §5).
//! - [`bound`]: stanzas, numbered; [`management`] acknowledges them (XEP-0198).

mod authenticating;
mod binding;
mod bound;
mod features;
pub mod input;
mod management;
mod opening;
pub mod output;
mod registering;
mod securing;
pub mod settings;

#[cfg(test)]
mod tests;

pub use authenticating::Authenticating;
pub use binding::Binding;
pub use bound::Bound;
pub use input::{Channel, Input, ResumeRefused, Resumed};
pub use opening::Opening;
pub use output::{Command, Leave, Output, SaslStep, Secret};
pub use securing::Securing;
pub use settings::{Caps, Settings};

use crate::error::{StreamCondition, StreamError};
use crate::{Element, Jid};
use std::sync::Arc;

/// Where a stream is in its life. Every state is boxed: most of them are rare and short, and the
/// long one is moved once for each stanza.
pub enum Stream {
    /// A stream header is due.
    Opening(Box<Opening>),
    /// TLS is being negotiated.
    Securing(Box<Securing>),
    /// The client has to log in.
    Authenticating(Box<Authenticating>),
    /// The client has to bind a resource.
    Binding(Box<Binding>),
    /// Stanzas flow.
    Bound(Box<Bound>),
    /// Nothing more is read or written.
    Closed,
}

/// What is known of a stream until its resource is bound.
struct Common {
    settings: Arc<Settings>,
    channel: Channel,
    /// The domain the first header named; the later ones must name it too.
    domain: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    /// Attempts to log in or register that failed.
    failures: u32,
}

/// How to tell the peer of an error, noted before the state that knows it is consumed.
enum Standing {
    /// The response header has to come first (RFC 6120 §4.9.1.2).
    HeaderDue { id: Box<str>, from: Arc<str> },
    /// Nothing can be said: the TLS handshake is under way, or the stream is closed.
    Silent,
    /// The stream is open.
    Open,
    /// It carries a session, of which the owner has to be told.
    Bound,
}

impl Stream {
    /// A new stream. `id` is what its first header is answered with: random, unlike any other
    /// (RFC 6120 §4.7.3).
    pub fn new(settings: Arc<Settings>, channel: Channel, id: String) -> Stream {
        let common = Common { settings, channel, domain: None, lang: None, failures: 0 };
        Stream::Opening(Box::new(Opening::new(common, None, id)))
    }

    /// A new stream that begins with the TLS handshake (XEP-0368).
    pub fn direct_tls(settings: Arc<Settings>) -> Stream {
        let common = Common { settings, channel: Channel::Clear, domain: None, lang: None, failures: 0 };
        Stream::Securing(Box::new(Securing::new(common)))
    }

    /// Takes what happened. An error is told to the peer, and ends the stream.
    pub fn handle(self, input: Input<'_>, out: &mut Output) -> Stream {
        let standing = self.standing();
        match self.step(input, out) {
            Ok(next) => next,
            Err(error) => {
                standing.fail(&error, out);
                Stream::Closed
            }
        }
    }

    /// The step itself; the error is not told to anybody yet.
    fn step(self, input: Input<'_>, out: &mut Output) -> Result<Stream, StreamError> {
        if let Input::Fail(error) = input {
            return Err(error);
        }
        match self {
            Stream::Bound(bound) => bound.handle(input, out),
            Stream::Opening(opening) => opening.handle(input, out),
            Stream::Securing(securing) => Ok(securing.handle(input)),
            Stream::Authenticating(authenticating) => authenticating.handle(input, out),
            Stream::Binding(binding) => binding.handle(input, out),
            Stream::Closed => Ok(Stream::Closed),
        }
    }

    /// Whether the stream waits for an answer of the owner: frames must wait until it came.
    pub fn is_waiting(&self) -> bool {
        match self {
            Stream::Authenticating(authenticating) => authenticating.is_waiting(),
            Stream::Binding(binding) => binding.is_waiting(),
            Stream::Bound(bound) => bound.is_waiting(),
            // What came before the handshake's end came in the clear.
            Stream::Securing(_) | Stream::Closed => true,
            Stream::Opening(_) => false,
        }
    }

    /// Whether an answer is due that may bring a session: somebody must be there to take it.
    pub fn awaits_session(&self) -> bool {
        matches!(self, Stream::Binding(binding) if binding.is_waiting())
    }

    /// Whether the client acknowledges (XEP-0198), so that it can be asked whether it is there.
    pub fn is_managed(&self) -> bool {
        matches!(self, Stream::Bound(bound) if bound.is_managed())
    }

    /// Whether nothing more comes of it.
    pub fn is_closed(&self) -> bool {
        matches!(self, Stream::Closed)
    }

    #[inline]
    fn standing(&self) -> Standing {
        match self {
            Stream::Bound(_) => Standing::Bound,
            Stream::Authenticating(_) | Stream::Binding(_) => Standing::Open,
            Stream::Opening(opening) => opening.standing(),
            Stream::Securing(_) | Stream::Closed => Standing::Silent,
        }
    }
}

impl Standing {
    fn fail(self, error: &StreamError, out: &mut Output) {
        match self {
            Standing::HeaderDue { id, from } => {
                opening::respond(out, &id, &from, None, None);
                out.stream_error(error, None);
            }
            Standing::Open => out.stream_error(error, None),
            Standing::Bound => {
                out.stream_error(error, None);
                out.command(Command::Leave(leave(error)));
            }
            Standing::Silent => {}
        }
        out.command(Command::Close(Some(error.condition)));
    }
}

/// What a stream error of ours means for the session. XEP-0198 §7 keeps a session whose stream was
/// not closed in an orderly way; where the client broke the rules it would only break them again,
/// so that session ends, but not where the cause lies in time, load or the end of this process.
fn leave(error: &StreamError) -> Leave {
    use StreamCondition as C;
    match error.condition {
        C::ConnectionTimeout
        | C::InternalServerError
        | C::RemoteConnectionFailed
        | C::Reset
        | C::ResourceConstraint
        | C::SeeOtherHost
        | C::SystemShutdown => Leave::Detached,
        _ => Leave::Closed,
    }
}

/// The peer closed the stream: the same is answered (RFC 6120 §4.4).
fn closed_by_peer(out: &mut Output) -> Stream {
    out.stream_close();
    out.command(Command::Close(None));
    Stream::Closed
}

/// RFC 6120 §4.9.3.24
fn unsupported(element: &Element) -> StreamError {
    StreamError::new(
        StreamCondition::UnsupportedStanzaType,
        format!("no <{} xmlns='{}'/> is known here", short(element.name()), short(element.ns())),
    )
}

/// The start of a peer's text, for an error.
fn short(text: &str) -> &str {
    let end = text.char_indices().nth(64).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// RFC 6120 §4.9.3.12
fn before_login() -> StreamError {
    StreamError::new(
        StreamCondition::NotAuthorized,
        "stanzas are for those who have logged in and bound a resource",
    )
}

/// The bare domain as an address, where a stanza needs a sender.
fn domain_jid(domain: &str) -> Result<Jid, StreamError> {
    Jid::from_parts(None, domain, None).map_err(|_| StreamCondition::InternalServerError.into())
}
