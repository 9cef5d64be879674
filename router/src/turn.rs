//! One piece of work for a loaded account: what it means, and performing what is asked for.

use crate::account::Account;
use crate::context::{Action, Context, Job, Source};
use crate::executor::{Before, Work};
use crate::session::{Feed, Link};
use crate::shared::Shared;
use crate::{auth, feed, inbound, outbound, sessions};
use bus::envelope::{GatewayBody, OwnerBody, Receipt, ResumeRefused, SessionBody};
use bus::{ConnId, SessionId, ToGateway};
use runtime::metrics;
use smallvec::SmallVec;
use std::sync::Arc;
use store::{Append, LogId};
use xmpp::error::StanzaCondition;
use xmpp::stanza::{Kind, PresenceType};
use xmpp::{Jid, Stanza, ns};

/// What is left to do when the lock is gone.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Stanzas for other accounts, or this one's inbound side.
    pub routes: SmallVec<[(Stanza, Receipt); 1]>,
    /// A stanza of another account whose effect is complete.
    pub settle: Option<Receipt>,
    /// What the account waits for.
    pub job: Option<(Job, Source, Receipt)>,
    /// To be done before the account is read anew.
    pub load: Option<Before>,
}

impl Outcome {
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.settle.is_none() && self.job.is_none() && self.load.is_none()
    }
}

/// An account under its lock.
pub(crate) struct Turn<'a> {
    pub shared: &'a Shared,
    pub account: &'a mut Account,
    pub now_ms: u64,
    pub source: Source,
    pub receipt: Receipt,
    /// The highest commit of the log that the effect of the stanza at hand is in.
    commit: u64,
    actions: &'a mut Vec<Action>,
    outcome: &'a mut Outcome,
    /// The account was removed.
    pub gone: bool,
}

