//! `[operations]`: metrics and health.

use super::section::section;
use std::net::{Ipv4Addr, SocketAddr};

section! {
    /// Metrics and health: `/metrics`, `/healthz` and `/readyz`.
    Operations "operations" {
        /// Addresses where they are served. Empty: none. They tell no secrets but ask for none
        /// either: open them to your monitoring only.
        listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9600))];
    }
}
