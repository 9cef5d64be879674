//! XEP-0030: service discovery of domains and accounts; XEP-0115 §6.3: the domain's caps.

use super::{Feature, REGISTRY};
use crate::context::Context;
use crate::iq::{IqHandler, Target};
use crate::settings::Settings;
use xmpp::error::StanzaCondition;
use xmpp::payload::caps;
use xmpp::payload::disco::{Identity, info};
use xmpp::stanza::{Child, IqType};
use xmpp::{Element, Jid, Stanza, ns};

const fn handler(
    target: Target,
    ns: &'static str,
    handle: fn(&mut Context<'_>, &Stanza, Child<'_>),
) -> IqHandler {
    IqHandler { target, kind: IqType::Get, name: "query", ns, handle }
}

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::CAPS],
    account: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    iq: &[
        handler(Target::Server, ns::DISCO_INFO, server_info),
        handler(Target::Own, ns::DISCO_INFO, account_info),
        handler(Target::Account, ns::DISCO_INFO, account_info),
        handler(Target::Server, ns::DISCO_ITEMS, server_items),
        handler(Target::Own, ns::DISCO_ITEMS, account_items),
        handler(Target::Account, ns::DISCO_ITEMS, account_items),
    ],
    ..Feature::NONE
};

/// The node of the server's own caps (XEP-0115 §4).
pub const CAPS_NODE: &str = "https://waystation.example/caps";

const SERVER: Identity = Identity { category: "server", kind: "im", name: Some("Waystation") };
const ACCOUNT: Identity = Identity { category: "account", kind: "registered", name: None };

fn announced(settings: &Settings, list: fn(&Feature) -> &'static [&'static str]) -> Vec<&'static str> {
    REGISTRY.iter().filter(|feature| (feature.enabled)(settings)).flat_map(list).copied().collect()
}

/// XEP-0115 §5: the hash over what the domain announces, for its stream features.
pub fn caps_ver(settings: &Settings) -> String {
    caps::ver(&[SERVER], &announced(settings, |feature| feature.server))
}

fn server_info(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    let node = query.attr("node");
    let own_caps = || format!("{CAPS_NODE}#{}", caps_ver(ctx.settings));
    if node.as_ref().is_some_and(|node| **node != own_caps()) {
        return ctx.refuse(request, StanzaCondition::ItemNotFound);
    }
    let query = info(&[SERVER], &announced(ctx.settings, |feature| feature.server), node.as_deref());
    ctx.result(request, &query.to_xml(ns::CLIENT));
}

/// XEP-0030 §8: only those who may know whether the account exists get an answer.
fn may_ask(ctx: &Context<'_>, request: &Stanza) -> bool {
    request.from().is_some_and(|from: &Jid| ctx.account.is_seen_by(from.bare_str()))
}

fn account_info(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    if !may_ask(ctx, request) {
        return ctx.refuse(request, StanzaCondition::ServiceUnavailable);
    }
    if query.attr("node").is_some() {
        return ctx.refuse(request, StanzaCondition::ItemNotFound);
    }
    let query = info(&[ACCOUNT], &announced(ctx.settings, |feature| feature.account), None);
    ctx.result(request, &query.to_xml(ns::CLIENT));
}

fn server_items(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    if query.attr("node").is_some() {
        return ctx.refuse(request, StanzaCondition::ItemNotFound);
    }
    // Services with domains of their own will be listed here.
    ctx.result(request, &Element::new("query", ns::DISCO_ITEMS).to_xml(ns::CLIENT));
}

/// XEP-0030 §4.1: an account's available resources, for those who see its presence.
fn account_items(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    if !may_ask(ctx, request) {
        return ctx.refuse(request, StanzaCondition::ServiceUnavailable);
    }
    let mut items = Element::new("query", ns::DISCO_ITEMS);
    match query.attr("node") {
        Some(node) => items = items.with_attr("node", node.as_ref()),
        None => {
            for session in ctx.account.sessions.iter().filter(|s| s.available().is_some()) {
                items = items.with_child(Element::new("item", ns::DISCO_ITEMS).with_attr("jid", session.jid.as_str()));
            }
        }
    }
    ctx.result(request, &items.to_xml(ns::CLIENT));
}