impl<'a> Turn<'a> {
    pub fn new(
        shared: &'a Shared,
        account: &'a mut Account,
        actions: &'a mut Vec<Action>,
        outcome: &'a mut Outcome,
    ) -> Turn<'a> {
        let now_ms = shared.clock.now_ms();
        let (source, receipt) = (Source::Routed, Receipt::None);
        Turn { shared, account, now_ms, source, receipt, commit: 0, actions, outcome, gone: false }
    }

    /// Gives the account to a hook.
    pub fn with<R>(&mut self, hook: impl FnOnce(&mut Context<'_>) -> R) -> R {
        hook(&mut Context {
            account: self.account,
            settings: &self.shared.settings,
            now_ms: self.now_ms,
            source: self.source,
            receipt: &mut self.receipt,
            actions: self.actions,
            gone: &mut self.gone,
        })
    }

    pub fn handle(&mut self, work: Work) {
        match work {
            Work::Done(then, source, receipt) => {
                (self.source, self.receipt) = (source, receipt);
                self.with(then);
            }
            Work::Envelope(OwnerBody::Session { conn, session, body }) => self.session(conn, session, body),
            Work::Envelope(OwnerBody::Routed { stanza, receipt }) => {
                self.receipt = receipt;
                self.with(|ctx| inbound::handle(ctx, stanza));
            }
            Work::Envelope(OwnerBody::Settled { session, seq }) => self.settled(session, seq),
            Work::Envelope(OwnerBody::Bind { conn, origin, resource }) => {
                sessions::bind(self, conn, &origin, resource);
            }
            Work::Envelope(OwnerBody::Resume { conn, origin, session, handled }) => {
                sessions::resume(self, conn, origin, session, handled);
            }
            Work::Envelope(OwnerBody::Kick { resource, error }) => {
                self.with(|ctx| sessions::kick(ctx, resource.as_deref(), &error));
            }
            Work::Envelope(OwnerBody::Refresh { gone }) => {
                self.with(|ctx| sessions::refresh(ctx, gone));
            }
            Work::Envelope(OwnerBody::Register { conn, .. }) => {
                let error = StanzaCondition::Conflict.into();
                self.to_gateway(conn, GatewayBody::Registered(Err(error)));
            }
            Work::Envelope(OwnerBody::Sasl { .. }) => unreachable!("the executor takes logins"),
        }
        self.perform();
        self.finish();
    }

    fn session(&mut self, conn: ConnId, id: SessionId, body: SessionBody) {
        let Some(session) = self.account.carried_by(id, conn) else {
            // It was resumed elsewhere, or ended: what the old connection says is void (I4).
            return;
        };
        match body {
            SessionBody::Stanza { seq, stanza } => {
                if self.begin(id, seq) {
                    count(&stanza);
                    self.with(|ctx| outbound::handle(ctx, stanza));
                }
            }
            SessionBody::Refused { seq, stanza, error } => {
                if self.begin(id, seq) {
                    self.with(|ctx| ctx.refuse(&stanza, error));
                }
            }
            SessionBody::Acked { seq } => feed::acked(self, id, seq),
            SessionBody::Manage { resume, max_seconds } => {
                let body = sessions::manage(session, &self.shared.settings, resume, max_seconds);
                self.to_gateway(conn, body);
            }
            SessionBody::Detached => sessions::detach(self, id),
            SessionBody::Closed => self.actions.push(Action::End { session: id, error: None }),
        }
    }

    /// Takes the next stanza of a session; false when it is not the next.
    fn begin(&mut self, id: SessionId, seq: u64) -> bool {
        let Some(session) = self.account.session_mut(id) else { return false };
        if !session.inbound.receive(seq) {
            tracing::warn!(session = ?id, seq, "a stanza out of sequence was refused");
            return false;
        }
        self.source = Source::Session(id);
        self.receipt = Receipt::Session { account: self.account.jid.clone(), session: id, seq, commit: 0 };
        true
    }

    /// Performs what was asked for, in order, and what that asks for in turn.
    fn perform(&mut self) {
        let mut batch = std::mem::take(self.actions);
        loop {
            for action in batch.drain(..) {
                self.perform_one(action);
            }
            if self.actions.is_empty() {
                break;
            }
            std::mem::swap(&mut batch, self.actions);
        }
        *self.actions = batch;
    }

    fn perform_one(&mut self, action: Action) {
        match action {
            Action::Deliver { session, stanza, log } => self.deliver(session, &stanza, log),
            Action::Accept { stanza, sessions, keep } => self.accept(stanza, &sessions, keep),
            Action::Archive(stanza) => {
                if let Some(peer) = stanza.to() {
                    let peer = peer.to_bare();
                    self.append(&peer, &stanza, false);
                }
            }
            Action::Route { stanza, mut receipt } => {
                if let Receipt::Session { commit, .. } = &mut receipt {
                    *commit = self.commit.max(*commit);
                }
                self.outcome.routes.push((stanza, receipt));
            }
            Action::End { session, error } => sessions::end(self, session, error),
            Action::Feed(session) => feed::start(self, session),
            Action::Seen(status) => self.shared.last_seen.note(self.account.id, self.now_ms, status),
            Action::Job(job) => self.wait_for(job),
        }
    }

    /// Has the account wait for a job. A second one waits for the first.
    pub fn wait_for(&mut self, job: Job) {
        let receipt = std::mem::replace(&mut self.receipt, Receipt::None);
        let source = self.source;
        self.outcome.job = Some(match self.outcome.job.take() {
            None => (job, source, receipt),
            Some((first, source, first_receipt)) => {
                let both: Job = Box::new(move |shared: Arc<Shared>| {
                    Box::pin(async move {
                        let then = first(shared).await;
                        let both: crate::context::Then = Box::new(move |ctx: &mut Context<'_>| {
                            then(ctx);
                            ctx.actions.push(Action::Job(job));
                        });
                        both
                    })
                });
                (both, source, first_receipt)
            }
        });
    }

    /// Whoever waits for the stanza at hand is told, now or when it is durable.
    fn finish(&mut self) {
        let receipt = std::mem::replace(&mut self.receipt, Receipt::None);
        let Receipt::Session { account, session, seq, commit } = receipt else { return };
        let commit = commit.max(self.commit);
        let own = account == self.account.jid;
        let receipt = Receipt::Session { account, session, seq, commit };
        match self.shared.log.when_committed(commit, receipt) {
            None => {}
            Some(_) if own => self.settled(session, seq),
            Some(receipt) => self.outcome.settle = Some(receipt),
        }
    }

    /// A stanza of a session has had its durable effect.
    fn settled(&mut self, id: SessionId, seq: u64) {
        let Some(session) = self.account.session_mut(id) else { return };
        let Some(confirmed) = session.inbound.settle(seq) else { return };
        if let Link::Connected(conn) = session.link {
            self.to_gateway(conn, GatewayBody::Confirm { seq: confirmed });
        }
        sessions::resume_settled(self, id);
    }

    pub fn to_gateway(&self, conn: ConnId, body: GatewayBody) {
        self.shared.bus.to_gateway(ToGateway { conn, body });
    }

    /// Puts a message into the account's log.
    fn append(&mut self, peer: &Jid, stanza: &Stanza, pending: bool) -> LogId {
        metrics::ROUTER_LOG_ENTRIES_TOTAL.increment(1);
        metrics::ROUTER_LOG_BYTES_TOTAL.increment(stanza.xml().len() as u64);
        let entry = Append { peer: peer.clone(), stanza: stanza.xml().clone(), pending, outgoing: !pending };
        let appended = self.shared.log.append(self.account.id, entry);
        self.commit = self.commit.max(appended.commit);
        appended.id
    }

    fn accept(&mut self, stanza: Stanza, to: &[SessionId], keep: bool) {
        if !keep {
            for id in to {
                self.deliver(*id, &stanza, None);
            }
            return;
        }
        let peer = stanza.from().map_or_else(|| self.account.jid.clone(), Jid::to_bare);
        let log = self.append(&peer, &stanza, true);
        let marked = stanza.with_child(&stanza_id(log, &self.account.jid));
        let mut taken = false;
        for id in to {
            let limits = &self.shared.settings;
            let Some(session) = self.account.session_mut(*id) else { continue };
            let full = session.outbound.unacked().len() >= limits.unacked_stanzas_max
                || session.outbound.bytes() >= limits.unacked_bytes_max;
            if session.feed == Feed::Live && full {
                // From here on it reads the log at its own pace.
                session.feed = Feed::Behind { after: LogId(log.0 - 1), reading: false };
            }
            if session.feed == Feed::Live {
                self.deliver(*id, &marked, Some(log));
                taken = true;
            }
        }
        if !taken {
            metrics::ROUTER_WAITING_TOTAL.increment(1);
            self.account.waiting += 1;
        }
    }

    /// Numbers a stanza and hands it to the session's gateway.
    pub fn deliver(&mut self, id: SessionId, stanza: &Stanza, log: Option<LogId>) {
        let Some(session) = self.account.session_mut(id) else { return };
        metrics::ROUTER_DELIVERIES_TOTAL.increment(1);
        let xml = stanza.xml().clone();
        let seq = session.outbound.push(xml.clone(), log);
        let conn = session.conn();
        // Messages beyond the limits wait in the log; what cannot wait there has as much room again.
        let limits = &self.shared.settings;
        if session.outbound.unacked().len() > 2 * limits.unacked_stanzas_max
            || session.outbound.bytes() > 2 * limits.unacked_bytes_max
        {
            let error = xmpp::StreamError::new(
                xmpp::error::StreamCondition::ResourceConstraint,
                "too many stanzas were left unacknowledged",
            );
            self.actions.push(Action::End { session: id, error: Some(error) });
        }
        if let Some(conn) = conn {
            self.to_gateway(conn, GatewayBody::Deliver { seq, xml });
        }
    }
}

