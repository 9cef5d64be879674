//! What a feature is given, and what it asks for.
//!
//! A hook sees one account, locked, and one stanza. It changes the account's state in memory and
//! pushes [`Action`]s; the executor performs them in order while it still holds the lock, so that
//! what a session is sent is in the order of its account's events. What has to wait (the database)
//! is an [`Action::Job`]: the account takes no other work until the job's [`Then`] has run.

use crate::account::Account;
use crate::session::Session;
use crate::settings::Settings;
use crate::shared::Shared;
use bus::SessionId;
use bus::envelope::Receipt;
use runtime::metrics;
use smallvec::SmallVec;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::LogId;
use xmpp::{Jid, Stanza, StanzaError, StreamError};

/// What a hook asks for.
pub enum Action {
    /// One of the account's sessions gets this stanza.
    Deliver {
        /// Which.
        session: SessionId,
        /// What.
        stanza: Stanza,
        /// Its entry in the message log.
        log: Option<LogId>,
    },
    /// A message for the account is accepted: logged where `keep` says so, given its stanza-id
    /// and delivered.
    Accept {
        /// The message.
        stanza: Stanza,
        /// Who gets it now.
        sessions: SmallVec<[SessionId; 2]>,
        /// Whether it is logged, and stays pending until a session has it.
        keep: bool,
    },
    /// A message that a session of the account sent is put into its archive.
    Archive(Stanza),
    /// To another account's inbound side, or this one's.
    Route {
        /// The stanza; `from` and `to` are set.
        stanza: Stanza,
        /// Who waits for its effect.
        receipt: Receipt,
    },
    /// A session ends; with an error its stream gets it.
    End {
        /// Which.
        session: SessionId,
        /// Why.
        error: Option<StreamError>,
    },
    /// The session is to get what the log holds for it.
    Feed(SessionId),
    /// The account was available until now; the status it left (XEP-0012).
    Seen(Option<String>),
    /// Something that waits.
    Job(Job),
}

/// Work that waits for I/O while the account takes no other work.
pub type Job = Box<dyn FnOnce(Arc<Shared>) -> Pin<Box<dyn Future<Output = Then> + Send>> + Send>;

/// What happens to the account when a job is done.
pub type Then = Box<dyn FnOnce(&mut Context<'_>) + Send>;

/// Where the stanza at hand came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A session of the account: the outbound side.
    Session(SessionId),
    /// Another account, or the server: the inbound side.
    Routed,
}

/// One account and what is asked for it.
pub struct Context<'a> {
    /// The account.
    pub account: &'a mut Account,
    /// What the operator configured.
    pub settings: &'a Settings,
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Where the stanza at hand came from.
    pub source: Source,
    /// Who waits for the effect of the stanza at hand; whoever passes the effect on takes it.
    pub receipt: &'a mut Receipt,
    /// What was asked for so far.
    pub actions: &'a mut Vec<Action>,
    /// Set when the account was removed: its slot forgets it.
    pub gone: &'a mut bool,
}

impl Context<'_> {
    /// Sends a stanza to the inbound side of its `to`.
    pub fn route(&mut self, stanza: Stanza) {
        self.actions.push(Action::Route { stanza, receipt: Receipt::None });
    }

    /// Sends the stanza at hand on: its sender is confirmed when its effect there is durable.
    pub fn pass_on(&mut self, stanza: Stanza) {
        let receipt = std::mem::replace(self.receipt, Receipt::None);
        self.actions.push(Action::Route { stanza, receipt });
    }

    /// Sends a stanza to one of the account's sessions.
    pub fn deliver(&mut self, session: SessionId, stanza: Stanza) {
        self.actions.push(Action::Deliver { session, stanza, log: None });
    }

    /// Sends a stanza to each of the account's sessions that `pick` chooses.
    pub fn deliver_to(&mut self, stanza: &Stanza, pick: impl Fn(&Session) -> bool) {
        for session in self.account.sessions.iter().filter(|s| pick(s)) {
            let action = Action::Deliver { session: session.id, stanza: stanza.clone(), log: None };
            self.actions.push(action);
        }
    }

    /// Sends an answer to whoever sent the stanza at hand.
    pub fn answer(&mut self, answer: Stanza) {
        match self.source {
            Source::Session(session) => self.deliver(session, answer),
            Source::Routed => self.route(answer),
        }
    }

    /// Answers an IQ request with a result.
    pub fn result(&mut self, request: &Stanza, inner: &str) {
        self.answer(request.result_reply(inner));
    }

    /// Answers a stanza with an error. Errors and results are never answered (RFC 6120 §8.3.1).
    pub fn refuse(&mut self, stanza: &Stanza, error: impl Into<StanzaError>) {
        if let Some(answer) = stanza.error_reply(&error.into()) {
            metrics::ROUTER_ERRORS_TOTAL.increment(1);
            self.answer(answer);
        }
    }

    /// Waits for `work` and goes on with what it returns.
    pub fn job<F, W>(&mut self, work: W)
    where
        W: FnOnce(Arc<Shared>) -> F + Send + 'static,
        F: Future<Output = Then> + Send + 'static,
    {
        self.actions.push(Action::Job(Box::new(move |shared| Box::pin(work(shared)))));
    }

    /// The session the stanza at hand came from.
    pub fn sender(&self) -> Option<&Session> {
        match self.source {
            Source::Session(id) => self.account.session(id),
            Source::Routed => None,
        }
    }

    /// Whether this is one of the domains served here.
    pub fn is_ours(&self, jid: &Jid) -> bool {
        self.settings.is_ours(jid.domain())
    }
}
