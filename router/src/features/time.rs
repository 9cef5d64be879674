//! XEP-0202: entity time. The server's offset is always UTC.

use super::Feature;
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use xmpp::payload::delay;
use xmpp::stanza::{Child, IqType};
use xmpp::{Element, Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::TIME],
    iq: &[IqHandler { target: Target::Server, kind: IqType::Get, name: "time", ns: ns::TIME, handle: get }],
    ..Feature::NONE
};

fn get(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    let time = Element::new("time", ns::TIME)
        .with_child(Element::new("tzo", ns::TIME).with_text("+00:00"))
        .with_child(Element::new("utc", ns::TIME).with_text(delay::stamp(ctx.now_ms)));
    ctx.result(request, &time.to_xml(ns::CLIENT));
}