fn count(stanza: &Stanza) {
    let counter = match stanza.kind() {
        Kind::Message(_) => &metrics::ROUTER_MESSAGES_TOTAL,
        Kind::Presence(_) => &metrics::ROUTER_PRESENCES_TOTAL,
        Kind::Iq(_) => &metrics::ROUTER_IQS_TOTAL,
    };
    counter.increment(1);
}

/// XEP-0359 §2: the id that the log gave a message, by the account it is for.
pub(crate) fn stanza_id(id: LogId, by: &Jid) -> String {
    let mut xml = format!("<stanza-id xmlns='{}' id='{}' by='", ns::SID, id.to_text());
    xmpp::element::escape_attr(by.as_str(), &mut xml);
    xml.push_str("'/>");
    xml
}

/// Work for an account that does not exist.
pub(crate) fn for_missing(shared: &Arc<Shared>, account: &Jid, body: OwnerBody, outcome: &mut Outcome) {
    let to_gateway = |conn, body| shared.bus.to_gateway(ToGateway { conn, body });
    match body {
        OwnerBody::Register { conn, origin, password } => {
            outcome.load = Some(auth::register(shared.clone(), account.clone(), conn, origin, password));
        }
        OwnerBody::Refresh { .. } => outcome.load = Some(Box::pin(async {})),
        OwnerBody::Bind { conn, .. } => {
            to_gateway(conn, GatewayBody::Bound(Err(StanzaCondition::NotAuthorized.into())));
        }
        OwnerBody::Resume { conn, .. } => {
            metrics::ROUTER_RESUMPTIONS_REFUSED_TOTAL.increment(1);
            let refused = ResumeRefused { error: StanzaCondition::ItemNotFound.into(), handled: None };
            to_gateway(conn, GatewayBody::Resumed(Err(refused)));
        }
        OwnerBody::Routed { stanza, receipt } => {
            // RFC 6121 §8.5.1; a subscription request to nobody is not answered but by this error.
            let silent = matches!(
                stanza.kind(),
                Kind::Presence(
                    PresenceType::Available
                        | PresenceType::Unavailable
                        | PresenceType::Probe
                        | PresenceType::Subscribed
                        | PresenceType::Unsubscribed
                        | PresenceType::Unsubscribe
                )
            );
            if !silent && let Some(reply) = stanza.error_reply(&StanzaCondition::ServiceUnavailable.into()) {
                outcome.routes.push((reply, Receipt::None));
            }
            outcome.settle = Some(receipt);
        }
        OwnerBody::Sasl { .. }
        | OwnerBody::Session { .. }
        | OwnerBody::Settled { .. }
        | OwnerBody::Kick { .. } => {}
    }
}
