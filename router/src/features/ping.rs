//! XEP-0199: XMPP ping.

use super::Feature;
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use xmpp::stanza::{Child, IqType};
use xmpp::{Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::PING],
    account: &[ns::PING],
    iq: &[
        IqHandler { target: Target::Server, kind: IqType::Get, name: "ping", ns: ns::PING, handle: pong },
        // §4.1: the server answers for the account.
        IqHandler { target: Target::Own, kind: IqType::Get, name: "ping", ns: ns::PING, handle: pong },
    ],
    ..Feature::NONE
};

fn pong(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    ctx.result(request, "");
}
