//! From the stream to the owner: each command is one envelope, or something done here.

use super::scratch::Work;
use super::{Connection, Phase};
use bus::SessionId;
use bus::envelope::{OwnerBody, SaslStep, Secret, SessionBody};
use bytes::Bytes;
use runtime::metrics;
use std::sync::Arc;
use xmpp::Jid;
use xmpp::error::{StanzaCondition, StreamCondition};
use xmpp::sasl::{Failure, FailureCondition};
use xmpp::stream::{self, Command, Input, ResumeRefused};

impl Connection {
    /// Does what the stream said. What comes of it at once may be more.
    pub(super) fn execute(&mut self, work: &mut Work) {
        let mut commands = std::mem::take(&mut work.out.commands);
        for command in commands.drain(..) {
            self.command(command, work);
        }
        if work.out.commands.is_empty() {
            work.out.commands = commands; // Its room is of use again.
        }
    }

    fn command(&mut self, command: Command, work: &mut Work) {
        match command {
            Command::Route { seq, stanza } => {
                self.window.routed(seq, stanza.xml().len(), &self.gateway.settings);
                self.to_session(SessionBody::Stanza { seq, stanza });
            }
            Command::Acked { seq } => self.to_session(SessionBody::Acked { seq }),
            Command::AwaitConfirm { seq } => {
                if self.window.ask(seq) {
                    self.deadlines.confirm_in(self.gateway.settings.confirm_wait);
                }
            }
            Command::Refuse { seq, stanza, error } => {
                self.window.routed(seq, stanza.xml().len(), &self.gateway.settings);
                self.to_session(SessionBody::Refused { seq, stanza, error: *error });
            }
            Command::Manage { resume, max_seconds } => {
                self.to_session(SessionBody::Manage { resume, max_seconds });
            }
            Command::Leave(leave) => self.leave(leave),
            Command::Close(condition) => self.close(condition),
            other => self.negotiate(other, work),
        }
    }

    /// What is said before a resource is bound.
    fn negotiate(&mut self, command: Command, work: &mut Work) {
        let Some(negotiation) = &mut self.negotiation else { return };
        match command {
            Command::Opened { domain, lang } => negotiation.opened(domain, lang),
            Command::StartTls => self.phase = Phase::TurningToTls,
            Command::ResetReader => self.reader.reset(),
            Command::Sasl { account, step } => self.sasl(account, step, work),
            Command::Register { account, password } => {
                let origin = negotiation.origin();
                let password = secret(password);
                self.to_owner(account, OwnerBody::Register { conn: self.conn(), origin, password });
            }
            Command::Authenticated { account } => {
                negotiation.account = Some(account);
                self.place.authenticated();
                self.reader.set_limits(self.gateway.settings.limits);
            }
            Command::Bind { resource } => {
                let origin = negotiation.origin();
                if let Some(account) = negotiation.account.clone() {
                    self.to_owner(account, OwnerBody::Bind { conn: self.conn(), origin, resource });
                }
            }
            Command::Resume { previd, handled } => self.resume(&previd, handled, work),
            _ => {}
        }
    }

    fn sasl(&mut self, account: Jid, step: stream::SaslStep, work: &mut Work) {
        let Some(negotiation) = &mut self.negotiation else { return };
        let step = match step {
            stream::SaslStep::Start { mechanism, initial } => {
                if !self.gateway.attempts.allows(negotiation.address.ip()) {
                    let text = "too many failed logins from your address; try again in a minute";
                    let failure = Failure::new(FailureCondition::TemporaryAuthFailure, text);
                    return self.step(Input::Failure(failure), work);
                }
                SaslStep::Start { mechanism: mechanism.to_owned(), initial: Some(secret(initial)) }
            }
            stream::SaslStep::Response(data) => SaslStep::Response(secret(data)),
            stream::SaslStep::Abort => SaslStep::Abort,
        };
        let origin = negotiation.origin();
        self.to_owner(account, OwnerBody::Sasl { conn: self.conn(), origin, step });
    }

    fn resume(&mut self, previd: &str, handled: u32, work: &mut Work) {
        let Some(negotiation) = &mut self.negotiation else { return };
        let origin: Arc<_> = negotiation.origin();
        match (SessionId::from_text(previd), negotiation.account.clone()) {
            (Some(session), Some(account)) => {
                let conn = self.conn();
                self.to_owner(account, OwnerBody::Resume { conn, origin, session, handled });
            }
            _ => {
                // Nothing of ours was ever called so.
                let refused = ResumeRefused { error: StanzaCondition::ItemNotFound.into(), handled: None };
                self.step(Input::Resumed(Err(refused)), work);
            }
        }
    }

    /// The stream is over: what is written is sent, then the socket is closed.
    fn close(&mut self, condition: Option<StreamCondition>) {
        if let Some(condition) = condition {
            metrics::GATEWAY_STREAM_ERRORS_TOTAL.increment(1);
            tracing::debug!(%condition, "ended a stream");
        }
        self.leftover = Vec::new();
        if matches!(self.phase, Phase::Open | Phase::TurningToTls) {
            self.phase = Phase::Closing;
            self.deadlines.end_in(self.gateway.settings.close_timeout);
            if let Some(mailbox) = self.gateway.slots.get(self.slot) {
                mailbox.lock().close();
            }
        }
    }
}

fn secret(secret: stream::Secret) -> Secret {
    Secret(Bytes::from(secret.0))
}
