//! The edge: every XMPP socket.
//!
//! A gateway holds connections and nothing else: no accounts, no passwords, no messages. What a
//! client says is read, checked, numbered and handed to the owner of its account; what the owner
//! says is written. In reading order:
//!
//! - [`gateway`]: what a process has one of; accepting, receiving from the bus, shutting down.
//! - [`settings`]: limits and times.
//! - [`slots`]: a place for each connection, with the mailbox that owners' answers go to.
//! - [`connection`]: the one future per connection that drives its socket and its stream.
//! - [`transport`]: TCP, or TLS on it.
//! - [`attempts`]: failed logins by address.

mod attempts;
mod connection;
pub mod gateway;
pub mod settings;
mod slots;
mod transport;

pub use gateway::{Gateway, Mode, Ports};
pub use settings::Settings;
