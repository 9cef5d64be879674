//! `[admin]`: the gRPC interface of `waystation ctl`.

use super::section::section;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

section! {
    /// The gRPC interface of `waystation ctl`.
    Admin "admin" {
        /// Addresses where it is served; `ctl` calls the first one. Empty: none. It is not
        /// encrypted: keep it on loopback or behind a proxy that is.
        listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9601))];
        /// File with the token that callers must know. Empty: `admin-token` in the data directory,
        /// made at the first start.
        token_file: PathBuf = PathBuf::new();
        /// Most entries of one page of a list.
        page_entries_max: usize = 1_000, 1..=100_000;
    }
}
