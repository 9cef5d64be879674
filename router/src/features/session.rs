//! RFC 3921 §3: the session request of old clients, which RFC 6121 made a no-op.

use super::Feature;
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use xmpp::stanza::{Child, IqType};
use xmpp::{Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    iq: &[
        IqHandler { target: Target::Own, kind: IqType::Set, name: "session", ns: ns::SESSION, handle: accept },
        IqHandler { target: Target::Server, kind: IqType::Set, name: "session", ns: ns::SESSION, handle: accept },
    ],
    ..Feature::NONE
};

fn accept(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    ctx.result(request, "");
}
