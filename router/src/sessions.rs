//! The life of a session: bound, managed, detached, resumed, ended.

use crate::account::Account;
use crate::context::{Action, Context, Then};
use crate::features;
use crate::feed;
use crate::session::{Feed, Inbound, Link, Managed, Outbound, Presence, Resuming, Session};
use crate::settings::Settings;
use crate::shared::random;
use crate::turn::Turn;
use bus::envelope::{Bound, GatewayBody, Origin, ResumeRefused, Resumed};
use bus::{ConnId, SessionId};
use runtime::metrics;
use std::sync::Arc;
use store::sessions::{Attachment, SessionRecord};
use xmpp::error::{StanzaCondition, StreamCondition};
use xmpp::stanza::{IqType, Kind};
use xmpp::{Jid, Stanza, StanzaError, StreamError};

/// In [`SessionRecord::flags`]: the stream is under TLS.
pub const FLAG_TLS: u8 = 1;

/// Binds a resource (RFC 6120 §7).
pub(crate) fn bind(turn: &mut Turn<'_>, conn: ConnId, origin: &Origin, resource: Option<String>) {
    let answer = match admit(turn, resource) {
        Ok(jid) => Ok(Bound { session: open(turn.account, jid, conn), jid: jid_of_last(turn.account) }),
        Err(error) => Err(error),
    };
    if answer.is_ok() {
        let last = turn.account.sessions.last().expect("invariant: just opened");
        turn.shared.list_session(record(last, Some(origin), turn.now_ms));
    }
    turn.to_gateway(conn, GatewayBody::Bound(answer));
}

fn jid_of_last(account: &Account) -> Jid {
    account.sessions.last().expect("invariant: just opened").jid.clone()
}

/// Decides on the full JID of a new session and makes room for it.
fn admit(turn: &mut Turn<'_>, resource: Option<String>) -> Result<Jid, StanzaError> {
    let account = &turn.account.jid;
    let jid = match resource {
        Some(resource) => account.with_resource(&resource).map_err(|_| StanzaCondition::BadRequest)?,
        None => account.with_resource(&name()).map_err(|_| StanzaCondition::InternalServerError)?,
    };
    let same = turn.account.sessions.iter().find(|s| s.jid == jid).map(|s| s.id);
    if let Some(old) = same {
        // RFC 6120 §7.7.2.2, the third choice: whoever binds last has the resource, since the
        // earlier one is most often a connection that broke unnoticed.
        let error = StreamError::new(StreamCondition::Conflict, "replaced by a new connection");
        end(turn, old, Some(error));
    } else if turn.account.sessions.len() >= turn.shared.settings.resources_max {
        // RFC 6120 §7.6.2.1
        return Err(StanzaError::new(StanzaCondition::ResourceConstraint, "too many resources are bound"));
    }
    Ok(jid)
}

/// A resource name nobody can guess (RFC 6120 §7.6).
fn name() -> String {
    data_encoding::BASE32_NOPAD.encode(&random::<10>()).to_ascii_lowercase()
}

fn open(account: &mut Account, jid: Jid, conn: ConnId) -> SessionId {
    let id = SessionId(u128::from_be_bytes(random()));
    metrics::ROUTER_BINDS_TOTAL.increment(1);
    metrics::ROUTER_SESSIONS.increment(1.0);
    // Most accounts have one: room for more would be most of what an idle session costs.
    account.sessions.reserve_exact(1);
    account.sessions.push(Session {
        id,
        jid,
        link: Link::Connected(conn),
        presence: Presence::Unavailable,
        inbound: Inbound::default(),
        outbound: Outbound::default(),
        feed: Feed::Live,
        interested: false,
        managed: None,
        resuming: None,
        directed: Vec::new(),
    });
    id
}

/// What the session store keeps of a session.
fn record(session: &Session, origin: Option<&Origin>, now_ms: u64) -> SessionRecord {
    SessionRecord {
        session: session.id.0,
        jid: session.jid.clone(),
        attachment: match session.link {
            Link::Connected(conn) => {
                Attachment::Attached { gateway: conn.gateway.0, slot: conn.slot, generation: conn.generation }
            }
            Link::Detached { .. } => Attachment::Detached { since_ms: now_ms },
        },
        flags: if origin.is_some_and(|origin| origin.tls.is_some()) { FLAG_TLS } else { 0 },
        address: origin.map(|origin| origin.address),
    }
}

