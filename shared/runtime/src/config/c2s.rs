//! `[c2s]`: client connections over TCP.

use super::section::section;
use super::{Broken, broken};
use std::net::{Ipv6Addr, SocketAddr};

section! {
    /// Client connections over TCP.
    C2s "c2s" {
        /// Addresses where streams start in the clear and turn to TLS (STARTTLS). Empty: none.
        starttls: Vec<SocketAddr> = vec![any(5222)];
        /// Addresses where TLS comes first (XEP-0368). Empty: none.
        direct_tls: Vec<SocketAddr> = vec![any(5223)];
        /// Whether clients may log in without TLS, by PLAIN too. For load tools and for networks that
        /// encrypt by themselves.
        allow_plaintext: bool = false;
        /// Largest stanza of a client that is logged in, in bytes.
        stanza_bytes_max: usize = 262_144, 10_000..=16_777_216;
        /// Largest stanza before the login, in bytes. RFC 6120 §13.12 asks for 10000 at least.
        unauthenticated_stanza_bytes_max: usize = 16_384, 10_000..=262_144;
        /// Deepest nesting of elements in a stanza.
        depth_max: usize = 64, 8..=4_096;
        /// Most attributes of an element.
        attributes_max: usize = 64, 8..=1_024;
        /// Seconds from the connection to the bound resource; then it is closed.
        negotiation_timeout_seconds: u64 = 60, 1..=3_600;
        /// Seconds without a byte from the client before it is sent a whitespace ping; after as many
        /// again without an answer from its TCP it is taken for dead.
        idle_timeout_seconds: u64 = 300, 10..=86_400;
        /// Seconds that the client's TCP may take no bytes that wait for it; then the connection is
        /// taken for dead.
        write_timeout_seconds: u64 = 60, 1..=3_600;
        /// Most connections of this process; more wait in the kernel's queue.
        connections_max: usize = 200_000, 1..=10_000_000;
        /// Most connections of one address (IPv6: of one /64); more are refused. Lower it where no
        /// balancer or carrier puts many clients behind one address.
        connections_per_address_max: usize = 20_000, 1..=10_000_000;
        /// Most connections that have not logged in; more wait in the kernel's queue.
        unauthenticated_connections_max: usize = 10_000, 1..=10_000_000;
        /// Most bytes that wait for one client's socket; a client that reads slower is closed.
        outbound_bytes_max: usize = 1_048_576, 65_536..=1_073_741_824;
        /// Most stanzas of one session that are not yet durable; until then its socket is not read.
        window_stanzas: usize = 256, 1..=65_536;
    }
}

impl C2s {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        if self.unauthenticated_stanza_bytes_max > self.stanza_bytes_max {
            return broken("c2s.unauthenticated_stanza_bytes_max", "expected at most c2s.stanza_bytes_max");
        }
        if self.outbound_bytes_max < self.stanza_bytes_max {
            return broken("c2s.outbound_bytes_max", "expected at least c2s.stanza_bytes_max");
        }
        Ok(())
    }
}

/// Every address of the host; IPv4 too, through a dual-stack socket.
fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}
