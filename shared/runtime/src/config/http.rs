//! `[http]`: the web edge.

use super::section::section;
use std::net::{Ipv6Addr, SocketAddr};

section! {
    /// The web edge (WebSocket and BOSH). It is not served yet.
    Http "http" {
        /// Addresses where HTTP is served. Empty: none.
        listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5280))];
    }
}
