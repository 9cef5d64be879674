//! XEP-0092: software version.

use super::Feature;
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use xmpp::stanza::{Child, IqType};
use xmpp::{Element, Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::VERSION],
    iq: &[IqHandler { target: Target::Server, kind: IqType::Get, name: "query", ns: ns::VERSION, handle: get }],
    ..Feature::NONE
};

fn get(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    let text = |name, text: &str| Element::new(name, ns::VERSION).with_text(text);
    let mut query = Element::new("query", ns::VERSION)
        .with_child(text("name", "Waystation"))
        .with_child(text("version", ctx.settings.version));
    if ctx.settings.show_os {
        query = query.with_child(text("os", std::env::consts::OS));
    }
    ctx.result(request, &query.to_xml(ns::CLIENT));
}
