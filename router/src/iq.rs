//! IQ requests that the server answers: one table, filled by the features.

use crate::context::Context;
use crate::features;
use xmpp::Stanza;
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Child, IqType, Kind};

/// Whom a request is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A domain served here.
    Server,
    /// The requester's own account: no `to`, or its bare JID.
    Own,
    /// Another account's bare JID.
    Account,
}

/// Answers one kind of request.
pub struct IqHandler {
    /// For whom.
    pub target: Target,
    /// `get` or `set`.
    pub kind: IqType,
    /// Local name of the payload.
    pub name: &'static str,
    /// Its namespace.
    pub ns: &'static str,
    /// Answers it by exactly one result or error, at once or after a job.
    pub handle: fn(&mut Context<'_>, &Stanza, Child<'_>),
}

/// Answers a request, by whichever feature knows it.
pub(crate) fn dispatch(ctx: &mut Context<'_>, target: Target, request: &Stanza) {
    let Kind::Iq(kind) = request.kind() else { return };
    // RFC 6120 §8.2.3: exactly one child. The reader made sure of it for clients.
    let Some(payload) = request.payload() else {
        return ctx.refuse(request, StanzaCondition::BadRequest);
    };
    let known = |handler: &&IqHandler| {
        handler.target == target && handler.name == payload.name && handler.ns == payload.ns
    };
    let mut of_this_name = features::iq_handlers().filter(known).peekable();
    if of_this_name.peek().is_none() {
        // RFC 6120 §8.4: a namespace that is not understood.
        return ctx.refuse(request, StanzaCondition::ServiceUnavailable);
    }
    match of_this_name.find(|handler| handler.kind == kind) {
        Some(handler) => (handler.handle)(ctx, request, payload),
        // Known, but only the other way: a get of something that can only be set, or a set of it.
        None => ctx.refuse(request, StanzaCondition::NotAllowed),
    }
}
