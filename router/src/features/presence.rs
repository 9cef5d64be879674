//! RFC 6121 §3 and §4: presence and subscriptions.

use super::{Feature, Flow};
use crate::account::sees;
use crate::context::{Action, Context};
use crate::features;
use crate::features::roster;
use crate::session::{Available, Presence, Session};
use crate::subscription::State;
use bus::SessionId;
use store::{RosterItem, Subscription};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Kind, PresenceType as P};
use xmpp::{Jid, Stanza, ns};

pub(super) const FEATURE: Feature = Feature {
    sent: Some(sent),
    received: Some(received),
    available: Some(available),
    ended: Some(ended),
    ..Feature::NONE
};

fn sent(ctx: &mut Context<'_>, stanza: &Stanza) -> Flow {
    let Kind::Presence(kind) = stanza.kind() else { return Flow::Continue };
    let Some(session) = ctx.sender().map(|s| s.id) else { return Flow::Done };
    match (kind, stanza.to().cloned()) {
        (P::Available, None) => became_available(ctx, session, stanza),
        (P::Unavailable, None) => became_unavailable(ctx, session, stanza),
        (P::Available | P::Unavailable, Some(to)) => directed(ctx, session, stanza, kind, &to),
        (P::Subscribe | P::Subscribed | P::Unsubscribe | P::Unsubscribed, Some(to)) => {
            subscription_sent(ctx, stanza, kind, &to);
        }
        // A client has no business probing (RFC 6121 §4.3), but may, through the server.
        (P::Probe | P::Error, Some(to)) if ctx.is_ours(&to) && to.local().is_some() => {
            ctx.pass_on(stanza.clone());
        }
        (_, Some(_)) => {}
        // RFC 6121 §3.1.2: a subscription needs an address.
        (_, None) => ctx.refuse(stanza, StanzaCondition::BadRequest),
    }
    Flow::Done
}

/// RFC 6121 §4.2.2 and §4.4.2
fn became_available(ctx: &mut Context<'_>, id: SessionId, stanza: &Stanza) {
    let now_ms = ctx.now_ms;
    let priority = match priority(stanza) {
        Ok(priority) => priority,
        Err(condition) => return ctx.refuse(stanza, condition),
    };
    let Some(session) = ctx.account.session_mut(id) else { return };
    let initial = session.available().is_none();
    let could_take = session.available().is_some_and(|a| a.priority >= 0);
    let available = Available { stanza: stanza.clone(), priority, since_ms: now_ms };
    session.presence = Presence::Available(Box::new(available));
    // Whoever sees the broadcast needs no unavailable presence of its own (§4.6.3).
    broadcast(ctx, stanza);
    if initial {
        probe_contacts(ctx);
        features::available(ctx, id);
    }
    if priority >= 0 && !could_take && ctx.account.waiting > 0 {
        ctx.actions.push(Action::Feed(id));
    }
}

/// RFC 6121 §4.7.2.3: an integer from -128 to 127.
fn priority(stanza: &Stanza) -> Result<i8, StanzaCondition> {
    match stanza.child("priority", ns::CLIENT) {
        Some(child) => match child.text().trim() {
            "" => Ok(0),
            text => text.parse().map_err(|_| StanzaCondition::BadRequest),
        },
        None => Ok(0),
    }
}

/// RFC 6121 §4.5.2
fn became_unavailable(ctx: &mut Context<'_>, id: SessionId, stanza: &Stanza) {
    let Some(session) = ctx.account.session_mut(id) else { return };
    let was_available = session.available().is_some();
    let directed = std::mem::take(&mut session.directed);
    if was_available {
        broadcast(ctx, stanza);
    }
    if let Some(session) = ctx.account.session_mut(id) {
        session.presence = Presence::Unavailable;
    }
    for to in directed {
        ctx.route(stanza.with_to(Some(&to)));
    }
}

/// Tells everybody who is subscribed, and the account's own available resources (RFC 6121 §4.2.2,
/// §4.4.2, §4.5.2).
fn broadcast(ctx: &mut Context<'_>, stanza: &Stanza) {
    for item in ctx.account.roster.items.values().filter(|item| sees(item.subscription)) {
        let stanza = stanza.with_to(Some(&item.jid));
        ctx.actions.push(Action::Route { stanza, receipt: bus::envelope::Receipt::None });
    }
    let own = stanza.with_to(Some(&ctx.account.jid));
    ctx.deliver_to(&own, |s| s.available().is_some());
}

