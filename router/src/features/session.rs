//! What is left of making a session once it is made: RFC 3921 §3, the session request of old
//! clients, which RFC 6121 made a no-op; RFC 6120 §7.1, a second resource on one stream.

use super::Feature;
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Child, IqType};
use xmpp::{Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    iq: &[
        IqHandler { target: Target::Own, kind: IqType::Set, name: "session", ns: ns::SESSION, handle: accept },
        IqHandler { target: Target::Server, kind: IqType::Set, name: "session", ns: ns::SESSION, handle: accept },
        IqHandler { target: Target::Own, kind: IqType::Set, name: "bind", ns: ns::BIND, handle: refuse },
        IqHandler { target: Target::Server, kind: IqType::Set, name: "bind", ns: ns::BIND, handle: refuse },
    ],
    ..Feature::NONE
};

/// RFC 6120 §7.1: one stream has one resource here.
fn refuse(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    ctx.refuse(request, StanzaCondition::NotAllowed);
}

fn accept(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    ctx.result(request, "");
}
