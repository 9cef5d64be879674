//! Session and routing logic of the partitions a node owns.
//!
//! Everything an account does happens here, one event at a time: a stanza of one of its sessions
//! (the *outbound* side), a stanza from another account (the *inbound* side), a login, a resumption,
//! an operator's wish. In reading order:
//!
//! - [`executor`]: brings work to accounts and keeps each account's events in order.
//! - [`turn`]: one event of one account: what it means, and performing what features ask for.
//! - [`account`], [`session`]: what is held of an account and its bound resources.
//! - [`context`]: what a feature is given and may ask for.
//! - [`outbound`], [`inbound`]: the two sides of a stanza's way.
//! - [`delivery`]: which resources get a message (RFC 6121 §8.5).
//! - [`feed`]: from the message log to a session.
//! - [`iq`]: the table of requests the server answers.
//! - [`features`]: one file each; reading the registry is reading the order.
//! - [`subscription`]: the state tables of RFC 6121 appendix A.
//! - [`sessions`]: bound, managed, detached, resumed, ended.
//! - [`auth`]: logins and registration.
//! - [`registrations`]: how many accounts an address makes.
//! - [`expiry`]: when detached sessions end.
//! - [`admin`]: the administration API's server side.

mod account;
mod auth;
mod context;
mod delivery;
mod executor;
mod expiry;
mod features;
mod feed;
mod inbound;
mod iq;
mod outbound;
mod registrations;
mod session;
mod sessions;
mod settings;
mod shared;
mod subscription;
mod turn;

#[cfg(test)]
mod testing;

pub mod admin;

pub use auth::{credentials, mechanisms};
pub use executor::{Router, settled};
pub use features::disco::{CAPS_NODE, caps_ver};
pub use settings::Settings;
pub use shared::{Ports, Shared};