/// RFC 6121 §4.3: the presence of those the user is subscribed to.
fn probe_contacts(ctx: &mut Context<'_>) {
    let jid = ctx.account.jid.clone();
    for item in ctx.account.roster.items.values().filter(|item| matches!(item.subscription, Subscription::To | Subscription::Both)) {
        let stanza = Stanza::new(Kind::Presence(P::Probe), Some(&jid), Some(&item.jid), None, "");
        ctx.actions.push(Action::Route { stanza, receipt: bus::envelope::Receipt::None });
    }
}

/// A newly available session gets the presence of the account's other resources and the requests
/// that wait for an answer (RFC 6121 §4.2.2, §3.1.3).
fn available(ctx: &mut Context<'_>, id: SessionId) {
    let own = ctx.account.jid.clone();
    let others: Vec<Stanza> = (ctx.account.sessions.iter())
        .filter(|s| s.id != id)
        .filter_map(|s| s.available().map(|a| a.stanza.with_to(Some(&own))))
        .collect();
    let asked: Vec<Stanza> = (ctx.account.roster.items.values())
        .filter_map(|item| item.pending_in.clone())
        .filter_map(|xml| Stanza::parse(xml).ok())
        .collect();
    for stanza in others.into_iter().chain(asked) {
        ctx.deliver(id, stanza);
    }
}

/// RFC 6121 §4.5.2: a session that ends without a word is made unavailable by the server.
fn ended(ctx: &mut Context<'_>, session: &mut Session) {
    let gone = Stanza::new(Kind::Presence(P::Unavailable), Some(&session.jid), None, None, "");
    if session.available().is_some() {
        broadcast(ctx, &gone);
    }
    for to in std::mem::take(&mut session.directed) {
        ctx.route(gone.with_to(Some(&to)));
    }
}

/// RFC 6121 §4.6
fn directed(ctx: &mut Context<'_>, id: SessionId, stanza: &Stanza, kind: P, to: &Jid) {
    let broadcast_to = to.bare_str() == ctx.account.jid.as_str()
        || ctx.account.roster.items.get(to.bare_str()).is_some_and(|item| sees(item.subscription));
    let Some(session) = ctx.account.session_mut(id) else { return };
    // §4.6.3: remember who needs to be told at the end; broadcast does for the others.
    match (kind, session.directed.binary_search(to)) {
        (P::Available, Err(at)) if !broadcast_to => {
            if session.directed.len() >= ctx.settings.roster_items_max {
                return ctx.refuse(stanza, StanzaCondition::ResourceConstraint);
            }
            session.directed.insert(at, to.clone());
        }
        (P::Unavailable, Ok(at)) => {
            session.directed.remove(at);
        }
        _ => {}
    }
    match (ctx.is_ours(to), to.local()) {
        (true, Some(_)) => ctx.pass_on(stanza.clone()),
        // The server itself takes no interest in presence.
        (true, None) => {}
        (false, _) => ctx.refuse(stanza, StanzaCondition::RemoteServerNotFound),
    }
}

/// RFC 6121 §3, the user's side.
fn subscription_sent(ctx: &mut Context<'_>, stanza: &Stanza, kind: P, to: &Jid) {
    let contact = to.to_bare();
    if contact == ctx.account.jid || contact.local().is_none() && ctx.is_ours(&contact) {
        // One sees oneself without subscribing; the server has no presence.
        return ctx.refuse(stanza, StanzaCondition::NotAllowed);
    }
    if !ctx.is_ours(&contact) {
        return ctx.refuse(stanza, StanzaCondition::RemoteServerNotFound);
    }
    let before = ctx.account.roster.items.get(&contact).cloned();
    let state = State::of(before.as_ref());
    let step = state.outbound(kind, before.as_ref().is_some_and(|item| item.approved));
    let is_new = before.is_none();
    if is_new && ctx.account.roster.items.len() >= ctx.settings.roster_items_max {
        return ctx.refuse(stanza, StanzaCondition::PolicyViolation);
    }
    let mut item = before.clone().unwrap_or_else(|| RosterItem::new(contact.clone()));
    step.state.apply(&mut item);
    item.approved = step.approved;
    // RFC 6121 §3.1.2: asking, approving or pre-approving puts the contact into the roster.
    item.in_roster |= matches!(kind, P::Subscribe | P::Subscribed);
    // RFC 6121 §3.1.2: the request goes out from the bare JID.
    let own = ctx.account.jid.clone();
    let outgoing = step.route.then(|| stanza.with_from(Some(&own)).with_to(Some(&contact)));
    let after = presence_after(ctx, kind, state, step.state, &contact);
    let finish = move |ctx: &mut Context<'_>| {
        if let Some(outgoing) = outgoing {
            ctx.pass_on(outgoing);
        }
        for stanza in after {
            ctx.route(stanza);
        }
    };
    if before.as_ref() == Some(&item) || (is_new && item == RosterItem::new(contact.clone())) {
        return finish(ctx);
    }
    roster::save(ctx, item, stanza.clone(), Box::new(finish));
}

