//! Limits and times of a gateway.

use runtime::config::c2s::C2s;
use runtime::config::sasl::Sasl;
use std::sync::Arc;
use std::time::Duration;
use xmpp::framing::Limits;
use xmpp::sasl::Mechanism;
use xmpp::stream::{self, Caps};

/// How long a client may wait for the answer to `<r/>` before it gets an older number: XEP-0198 §4
/// wants it soon, and the message log commits many times in this.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// How long a closed stream's peer may take to read what is left and to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a broken connection waits for the session it asked for, to give it back.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(30);

/// Limits and times of a gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What streams offer.
    pub stream: Arc<stream::Settings>,
    /// What a client may send before it has logged in.
    pub limits_before_login: Limits,
    /// What a client may send.
    pub limits: Limits,
    /// Bytes that a client may send before it has logged in.
    pub unauthenticated_bytes_max: usize,
    /// Time from the connection to the bound resource.
    pub negotiation_timeout: Duration,
    /// Time without a byte from the client before it is asked whether it is there.
    pub idle_timeout: Duration,
    /// Time in which a write must make progress.
    pub write_timeout: Duration,
    /// Time to wait for confirmation before `<r/>` is answered with less.
    pub confirm_wait: Duration,
    /// Time for the end of a connection.
    pub close_timeout: Duration,
    /// Time that a broken connection waits for a session it asked for.
    pub orphan_timeout: Duration,
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: usize,
    /// Unconfirmed stanzas of one session; until some are confirmed its socket is not read.
    pub window_stanzas: u64,
    /// The same in bytes; at least one stanza fits.
    pub window_bytes: usize,
    /// Failed logins of one address in a minute.
    pub attempts_per_address_per_minute: u32,
    /// Connections.
    pub connections_max: usize,
    /// Connections that have not logged in.
    pub unauthenticated_connections_max: usize,
    /// Connections of one address.
    pub connections_per_address_max: usize,
}

impl Settings {
    /// From the configuration: its sections `c2s` and `sasl`, the domains, whether clients may
    /// register, and the server's own capabilities.
    pub fn new(c2s: &C2s, sasl: &Sasl, hosts: &[String], registration: bool, caps: Option<Caps>) -> Settings {
        let limits = |stanza_bytes_max: usize| Limits {
            stanza_bytes_max: u32::try_from(stanza_bytes_max).unwrap_or(u32::MAX),
            depth_max: u16::try_from(c2s.depth_max).unwrap_or(u16::MAX),
            attributes_max: u16::try_from(c2s.attributes_max).unwrap_or(u16::MAX),
            ..Limits::default()
        };
        let stream = stream::Settings {
            domains: hosts.iter().map(|host| Arc::from(host.as_str())).collect(),
            allow_plaintext: c2s.allow_plaintext,
            mechanisms: sasl.mechanisms.iter().filter_map(|name| Mechanism::from_name(name)).collect(),
            attempts_max: sasl.attempts_per_connection_max,
            registration,
            caps,
        };
        Settings {
            stream: Arc::new(stream),
            limits_before_login: limits(c2s.unauthenticated_stanza_bytes_max),
            limits: limits(c2s.stanza_bytes_max),
            // A login takes a few stanzas, none of them near its limit.
            unauthenticated_bytes_max: c2s.unauthenticated_stanza_bytes_max * 4,
            negotiation_timeout: Duration::from_secs(c2s.negotiation_timeout_seconds),
            idle_timeout: Duration::from_secs(c2s.idle_timeout_seconds),
            write_timeout: Duration::from_secs(c2s.write_timeout_seconds),
            confirm_wait: CONFIRM_WAIT,
            close_timeout: CLOSE_TIMEOUT,
            orphan_timeout: ORPHAN_TIMEOUT,
            outbound_bytes_max: c2s.outbound_bytes_max,
            window_stanzas: c2s.window_stanzas as u64,
            window_bytes: c2s.stanza_bytes_max * 4,
            attempts_per_address_per_minute: sasl.attempts_per_address_per_minute,
            connections_max: c2s.connections_max,
            unauthenticated_connections_max: c2s.unauthenticated_connections_max,
            connections_per_address_max: c2s.connections_per_address_max,
        }
    }
}
