//! The inbound side: a stanza from another account, or the server, for this one (RFC 6121 §8.5).

use crate::context::{Action, Context};
use crate::delivery::{self, Verdict};
use crate::features::{self, Flow};
use crate::iq::{self, Target};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{IqType, Kind};
use xmpp::{Jid, Stanza, ns};

/// Handles a stanza addressed to the account or one of its resources.
pub(crate) fn handle(ctx: &mut Context<'_>, stanza: Stanza) {
    if features::received(ctx, &stanza) == Flow::Done {
        return;
    }
    match stanza.kind() {
        Kind::Message(kind) => {
            let keep = features::is_kept(&stanza, kind);
            let stanza = without_forged_id(&ctx.account.jid, stanza);
            match delivery::message(ctx.account, &stanza, kind, keep) {
                Verdict::Deliver(sessions) => {
                    let full = sessions.is_empty()
                        && keep
                        && ctx.account.waiting >= ctx.settings.waiting_stanzas_max;
                    if full {
                        // XEP-0160 §2
                        return ctx.refuse(&stanza, StanzaCondition::ServiceUnavailable);
                    }
                    ctx.actions.push(Action::Accept { stanza, sessions, keep });
                }
                Verdict::Refuse => ctx.refuse(&stanza, StanzaCondition::ServiceUnavailable),
                Verdict::Ignore => {}
            }
        }
        Kind::Iq(kind) => request(ctx, &stanza, kind),
        // The presence feature takes all that has a meaning.
        Kind::Presence(_) => {}
    }
}

fn request(ctx: &mut Context<'_>, stanza: &Stanza, kind: IqType) {
    let resource = stanza.to().and_then(Jid::resource);
    match (resource, kind) {
        // RFC 6121 §8.5.2.1.3 and §8.5.2.2.3: answered on behalf of the account.
        (None, IqType::Get | IqType::Set) => iq::dispatch(ctx, Target::Account, stanza),
        (None, IqType::Result | IqType::Error) => {}
        (Some(resource), _) => match ctx.account.resource(resource).map(|s| s.id) {
            // RFC 6121 §8.5.3.1
            Some(session) => ctx.deliver(session, stanza.clone()),
            // RFC 6121 §8.5.3.2.3
            None => ctx.refuse(stanza, StanzaCondition::ServiceUnavailable),
        },
    }
}

/// XEP-0359 §3, business rule 3: an id in this account's name is only ever given here.
fn without_forged_id(account: &Jid, stanza: Stanza) -> Stanza {
    if stanza.child("stanza-id", ns::SID).is_none() {
        return stanza;
    }
    stanza.without(|child| {
        child.name == "stanza-id"
            && child.ns == ns::SID
            && child.attr("by").is_some_and(|by| Jid::parse(&by).is_ok_and(|by| by == *account))
    })
}
