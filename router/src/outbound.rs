//! The outbound side: a stanza that a session of the account sent (RFC 6121 §8.1-8.4).

use crate::context::{Action, Context};
use crate::features::{self, Flow};
use crate::iq::{self, Target};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{IqType, Kind, MessageType};
use xmpp::{Jid, Stanza};

/// Where a stanza is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// No `to`, or the sender's own bare JID.
    Account,
    /// A domain served here.
    Server,
    /// An account or a resource on a domain served here.
    Local,
    /// Somewhere else.
    Remote,
}

impl Address {
    fn of(ctx: &Context<'_>, to: Option<&Jid>) -> Address {
        let Some(to) = to else { return Address::Account };
        if !ctx.is_ours(to) {
            return Address::Remote;
        }
        match to.local() {
            None if to.is_bare() => Address::Server,
            // A resource of the domain is nobody (RFC 6120 §10.5.2 leaves it to us).
            None => Address::Remote,
            Some(_) if *to == ctx.account.jid => Address::Account,
            Some(_) => Address::Local,
        }
    }
}

/// Handles a stanza of one of the account's sessions.
pub(crate) fn handle(ctx: &mut Context<'_>, stanza: Stanza) {
    if features::sent(ctx, &stanza) == Flow::Done {
        return;
    }
    let address = Address::of(ctx, stanza.to());
    match stanza.kind() {
        Kind::Message(kind) => message(ctx, stanza, kind, address),
        Kind::Iq(kind) => request(ctx, &stanza, kind, address),
        // The presence feature takes all that has a meaning.
        Kind::Presence(_) => {}
    }
}

fn message(ctx: &mut Context<'_>, stanza: Stanza, kind: MessageType, address: Address) {
    match address {
        // RFC 6120 §10.3.1: as if it were addressed to the own bare JID.
        Address::Account => {
            let own = ctx.account.jid.clone();
            let stanza = if stanza.to().is_none() { stanza.with_to(Some(&own)) } else { stanza };
            ctx.pass_on(stanza);
        }
        Address::Local => {
            if features::is_kept(&stanza, kind) {
                ctx.actions.push(Action::Archive(stanza.clone()));
            }
            ctx.pass_on(stanza);
        }
        Address::Server => ctx.refuse(&stanza, StanzaCondition::ServiceUnavailable),
        Address::Remote => refuse_remote(ctx, &stanza),
    }
}

fn request(ctx: &mut Context<'_>, stanza: &Stanza, kind: IqType, address: Address) {
    match (address, kind) {
        (Address::Local, _) => ctx.pass_on(stanza.clone()),
        (Address::Remote, _) => refuse_remote(ctx, stanza),
        (Address::Account, IqType::Get | IqType::Set) => iq::dispatch(ctx, Target::Own, stanza),
        (Address::Server, IqType::Get | IqType::Set) => iq::dispatch(ctx, Target::Server, stanza),
        // An answer to the server, which asked nothing.
        (Address::Account | Address::Server, IqType::Result | IqType::Error) => {}
    }
}

/// There is no way to other domains: as if they could not be found (RFC 6120 §10.4).
fn refuse_remote(ctx: &mut Context<'_>, stanza: &Stanza) {
    let ours = stanza.to().is_some_and(|to| ctx.is_ours(to));
    let condition =
        if ours { StanzaCondition::ServiceUnavailable } else { StanzaCondition::RemoteServerNotFound };
    ctx.refuse(stanza, condition);
}