/// XEP-0198 §3: the client will acknowledge from now on.
pub(crate) fn manage(
    session: &mut Session,
    settings: &Settings,
    resume: bool,
    max_seconds: Option<u32>,
) -> GatewayBody {
    let seconds = max_seconds.unwrap_or(settings.resume_seconds).min(settings.resume_seconds_max);
    let resume_seconds = (resume && seconds > 0).then_some(seconds);
    session.managed = Some(Managed {
        resume_seconds,
        inbound_base: session.inbound.received(),
        outbound_base: session.outbound.sent(),
    });
    GatewayBody::Managed { resume_seconds }
}

/// The connection broke. A session that may be resumed waits for that.
pub(crate) fn detach(turn: &mut Turn<'_>, id: SessionId) {
    let now_ms = turn.now_ms;
    let Some(session) = turn.account.session_mut(id) else { return };
    let Some(seconds) = session.managed.and_then(|managed| managed.resume_seconds) else {
        return end(turn, id, None);
    };
    let until_ms = now_ms + u64::from(seconds) * 1000;
    session.link = Link::Detached { until_ms };
    turn.shared.list_session(record(session, None, now_ms));
    turn.shared.expiry.push(until_ms, turn.account.jid.clone(), id);
}

/// A detached session's time may be over.
pub(crate) fn expire(ctx: &mut Context<'_>, id: SessionId) {
    let now_ms = ctx.now_ms;
    if ctx
        .account
        .session(id)
        .is_some_and(|s| matches!(s.link, Link::Detached { until_ms } if until_ms <= now_ms))
    {
        ctx.actions.push(Action::End { session: id, error: None });
    }
}

/// XEP-0198 §5: another connection takes a session over.
pub(crate) fn resume(turn: &mut Turn<'_>, conn: ConnId, origin: Arc<Origin>, id: SessionId, handled: u32) {
    let refuse = |turn: &Turn<'_>, condition: StanzaCondition, handled| {
        metrics::ROUTER_RESUMPTIONS_REFUSED_TOTAL.increment(1);
        let refused = ResumeRefused { error: condition.into(), handled };
        turn.to_gateway(conn, GatewayBody::Resumed(Err(refused)));
    };
    let Some(session) = turn.account.session(id) else {
        return refuse(turn, StanzaCondition::ItemNotFound, None);
    };
    let Some(managed) = session.managed.filter(|managed| managed.resume_seconds.is_some()) else {
        return refuse(turn, StanzaCondition::UnexpectedRequest, None);
    };
    let acked = session.outbound.widen(managed.outbound_base, handled);
    if acked > session.outbound.sent() {
        // The client counts stanzas that were never sent: its state is not this session's.
        let known = session.inbound.confirmed().saturating_sub(managed.inbound_base);
        return refuse(turn, StanzaCondition::BadRequest, Some(known));
    }
    if let Link::Connected(old) = session.link {
        let error = StreamError::new(StreamCondition::Conflict, "resumed on another connection");
        turn.to_gateway(old, GatewayBody::Close(error));
    }
    feed::acked(turn, id, acked);
    let until_ms = turn.now_ms;
    let Some(session) = turn.account.session_mut(id) else { return };
    // Until everything received is settled nobody carries it.
    session.link = Link::Detached { until_ms };
    if let Some(earlier) = session.resuming.replace(Box::new(Resuming { conn, origin })) {
        let refused = ResumeRefused { error: StanzaCondition::Conflict.into(), handled: None };
        turn.to_gateway(earlier.conn, GatewayBody::Resumed(Err(refused)));
    }
    resume_settled(turn, id);
}

