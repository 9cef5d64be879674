//! Accounts for table tests.

use crate::account::{Account, Roster};
use crate::session::{Available, Feed, Inbound, Link, Outbound, Presence, Session};
use bus::{ConnId, NodeId, SessionId};
use store::AccountId;
use xmpp::stanza::{Kind, PresenceType};
use xmpp::{Jid, Stanza};

/// `juliet@example.com` with sessions written as `resource:priority`, or `resource:-` for one that is
/// connected without available presence. The nth one is session n, from 1.
pub(crate) fn account(sessions: &str) -> Account {
    let jid = Jid::parse("juliet@example.com").unwrap();
    let sessions = sessions
        .split_whitespace()
        .zip(1..)
        .map(|(text, n)| {
            let (resource, priority) = text.split_once(':').unwrap();
            session(n, jid.with_resource(resource).unwrap(), priority.parse().ok())
        })
        .collect();
    Account {
        jid,
        id: AccountId(1),
        disabled: false,
        credentials: Vec::new(),
        roster: Roster::default(),
        sessions,
        waiting: 0,
    }
}

fn session(n: u32, jid: Jid, priority: Option<i8>) -> Session {
    let presence = match priority {
        None => Presence::Unavailable,
        Some(priority) => {
            let stanza = Stanza::new(Kind::Presence(PresenceType::Available), Some(&jid), None, None, "");
            Presence::Available(Box::new(Available { stanza, priority, since_ms: u64::from(n) }))
        }
    };
    Session {
        id: SessionId(u128::from(n)),
        jid,
        link: Link::Connected(ConnId { gateway: NodeId(1), slot: n, generation: 0 }),
        presence,
        inbound: Inbound::default(),
        outbound: Outbound::default(),
        feed: Feed::Live,
        interested: false,
        managed: None,
        resuming: None,
        directed: Vec::new(),
    }
}
