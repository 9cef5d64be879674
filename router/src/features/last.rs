//! XEP-0012: last activity: how long an account has been away, how long the server is up.

use super::{Feature, Flow};
use crate::context::{Action, Context, Then};
use crate::iq::{IqHandler, Target};
use crate::session::Session;
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Child, IqType, Kind, PresenceType};
use xmpp::{Element, Stanza, ns};

const fn handler(target: Target, handle: fn(&mut Context<'_>, &Stanza, Child<'_>)) -> IqHandler {
    IqHandler { target, kind: IqType::Get, name: "query", ns: ns::LAST, handle }
}

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::LAST],
    account: &[ns::LAST],
    iq: &[
        handler(Target::Server, uptime),
        handler(Target::Own, account),
        handler(Target::Account, account),
    ],
    sent: Some(sent),
    ended: Some(ended),
    ..Feature::NONE
};

fn answer(seconds: u64, status: &str) -> String {
    Element::new("query", ns::LAST).with_attr("seconds", seconds.to_string()).with_text(status).to_xml(ns::CLIENT)
}

/// §4: how long the server is up.
fn uptime(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    let seconds = ctx.now_ms.saturating_sub(ctx.settings.started_ms) / 1000;
    ctx.result(request, &answer(seconds, ""));
}

/// §3: how long ago the account was last available; 0 while it is.
fn account(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    if !request.from().is_some_and(|from| ctx.account.is_seen_by(from.bare_str())) {
        // §6: only those who see the presence may know.
        return ctx.refuse(request, StanzaCondition::Forbidden);
    }
    if ctx.account.sessions.iter().any(|s| s.available().is_some()) {
        return ctx.result(request, &answer(0, ""));
    }
    let (id, request) = (ctx.account.id, request.clone());
    ctx.job(move |shared| async move {
        let last = match shared.last_seen.get(id) {
            Some(noted) => Ok(Some(noted)),
            None => shared.db.last_activity_get(id).await,
        };
        let then: Then = Box::new(move |ctx| match last {
            Ok(Some((at_ms, status))) => {
                let seconds = ctx.now_ms.saturating_sub(at_ms) / 1000;
                ctx.result(&request, &answer(seconds, status.as_deref().unwrap_or_default()));
            }
            // Never seen: there is nothing to tell.
            Ok(None) => ctx.refuse(&request, StanzaCondition::ItemNotFound),
            Err(error) => {
                tracing::error!(account = %ctx.account.jid, %error, "cannot read the last activity");
                ctx.refuse(&request, StanzaCondition::InternalServerError);
            }
        });
        then
    });
}

fn sent(ctx: &mut Context<'_>, stanza: &Stanza) -> Flow {
    if stanza.kind() == Kind::Presence(PresenceType::Unavailable) && stanza.to().is_none() {
        let status = stanza.child("status", ns::CLIENT).map(|status| status.text());
        ctx.actions.push(Action::Seen(status));
    }
    Flow::Continue
}

fn ended(ctx: &mut Context<'_>, session: &mut Session) {
    if session.available().is_some() {
        ctx.actions.push(Action::Seen(None));
    }
}
