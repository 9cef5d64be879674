//! What streams offer.

use crate::sasl::{Mechanism, Policy};
use crate::stream::Channel;
use std::sync::Arc;

/// What the streams of a listener offer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domains that accounts live under, prepared. The first speaks where none was named.
    pub domains: Vec<Arc<str>>,
    /// Whether clients may log in without TLS.
    pub allow_plaintext: bool,
    /// Mechanisms that may be offered.
    pub mechanisms: Vec<Mechanism>,
    /// Failed logins after which the stream is closed.
    pub attempts_max: u32,
    /// Whether accounts can be made before login (XEP-0077).
    pub registration: bool,
    /// The server's own capabilities (XEP-0115 §6.1).
    pub caps: Option<Caps>,
}

/// Entity capabilities (XEP-0115), hashed with SHA-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// `node`
    pub node: String,
    /// `ver`
    pub ver: String,
}

impl Settings {
    /// The domain, if it is one of ours.
    pub(super) fn domain(&self, name: &str) -> Option<Arc<str>> {
        self.domains.iter().find(|domain| &***domain == name).cloned()
    }

    /// The domain that speaks where none was named.
    pub(super) fn default_domain(&self) -> Arc<str> {
        self.domains.first().cloned().unwrap_or_else(|| Arc::from(""))
    }

    /// Whether a client may log in or register over this channel.
    pub(super) fn admits(&self, channel: Channel) -> bool {
        channel.is_tls() || self.allow_plaintext
    }

    /// Which mechanisms may be used over this channel.
    pub(super) fn policy(&self, channel: Channel) -> Policy<'_> {
        Policy {
            allowed: &self.mechanisms,
            channel_binding: channel.binds(),
            plaintext: self.admits(channel),
        }
    }
}
