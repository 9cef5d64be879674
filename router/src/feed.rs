//! From the message log to a session: what was kept while nobody was there, and what a slow client
//! could not take at once (XEP-0160).
//!
//! A session that is behind is sent the log's pending messages page by page, each page when there
//! is room among its unacknowledged stanzas. New messages queue behind in the log, so order holds
//! and memory does not grow with what waits.

use crate::context::{Action, Then};
use crate::session::Feed;
use crate::settings::Settings;
use crate::turn::{Turn, stanza_id};
use bus::SessionId;
use store::{LogEntry, LogId};
use xmpp::payload::delay;
use xmpp::{Jid, Stanza};

/// The session is to get what the log holds for it.
pub(crate) fn start(turn: &mut Turn<'_>, id: SessionId) {
    let Some(session) = turn.account.session_mut(id) else { return };
    if session.feed == Feed::Live {
        session.feed = Feed::Behind { after: LogId::MIN, reading: false };
    }
    read(turn, id);
}

/// The client has everything up to `seq`.
pub(crate) fn acked(turn: &mut Turn<'_>, id: SessionId, seq: u64) {
    let account = turn.account.id;
    let log = &turn.shared.log;
    let Some(session) = turn.account.session_mut(id) else { return };
    if !session.outbound.ack(seq, |entry| log.delivered(account, entry)) {
        tracing::warn!(session = ?id, seq, "more was acknowledged than sent");
    }
    if session.feed != Feed::Live {
        read(turn, id);
    }
}

fn room(sent: usize, bytes: usize, settings: &Settings) -> usize {
    if bytes >= settings.unacked_bytes_max {
        return 0;
    }
    settings.unacked_stanzas_max.saturating_sub(sent).min(settings.feed_page_stanzas)
}

/// Reads the next page, if there is room for it.
fn read(turn: &mut Turn<'_>, id: SessionId) {
    let account = turn.account.id;
    let settings = &turn.shared.settings;
    let Some(session) = turn.account.session_mut(id) else { return };
    let room = room(session.outbound.unacked().len(), session.outbound.bytes(), settings);
    let Feed::Behind { after, reading: false } = session.feed else { return };
    if room == 0 {
        return;
    }
    session.feed = Feed::Behind { after, reading: true };
    turn.wait_for(Box::new(move |shared| {
        Box::pin(async move {
            let page = shared.log.pending(account, after, room).await;
            let then: Then = Box::new(move |ctx| match page {
                Ok(page) => send(ctx, id, after, &page, room),
                Err(error) => {
                    tracing::error!(account = %ctx.account.jid, %error, "cannot read the message log");
                    // The next acknowledgement tries again.
                    set(ctx, id, Feed::Behind { after, reading: false });
                }
            });
            then
        })
    }));
}

fn set(ctx: &mut crate::context::Context<'_>, id: SessionId, feed: Feed) {
    if let Some(session) = ctx.account.session_mut(id) {
        session.feed = feed;
    }
}

fn send(ctx: &mut crate::context::Context<'_>, id: SessionId, after: LogId, page: &[LogEntry], room: usize) {
    let account = ctx.account.jid.clone();
    let Some(session) = ctx.account.session(id) else { return };
    let mut budget = ctx.settings.unacked_bytes_max.saturating_sub(session.outbound.bytes());
    let mut last = after;
    let (mut cut, mut sent) = (false, 0);
    for entry in page {
        // The first one goes out whatever its size: the page is read when there is room.
        cut = last != after && entry.stanza.len() > budget;
        if cut {
            break;
        }
        budget = budget.saturating_sub(entry.stanza.len());
        last = entry.id;
        // Another session may have it under way, or this one from before it fell behind.
        if ctx.account.sessions.iter().any(|s| s.outbound.holds(entry.id)) {
            continue;
        }
        match restore(entry, &account) {
            Ok(stanza) => {
                sent += 1;
                ctx.actions.push(Action::Deliver { session: id, stanza, log: Some(entry.id) });
            }
            Err(error) => {
                tracing::error!(%account, id = %entry.id.to_text(), %error, "an unreadable log entry")
            }
        }
    }
    if cut || page.len() == room {
        set(ctx, id, Feed::Behind { after: last, reading: false });
        if sent == 0 {
            // No acknowledgement will ask for the next page.
            ctx.actions.push(Action::Feed(id));
        }
    } else {
        // Nothing came in between: the account was held while the page was read.
        set(ctx, id, Feed::Live);
        ctx.account.waiting = 0;
    }
}

/// A logged message as it is delivered late: with its stanza-id, and the time it came in
/// (RFC 6121 §8.5.2.2.1, XEP-0203).
fn restore(entry: &LogEntry, account: &Jid) -> Result<Stanza, xmpp::StreamError> {
    let stanza = Stanza::parse(entry.stanza.clone())?;
    let mut added = stanza_id(entry.id, account);
    added.push_str(&delay::element(account.domain(), entry.id.time_ms()));
    Ok(stanza.with_child(&added))
}
