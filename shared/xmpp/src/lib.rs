//! XMPP without I/O, clock or randomness.
//!
//! Everything here is a value or a function of its arguments: bytes go in, frames, stanzas,
//! commands and bytes come out. A router and a gateway share these types; neither can make this
//! crate wait, log or fail for a reason outside its input.
//!
//! In reading order:
//!
//! - [`jid`]: addresses, prepared and compared by RFC 7622.
//! - [`ns`]: the namespaces the server knows.
//! - [`error`]: stream errors (RFC 6120 §4.9) and stanza errors (§8.3) as values.
//! - [`escape`]: characters of XML, escaping and its reverse.
//! - [`element`]: a small owned XML tree for payloads that a feature looks into.
//! - [`stanza`]: a stanza as it travels: one canonical buffer and what was read of it, once.
//! - [`framing`]: from a byte stream to frames and back.
//! - [`sasl`]: mechanisms as state machines (RFC 4422, 5802, 7677).
//! - [`payload`]: the XEPs' payloads that several features share.
//! - [`stream`]: the life of a stream, from its header to its close.

pub mod element;
pub mod error;
pub mod escape;
pub mod framing;
pub mod jid;
pub mod ns;
pub mod payload;
pub mod sasl;
pub mod stanza;
pub mod stream;

pub use element::Element;
pub use error::{StanzaError, StreamError};
pub use jid::Jid;
pub use stanza::Stanza;
