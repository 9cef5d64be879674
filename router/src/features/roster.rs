//! RFC 6121 §2: the roster, with versioning (§2.6, XEP-0237).

use super::Feature;
use super::presence::Finish;
use crate::context::{Context, Then};
use crate::iq::{IqHandler, Target};
use crate::subscription::{Half, State};
use store::{RosterItem, StoreError, Subscription};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Child, IqType, Kind, PresenceType};
use xmpp::{Element, Jid, Stanza, StanzaError, ns};

pub(super) const FEATURE: Feature = Feature {
    iq: &[
        IqHandler { target: Target::Own, kind: IqType::Get, name: "query", ns: ns::ROSTER, handle: get },
        IqHandler { target: Target::Own, kind: IqType::Set, name: "query", ns: ns::ROSTER, handle: set },
    ],
    ..Feature::NONE
};

/// §2.2
fn get(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    let crate::context::Source::Session(id) = ctx.source else { return };
    let known = query.attr("ver").map(|ver| ver.into_owned());
    if let Some(session) = ctx.account.session_mut(id) {
        // §2.1.6: pushes go to whoever asked.
        session.interested = true;
    }
    let roster = &ctx.account.roster;
    let version = roster.version.to_string();
    if known.as_deref() == Some(&*version) {
        // §2.6.2: nothing has changed.
        return ctx.result(request, "");
    }
    let mut query = Element::new("query", ns::ROSTER);
    if known.is_some() {
        query = query.with_attr("ver", version.as_str());
    }
    for item in roster.items.values().filter(|item| item.in_roster) {
        query = query.with_child(element(item));
    }
    ctx.result(request, &query.to_xml(ns::CLIENT));
}

/// §2.1.2
fn element(item: &RosterItem) -> Element {
    let mut element = Element::new("item", ns::ROSTER).with_attr("jid", item.jid.as_str());
    if let Some(name) = &item.name {
        element = element.with_attr("name", name.as_str());
    }
    element = element.with_attr("subscription", name_of(item.subscription));
    if item.ask {
        element = element.with_attr("ask", "subscribe");
    }
    if item.approved {
        element = element.with_attr("approved", "true");
    }
    for group in &item.groups {
        element = element.with_child(Element::new("group", ns::ROSTER).with_text(group.as_str()));
    }
    element
}

/// §2.1.2.5
fn name_of(subscription: Subscription) -> &'static str {
    match subscription {
        Subscription::None => "none",
        Subscription::To => "to",
        Subscription::From => "from",
        Subscription::Both => "both",
    }
}

/// Whether an item says nothing any more and need not be kept.
fn is_void(item: &RosterItem) -> bool {
    !item.in_roster && !item.approved && item.pending_in.is_none()
}

/// §2.3, §2.4, §2.5
fn set(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    match wanted(ctx, &query.to_element()) {
        Ok(Wanted::Put { jid, name, groups }) => {
            let before = ctx.account.roster.items.get(&jid);
            if before.is_none() && ctx.account.roster.items.len() >= ctx.settings.roster_items_max {
                let text = "the roster is full";
                return ctx.refuse(request, StanzaError::new(StanzaCondition::PolicyViolation, text));
            }
            let mut item = before.cloned().unwrap_or_else(|| RosterItem::new(jid));
            (item.name, item.groups, item.in_roster) = (name, groups, true);
            let answer = request.result_reply("");
            save(ctx, item, request.clone(), Box::new(|ctx| ctx.answer(answer)));
        }
        Ok(Wanted::Remove { jid }) => remove(ctx, request, jid),
        Err(error) => ctx.refuse(request, error),
    }
}

/// What a roster set asks for.
enum Wanted {
    Put { jid: Jid, name: Option<String>, groups: Vec<String> },
    Remove { jid: Jid },
}

/// Reads a roster set, with the errors of §2.3.3.
fn wanted(ctx: &Context<'_>, query: &Element) -> Result<Wanted, StanzaError> {
    let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(StanzaError::new(StanzaCondition::BadRequest, "a roster set has exactly one item"));
    };
    let jid = item.attr("jid").ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?.to_bare();
    if item.attr("subscription") == Some("remove") {
        return Ok(Wanted::Remove { jid });
    }
    if jid == ctx.account.jid {
        // §2.3.3 leaves the own address to us: one is not one's own contact.
        return Err(StanzaCondition::NotAllowed.into());
    }
    let limits = ctx.settings;
    let name = item.attr("name").filter(|name| !name.is_empty()).map(str::to_owned);
    let groups: Vec<String> =
        item.children().filter(|child| child.is("group", ns::ROSTER)).map(|group| group.text()).collect();
    let too_long = |text: &str| text.len() > limits.roster_name_bytes_max;
    if name.as_deref().is_some_and(too_long) || groups.iter().any(|group| too_long(group)) {
        return Err(StanzaError::new(StanzaCondition::NotAcceptable, "a name is too long"));
    }
    if groups.len() > limits.roster_groups_max {
        return Err(StanzaError::new(StanzaCondition::NotAcceptable, "too many groups"));
    }
    if groups.iter().any(String::is_empty) {
        return Err(StanzaError::new(StanzaCondition::NotAcceptable, "a group has no name"));
    }
    let mut sorted: Vec<&String> = groups.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(StanzaError::new(StanzaCondition::BadRequest, "a group is named twice"));
    }
    Ok(Wanted::Put { jid, name, groups })
}

