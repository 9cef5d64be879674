//! What the server can do, one file each.
//!
//! Reading [`REGISTRY`] is reading the order in which features see a stanza. A feature declares
//! what service discovery says of it, the requests it answers and the phases it takes part in;
//! nothing else in the router names a feature.

use crate::context::Context;
use crate::iq::IqHandler;
use crate::session::Session;
use bus::SessionId;
use xmpp::Stanza;
use xmpp::stanza::MessageType;

macro_rules! features {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Every feature, in the order they see a stanza.
        pub static REGISTRY: &[Feature] = &[$($name::FEATURE),*];
    };
}

features! { last, presence, roster, offline, disco, ping, version, time, register, session }

/// Whether later features, and the default, still see the stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    Continue,
    /// This feature took it.
    Done,
}

/// Sees a stanza in one phase.
pub type Hook = fn(&mut Context<'_>, &Stanza) -> Flow;

/// A feature.
pub struct Feature {
    /// Namespaces that a domain announces (XEP-0030).
    pub server: &'static [&'static str],
    /// Namespaces that an account announces.
    pub account: &'static [&'static str],
    /// Whether the configuration has it on.
    pub enabled: fn(&crate::settings::Settings) -> bool,
    /// Requests it answers.
    pub iq: &'static [IqHandler],
    /// A session of the account sent a stanza.
    pub sent: Option<Hook>,
    /// A stanza came in for the account.
    pub received: Option<Hook>,
    /// A session became available that was not (RFC 6121 §4.2).
    pub available: Option<fn(&mut Context<'_>, SessionId)>,
    /// A session has ended; it is no longer among the account's.
    pub ended: Option<fn(&mut Context<'_>, &mut Session)>,
}

impl Feature {
    /// A feature that does nothing: the rest of each `FEATURE`.
    pub const NONE: Feature = Feature {
        server: &[],
        account: &[],
        enabled: |_| true,
        iq: &[],
        sent: None,
        received: None,
        available: None,
        ended: None,
    };
}

/// Every request that is answered.
pub(crate) fn iq_handlers() -> impl Iterator<Item = &'static IqHandler> {
    REGISTRY.iter().flat_map(|feature| feature.iq)
}

/// The phase of a stanza that a session of the account sent.
pub(crate) fn sent(ctx: &mut Context<'_>, stanza: &Stanza) -> Flow {
    phase(ctx, stanza, |feature| feature.sent)
}

/// The phase of a stanza that came in for the account.
pub(crate) fn received(ctx: &mut Context<'_>, stanza: &Stanza) -> Flow {
    phase(ctx, stanza, |feature| feature.received)
}

fn phase(ctx: &mut Context<'_>, stanza: &Stanza, hook: fn(&Feature) -> Option<Hook>) -> Flow {
    for hook in REGISTRY.iter().filter_map(hook) {
        if hook(ctx, stanza) == Flow::Done {
            return Flow::Done;
        }
    }
    Flow::Continue
}

/// A session became available.
pub(crate) fn available(ctx: &mut Context<'_>, session: SessionId) {
    for hook in REGISTRY.iter().filter_map(|feature| feature.available) {
        hook(ctx, session);
    }
}

/// A session has ended.
pub(crate) fn ended(ctx: &mut Context<'_>, session: &mut Session) {
    for hook in REGISTRY.iter().filter_map(|feature| feature.ended) {
        hook(ctx, session);
    }
}

/// What ends the subscriptions with a contact of `account`.
pub(crate) fn endings(account: &xmpp::Jid, item: &store::RosterItem) -> Vec<Stanza> {
    roster::endings(account, item)
}

/// Whether a message is put into the log: content of a conversation whose sender does not forbid
/// it (XEP-0334). Rooms keep their own.
pub(crate) fn is_kept(stanza: &Stanza, kind: MessageType) -> bool {
    match kind {
        MessageType::Chat | MessageType::Normal => {
            let hints = stanza.hints();
            stanza.content().content && !hints.no_store
        }
        MessageType::Error | MessageType::Groupchat | MessageType::Headline => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_request_has_one_answerer() {
        let mut seen = HashSet::new();
        for handler in iq_handlers() {
            let key = (handler.target, handler.kind, handler.name, handler.ns);
            assert!(seen.insert(key), "two features answer {key:?}");
        }
    }

    #[test]
    fn a_namespace_is_announced_once() {
        for list in [|f: &Feature| f.server, |f: &Feature| f.account] {
            let mut seen = HashSet::new();
            for ns in REGISTRY.iter().flat_map(list) {
                assert!(seen.insert(ns), "{ns} is announced twice");
            }
        }
    }
}
