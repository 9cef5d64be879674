//! Tests of the running server from outside, over its sockets.
//!
//! In reading order: [`server`] starts the binary on ports of its own; [`client`] says exactly the
//! bytes a test names; [`script`] runs the scenarios of `tests/scenarios`; the other modules are
//! tests, one topic each.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests stop where something is not as expected")]

mod client;
mod ledger;
mod pattern;
mod scram;
mod script;
mod server;
mod steps;
mod tls;
mod xml;

mod certificates;
mod domains;
mod hostile;
mod kill9;
mod login;
mod operations;
mod races;
mod scenarios;
mod streams;
mod tokio_xmpp_client;
mod volume;