/// Makes an item durable, puts it into the roster, pushes it (§2.1.6) and then goes on. When the
/// database fails, the sender of `cause` gets an error and nothing has changed.
pub(super) fn save(ctx: &mut Context<'_>, item: RosterItem, cause: Stanza, finish: Finish) {
    let account = ctx.account.id;
    ctx.job(move |shared| async move {
        let saved = match is_void(&item) {
            true => shared.db.roster_remove(account, &item.jid).await,
            false => shared.db.roster_put(account, &item).await,
        };
        let then: Then = Box::new(move |ctx| match saved {
            Ok(version) => {
                ctx.account.roster.version = version;
                // A request that waits for an answer is no part of what clients see (§2.1.2).
                let seen = |item: &RosterItem| item.in_roster.then(|| element(item));
                let before = ctx.account.roster.items.get(&item.jid).and_then(seen);
                match seen(&item) {
                    Some(now) if before.as_ref() != Some(&now) => push(ctx, now),
                    None if before.is_some() => push(ctx, removed(&item.jid)),
                    _ => {}
                }
                match is_void(&item) {
                    true => ctx.account.roster.items.remove(&item.jid),
                    false => ctx.account.roster.items.insert(item.jid.clone(), item),
                };
                finish(ctx);
            }
            Err(error) => failed(ctx, &cause, &error),
        });
        then
    });
}

fn failed(ctx: &mut Context<'_>, cause: &Stanza, error: &StoreError) {
    tracing::error!(account = %ctx.account.jid, %error, "cannot write the roster");
    ctx.refuse(cause, StanzaError::from(StanzaCondition::InternalServerError).with_kind(xmpp::error::ErrorType::Wait));
}

/// §2.5: the item goes, and with it both subscriptions.
fn remove(ctx: &mut Context<'_>, request: &Stanza, jid: Jid) {
    let Some(item) = ctx.account.roster.items.get(&jid).filter(|item| item.in_roster) else {
        // §2.5.3
        return ctx.refuse(request, StanzaCondition::ItemNotFound);
    };
    let farewell = farewell_to(ctx, item);
    let mut gone = RosterItem::new(jid);
    gone.in_roster = false;
    let answer = request.result_reply("");
    let finish = Box::new(move |ctx: &mut Context<'_>| {
        ctx.answer(answer);
        for stanza in farewell {
            ctx.route(stanza);
        }
    });
    save(ctx, gone, request.clone(), finish);
}

/// What a contact is told when it is removed: both subscriptions end (§2.5.1).
fn farewell_to(ctx: &Context<'_>, item: &RosterItem) -> Vec<Stanza> {
    let mut farewell = endings(&ctx.account.jid, item);
    if State::of(Some(item)).from == Half::Granted {
        for session in ctx.account.sessions.iter().filter(|s| s.available().is_some()) {
            let kind = Kind::Presence(PresenceType::Unavailable);
            farewell.push(Stanza::new(kind, Some(&session.jid), Some(&item.jid), None, ""));
        }
    }
    farewell
}

/// What ends the subscriptions with a contact of `account`.
pub(crate) fn endings(account: &Jid, item: &RosterItem) -> Vec<Stanza> {
    let state = State::of(Some(item));
    [(state.to, PresenceType::Unsubscribe), (state.from, PresenceType::Unsubscribed)]
        .into_iter()
        .filter(|(half, _)| *half != Half::None)
        .map(|(_, kind)| Stanza::new(Kind::Presence(kind), Some(account), Some(&item.jid), None, ""))
        .collect()
}

/// What all contacts are told when the account is removed; that its sessions are gone they hear
/// from their end.
pub(super) fn farewell(ctx: &Context<'_>) -> Vec<Stanza> {
    ctx.account.roster.items.values().flat_map(|item| endings(&ctx.account.jid, item)).collect()
}

fn removed(jid: &Jid) -> Element {
    Element::new("item", ns::ROSTER)
        .with_attr("jid", jid.as_str())
        .with_attr("subscription", "remove")
}

/// §2.1.6: tells every interested resource.
fn push(ctx: &mut Context<'_>, item: Element) {
    let version = ctx.account.roster.version.to_string();
    let query = Element::new("query", ns::ROSTER).with_attr("ver", version.as_str()).with_child(item).to_xml(ns::CLIENT);
    let id = format!("push{version}");
    let pushes: Vec<_> = (ctx.account.sessions.iter())
        .filter(|s| s.interested)
        .map(|s| (s.id, Stanza::new(Kind::Iq(IqType::Set), None, Some(&s.jid), Some(&id), &query)))
        .collect();
    for (session, push) in pushes {
        ctx.deliver(session, push);
    }
}

