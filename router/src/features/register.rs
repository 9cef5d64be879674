//! XEP-0077 for those who are logged in: change the password, remove the account. Both work
//! whether or not new accounts may be registered in-band; before login see [`crate::auth`].

use super::Feature;
use crate::auth;
use crate::context::{Context, Then};
use crate::iq::{IqHandler, Target};
use crate::sessions;
use xmpp::error::{StanzaCondition, StreamCondition};
use xmpp::stanza::{Child, IqType};
use xmpp::{Element, Jid, Stanza, StanzaError, StreamError, ns};

const fn handler(
    target: Target,
    kind: IqType,
    handle: fn(&mut Context<'_>, &Stanza, Child<'_>),
) -> IqHandler {
    IqHandler { target, kind, name: "query", ns: ns::REGISTER, handle }
}

pub(super) const FEATURE: Feature = Feature {
    server: &[ns::REGISTER],
    iq: &[
        handler(Target::Server, IqType::Get, form),
        handler(Target::Server, IqType::Set, set),
        // §3.2 lets a client leave out the address.
        handler(Target::Own, IqType::Get, form),
        handler(Target::Own, IqType::Set, set),
    ],
    ..Feature::NONE
};

/// §3.1.2: the account is registered, and this is what may be changed.
fn form(ctx: &mut Context<'_>, request: &Stanza, _: Child<'_>) {
    let user = ctx.account.jid.local().unwrap_or_default().to_owned();
    let query = Element::new("query", ns::REGISTER)
        .with_child(Element::new("registered", ns::REGISTER))
        .with_child(Element::new("username", ns::REGISTER).with_text(user))
        .with_child(Element::new("password", ns::REGISTER));
    ctx.result(request, &query.to_xml(ns::CLIENT));
}

fn set(ctx: &mut Context<'_>, request: &Stanza, query: Child<'_>) {
    let query = query.to_element();
    if query.child("remove", ns::REGISTER).is_some() {
        // §3.2: alone in its query.
        return match query.children().count() {
            1 => remove(ctx, request),
            _ => ctx.refuse(request, StanzaCondition::BadRequest),
        };
    }
    let text = |name| query.child(name, ns::REGISTER).map(Element::text);
    match (text("username"), text("password")) {
        (Some(user), Some(password)) if !password.is_empty() => change(ctx, request, &user, password),
        _ => ctx.refuse(request, StanzaCondition::BadRequest),
    }
}

/// §3.3
fn change(ctx: &mut Context<'_>, request: &Stanza, user: &str, password: String) {
    let same = Jid::from_parts(Some(user), ctx.account.jid.domain(), None).is_ok_and(|jid| jid == ctx.account.jid);
    if !same {
        return ctx.refuse(request, StanzaCondition::NotAllowed);
    }
    let (id, request) = (ctx.account.id, request.clone());
    ctx.job(move |shared| async move {
        let changed = match auth::hash(&shared, password).await {
            Ok(new) => shared.db.credentials_set(id, &new).await.map(|_| new).map_err(|error| {
                tracing::error!(%error, "cannot write credentials");
                StanzaError::from(StanzaCondition::InternalServerError)
            }),
            Err(error) => Err(error),
        };
        let then: Then = Box::new(move |ctx| match changed {
            Ok(new) => {
                ctx.account.credentials = new;
                ctx.result(&request, "");
            }
            Err(error) => ctx.refuse(&request, error),
        });
        then
    });
}

/// §3.2: the account goes with all that belongs to it, and its streams are closed.
fn remove(ctx: &mut Context<'_>, request: &Stanza) {
    let (id, request) = (ctx.account.id, request.clone());
    ctx.job(move |shared| async move {
        let deleted = shared.db.account_delete(&shared.log, id).await;
        let then: Then = Box::new(move |ctx| match deleted {
            Ok(_) => {
                ctx.result(&request, "");
                let farewell = super::roster::farewell(ctx);
                let error = StreamError::new(StreamCondition::NotAuthorized, "the account was removed");
                sessions::kick(ctx, None, &error);
                for stanza in farewell {
                    ctx.route(stanza);
                }
                *ctx.gone = true;
            }
            Err(error) => {
                tracing::error!(account = %ctx.account.jid, %error, "cannot remove an account");
                ctx.refuse(&request, StanzaCondition::InternalServerError);
            }
        });
        then
    });
}
