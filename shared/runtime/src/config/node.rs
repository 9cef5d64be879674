//! `[node]`: this process and where it keeps its files.

use super::section::section;
use super::value::words;
use super::{Broken, broken};
use std::path::PathBuf;

section! {
    /// This process and where it keeps its files.
    Node "node" {
        /// Name of this node, unique in its cluster. Empty: `HOSTNAME`, else the name of the host.
        name: String = String::new();
        /// Directory of the database, the certificate and the tokens. It is made when it is missing.
        data_dir: PathBuf = PathBuf::from("waystation-data");
        /// Parts of the service that this process runs: `all`, or a list of `gateway`, `router` and
        /// `proxy`.
        roles: Vec<Role> = vec![Role::All];
        /// Threads that serve connections. 0: half the cores, at least one; the kernel's part of the
        /// work and the message log take the rest. More than are busy only wake each other.
        threads: usize = 0, 0..=1_024;
    }
}

words! {
    /// A part of the service.
    Role { All = "all", Gateway = "gateway", Router = "router", Proxy = "proxy" }
}

impl super::value::Item for Role {
    const LIST_EXPECTED: &'static str = "all, or a list of gateway, router and proxy";
}

impl Node {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        if self.name.is_empty() {
            self.name = host_name();
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if self.name.len() > 255 || !self.name.chars().all(plain) {
            return broken(
                "node.name",
                "expected at most 255 letters, digits, dots, hyphens and underscores",
            );
        }
        if self.data_dir.as_os_str().is_empty() {
            return broken("node.data_dir", "expected a path");
        }
        if self.roles.is_empty() {
            return broken("node.roles", "expected at least one role");
        }
        Ok(())
    }

    /// Whether this process runs every part.
    pub fn embedded(&self) -> bool {
        let all = [Role::Gateway, Role::Router, Role::Proxy];
        self.roles.contains(&Role::All) || all.iter().all(|role| self.roles.contains(role))
    }
}

/// The name the environment or the system gives this host.
fn host_name() -> String {
    match std::env::var("HOSTNAME") {
        Ok(name) if !name.is_empty() => name,
        _ => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}
