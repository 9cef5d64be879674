//! What the owner of a partition holds of one account.

use crate::session::{Link, Session};
use bus::{ConnId, SessionId};
use std::collections::BTreeMap;
use store::{AccountId, Credential, LoadedAccount, RosterItem, Subscription};
use xmpp::Jid;

/// An account that exists, loaded on its first touch.
#[derive(Debug)]
pub struct Account {
    /// Its bare JID.
    pub jid: Jid,
    /// Its row.
    pub id: AccountId,
    /// Whether logins are refused.
    pub disabled: bool,
    /// SCRAM keys.
    pub credentials: Vec<Credential>,
    /// The roster, and contacts that asked and are not in it yet.
    pub roster: Roster,
    /// Its sessions, in the order they were bound.
    pub sessions: Vec<Session>,
    /// About how many messages wait in the log because nobody could take them; 0 only when there
    /// is none.
    pub waiting: u64,
}

/// The roster of a loaded account (RFC 6121 §2).
#[derive(Debug, Default)]
pub struct Roster {
    /// Counts changes (XEP-0237).
    pub version: u64,
    /// By bare JID.
    pub items: BTreeMap<Jid, RosterItem>,
}

/// Whether a contact with this subscription gets the user's presence.
pub fn sees(subscription: Subscription) -> bool {
    matches!(subscription, Subscription::From | Subscription::Both)
}

impl Account {
    /// An account as the database knows it, without sessions.
    pub fn new(jid: Jid, loaded: LoadedAccount) -> Account {
        let items = loaded.roster.into_iter().map(|item| (item.jid.clone(), item)).collect();
        Account {
            jid,
            id: loaded.account.id,
            disabled: loaded.account.disabled,
            credentials: loaded.credentials,
            roster: Roster { version: loaded.roster_version, items },
            sessions: Vec::new(),
            waiting: loaded.pending,
        }
    }

    /// The session with this name.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|s| s.id == id)
    }

    /// The session with this name.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|s| s.id == id)
    }

    /// The session with this name while `conn` carries it; a connection that lost it is nobody.
    pub fn carried_by(&mut self, id: SessionId, conn: ConnId) -> Option<&mut Session> {
        self.session_mut(id).filter(|s| s.link == Link::Connected(conn))
    }

    /// The session bound to this resource.
    pub fn resource(&self, resource: &str) -> Option<&Session> {
        self.sessions.iter().find(|s| s.resource() == resource)
    }

    /// Sessions with available presence and a priority of 0 or more: those that messages to the
    /// bare JID may go to (RFC 6121 §8.5.2).
    pub fn reachable(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|s| s.available().is_some_and(|a| a.priority >= 0))
    }

    /// The session that a message for the whole account goes to first.
    pub fn most_available(&self) -> Option<&Session> {
        self.reachable().max_by_key(|s| s.available().map(|a| (a.priority, a.since_ms)))
    }

    /// Whether the contact sees this account's presence.
    pub fn is_seen_by(&self, contact: &str) -> bool {
        contact == self.jid.as_str()
            || self.roster.items.get(contact).is_some_and(|item| sees(item.subscription))
    }
}