/// Completes a resumption once all that was received is settled.
pub(crate) fn resume_settled(turn: &mut Turn<'_>, id: SessionId) {
    let now_ms = turn.now_ms;
    let Some(session) = turn.account.session_mut(id) else { return };
    if !session.inbound.is_settled() {
        return;
    }
    let (Some(resuming), Some(managed)) = (session.resuming.take(), session.managed) else { return };
    session.link = Link::Connected(resuming.conn);
    metrics::ROUTER_RESUMPTIONS_TOTAL.increment(1);
    let resumed = Resumed {
        session: id,
        jid: session.jid.clone(),
        handled: session.inbound.confirmed(),
        acked: session.outbound.acked(),
        inbound_base: managed.inbound_base,
        outbound_base: managed.outbound_base,
        unacked: session.outbound.unacked().iter().map(|u| u.xml.clone()).collect(),
        resume_seconds: managed.resume_seconds.unwrap_or_default(),
    };
    turn.shared.list_session(record(session, Some(&resuming.origin), now_ms));
    turn.to_gateway(resuming.conn, GatewayBody::Resumed(Ok(resumed)));
}

/// Ends a session; with an error its stream gets it.
pub(crate) fn end(turn: &mut Turn<'_>, id: SessionId, error: Option<StreamError>) {
    let Some(at) = turn.account.sessions.iter().position(|s| s.id == id) else { return };
    let mut session = turn.account.sessions.remove(at);
    metrics::ROUTER_SESSIONS.decrement(1.0);
    if let (Some(conn), Some(error)) = (session.conn(), error) {
        turn.to_gateway(conn, GatewayBody::Close(error));
    }
    if let Some(resuming) = session.resuming.take() {
        let refused = ResumeRefused { error: StanzaCondition::ItemNotFound.into(), handled: None };
        turn.to_gateway(resuming.conn, GatewayBody::Resumed(Err(refused)));
    }
    turn.shared.unlist_session(&session.jid, id.0);
    turn.with(|ctx| {
        features::ended(ctx, &mut session);
        reroute(ctx, &session);
    });
}

/// What the client did not get goes where RFC 6121 §8 sends it when the resource is gone: messages
/// in the log to another session or to wait, requests back to whoever asks.
fn reroute(ctx: &mut Context<'_>, session: &Session) {
    let mut pending = session.feed != Feed::Live;
    for unacked in session.outbound.unacked() {
        if unacked.log.is_some() {
            metrics::ROUTER_REROUTED_TOTAL.increment(1);
            pending = true;
            continue;
        }
        let Ok(stanza) = Stanza::parse(unacked.xml.clone()) else { continue };
        // RFC 6121 §8.5.3.2.3
        if matches!(stanza.kind(), Kind::Iq(IqType::Get | IqType::Set))
            && let Some(reply) = stanza.error_reply(&StanzaCondition::ServiceUnavailable.into())
        {
            ctx.route(reply);
        }
    }
    if !pending {
        return;
    }
    ctx.account.waiting += 1;
    if let Some(other) = ctx.account.most_available().map(|s| s.id) {
        ctx.actions.push(Action::Feed(other));
    }
}

/// An operator ends sessions.
pub(crate) fn kick(ctx: &mut Context<'_>, resource: Option<&str>, error: &StreamError) {
    for session in &ctx.account.sessions {
        if resource.is_none_or(|resource| resource == session.resource()) {
            let error = Some(error.clone());
            ctx.actions.push(Action::End { session: session.id, error });
        }
    }
}

/// The account was changed by an operator.
pub(crate) fn refresh(ctx: &mut Context<'_>, gone: bool) {
    if gone {
        let error = StreamError::new(StreamCondition::NotAuthorized, "the account was removed");
        kick(ctx, None, &error);
    }
    let jid = ctx.account.jid.clone();
    ctx.job(move |shared| async move {
        let loaded = shared.db.account_load(&shared.log, &jid).await;
        let then: Then = Box::new(move |ctx| match loaded {
            Ok(Some(loaded)) => {
                ctx.account.disabled = loaded.account.disabled;
                ctx.account.credentials = loaded.credentials;
            }
            Ok(None) => *ctx.gone = true,
            Err(error) => tracing::error!(account = %ctx.account.jid, %error, "cannot read an account"),
        });
        then
    });
}