/// What the contact gets to see when it is granted the user's presence, or loses it (RFC 6121
/// §3.1.5, §3.2.2).
fn presence_after(ctx: &Context<'_>, kind: P, before: State, after: State, contact: &Jid) -> Vec<Stanza> {
    let (had, has) = (sees(before.subscription()), sees(after.subscription()));
    let sessions = ctx.account.sessions.iter().filter_map(|s| Some((s, s.available()?)));
    match (kind, had, has) {
        (P::Subscribed | P::Subscribe, false, true) => {
            sessions.map(|(_, a)| a.stanza.with_to(Some(contact))).collect()
        }
        (P::Unsubscribed | P::Unsubscribe, true, false) => sessions
            .map(|(s, _)| Stanza::new(Kind::Presence(P::Unavailable), Some(&s.jid), Some(contact), None, ""))
            .collect(),
        _ => Vec::new(),
    }
}

fn received(ctx: &mut Context<'_>, stanza: &Stanza) -> Flow {
    let Kind::Presence(kind) = stanza.kind() else { return Flow::Continue };
    let (Some(from), Some(to)) = (stanza.from().cloned(), stanza.to().cloned()) else { return Flow::Done };
    match kind {
        P::Probe => probed(ctx, &from, &to),
        P::Subscribe | P::Subscribed | P::Unsubscribe | P::Unsubscribed => {
            subscription_received(ctx, stanza, kind, &from);
        }
        // RFC 6121 §8.5.2.1.2 and §8.5.3: all available resources, or the one addressed.
        P::Available | P::Unavailable | P::Error => match to.resource() {
            None => ctx.deliver_to(stanza, |s| s.available().is_some()),
            Some(resource) => ctx.deliver_to(stanza, |s| s.resource() == resource),
        },
    }
    Flow::Done
}

/// RFC 6121 §4.3.2
fn probed(ctx: &mut Context<'_>, from: &Jid, to: &Jid) {
    if !ctx.account.is_seen_by(from.bare_str()) {
        let own = ctx.account.jid.clone();
        let kind = Kind::Presence(P::Unsubscribed);
        return ctx.route(Stanza::new(kind, Some(&own), Some(&from.to_bare()), None, ""));
    }
    let answers: Vec<Stanza> = (ctx.account.sessions.iter())
        .filter(|s| to.resource().is_none_or(|resource| resource == s.resource()))
        .filter_map(|s| s.available().map(|a| a.stanza.with_to(Some(from))))
        .collect();
    for answer in answers {
        ctx.route(answer);
    }
}

/// RFC 6121 §3, the contact's side.
fn subscription_received(ctx: &mut Context<'_>, stanza: &Stanza, kind: P, from: &Jid) {
    let contact = from.to_bare();
    let before = ctx.account.roster.items.get(&contact).cloned();
    let state = State::of(before.as_ref());
    let step = state.inbound(kind, before.as_ref().is_some_and(|item| item.approved));
    let mut item = before.clone().unwrap_or_else(|| RosterItem::new(contact.clone()));
    step.state.apply(&mut item);
    if kind == P::Subscribe && step.deliver {
        if before.is_none() && ctx.account.roster.items.len() >= ctx.settings.roster_items_max {
            return ctx.refuse(stanza, StanzaCondition::ResourceConstraint);
        }
        // §3.1.3: kept whole until it is answered, over logins.
        item.pending_in = Some(stanza.xml().clone());
    }
    let own = ctx.account.jid.clone();
    let reply = step.reply.map(|reply| Stanza::new(Kind::Presence(reply), Some(&own), Some(&contact), None, ""));
    let after = presence_after(ctx, kind, state, step.state, &contact);
    let shown = step.deliver.then(|| stanza.clone());
    let finish = move |ctx: &mut Context<'_>| {
        if let Some(stanza) = shown {
            // §3.1.3: a request goes to available resources, the rest to those with the roster.
            ctx.deliver_to(&stanza, |s| match kind {
                P::Subscribe => s.available().is_some(),
                _ => s.interested,
            });
        }
        for stanza in reply.into_iter().chain(after) {
            ctx.route(stanza);
        }
    };
    if before.as_ref() == Some(&item) || step.state == state {
        return finish(ctx);
    }
    roster::save(ctx, item, stanza.clone(), Box::new(finish));
}

/// Goes on after a roster change is durable.
pub(super) type Finish = Box<dyn FnOnce(&mut Context<'_>) + Send>;

