//! From the owner into the stream.

use super::scratch::Work;
use super::{Connection, Phase, Session};
use crate::gateway::random_id;
use crate::slots::{Cut, Mail};
use bus::SessionId;
use bus::envelope::{Bound, GatewayBody, Resumed, SaslOutcome};
use runtime::metrics;
use std::task::Context;
use xmpp::StreamError;
use xmpp::sasl::FailureCondition;
use xmpp::stream::{self, Input, Leave};

impl Connection {
    /// Takes what the owner said. Returns whether there was anything.
    pub(super) fn take_mail(&mut self, cx: &mut Context<'_>, work: &mut Work) -> bool {
        if !matches!(self.phase, Phase::Open | Phase::Orphaned) {
            return false;
        }
        let (stalled, written) = match self.is_stalled() {
            true => (true, 0),
            false => (false, std::mem::take(&mut self.in_flight)),
        };
        let wake_at = self.window.wake_at(&self.gateway.settings);
        let Some(mailbox) = self.gateway.slots.get(self.slot) else { return false };
        let collected = mailbox.lock().collect(cx.waker(), stalled, written, wake_at);

        let mut any = !collected.queue.is_empty();
        if let Some(cut) = collected.cut {
            self.cut(cut, work);
            any = true;
        }
        for mail in collected.queue {
            match mail {
                Mail::Deliver { seq, xml } => {
                    work.stanzas_out += 1;
                    self.in_flight += xml.len();
                    self.step(Input::Deliver { seq, xml: &xml }, work);
                }
                Mail::Answer(body) => self.answer(*body, work),
            }
        }
        if collected.confirmed >= wake_at {
            any = true;
        }
        if let Some(seq) = self.window.confirmed(collected.confirmed, &self.gateway.settings) {
            self.deadlines.confirmed();
            self.step(Input::Confirmed(seq), work);
        }
        any
    }

    fn cut(&mut self, cut: Cut, work: &mut Work) {
        if cut == Cut::Overflow {
            metrics::GATEWAY_OVERFLOWS_TOTAL.increment(1);
            // It did not read what came before; it will not read why.
            return self.gone(work);
        }
        if self.transport.is_handshake() {
            return self.gone(work);
        }
        self.fail(cut.condition(), work);
    }

    /// `<r/>` has waited long enough for more to be confirmed.
    pub(super) fn confirm(&mut self, work: &mut Work) {
        if self.window.is_asked() {
            let seq = self.window.answer();
            self.step(Input::Confirmed(seq), work);
        }
    }

    fn answer(&mut self, body: GatewayBody, work: &mut Work) {
        match body {
            GatewayBody::Sasl(outcome) => self.judged(outcome, work),
            GatewayBody::Registered(result) => self.step(Input::Registered(result), work),
            GatewayBody::Bound(Ok(Bound { session, jid })) => {
                self.carry(Session { account: jid.to_bare(), id: session }, 0);
                self.step(Input::Bound(Ok(jid)), work);
                self.carried();
            }
            GatewayBody::Bound(Err(error)) => {
                self.not_carried();
                self.step(Input::Bound(Err(error)), work);
            }
            GatewayBody::Resumed(Ok(resumed)) => {
                self.carry(Session { account: resumed.jid.to_bare(), id: resumed.session }, resumed.handled);
                self.in_flight += resumed.unacked.iter().map(|xml| xml.len()).sum::<usize>();
                work.stanzas_out += resumed.unacked.len() as u64;
                self.step(Input::Resumed(Ok(Box::new(translate(resumed)))), work);
                self.carried();
            }
            GatewayBody::Resumed(Err(refused)) => {
                self.not_carried();
                let refused = stream::ResumeRefused { error: refused.error, handled: refused.handled };
                self.step(Input::Resumed(Err(refused)), work);
            }
            GatewayBody::Managed { resume_seconds } => {
                if let Some(Session { id, .. }) = &self.session {
                    let id = id.to_text();
                    self.step(Input::Managed { id, resume_seconds }, work);
                }
            }
            GatewayBody::Close(error) => self.ended(error, work),
            // They do not come this way: see `Mailbox::put`.
            GatewayBody::Deliver { .. } | GatewayBody::Confirm { .. } => {}
        }
    }

    fn judged(&mut self, outcome: SaslOutcome, work: &mut Work) {
        let input = match outcome {
            SaslOutcome::Challenge(data) => Input::Challenge(data),
            SaslOutcome::Success { account, data } => Input::Success { account, data, id: random_id() },
            SaslOutcome::Failure(failure) => {
                if let Some(negotiation) = &self.negotiation
                    && failure.condition == FailureCondition::NotAuthorized
                {
                    self.gateway.attempts.failed(negotiation.address.ip());
                }
                Input::Failure(failure)
            }
        };
        self.step(input, work);
    }

    /// From now on this connection carries a session.
    fn carry(&mut self, session: Session, handled: u64) {
        self.session = Some(session);
        self.window.start(handled);
    }

    /// The stream knows it as well, unless it is closed.
    fn carried(&mut self) {
        if self.phase == Phase::Orphaned {
            // Nobody is there to use it. The client may come back for one that it had before.
            self.leave(Leave::Detached);
            self.phase = Phase::Gone;
            return;
        }
        self.negotiation = None;
        let idle = self.gateway.settings.idle_timeout;
        self.deadlines.watch(idle);
        if let Some(fd) = self.transport.fd() {
            // The kernel gives up on a peer that does not take even a whitespace ping.
            let millis = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
            let _ = rustix::net::sockopt::set_tcp_user_timeout(fd, millis);
        }
    }

    fn not_carried(&mut self) {
        if self.phase == Phase::Orphaned {
            self.phase = Phase::Gone;
        }
    }

    /// The owner ends the stream: the session is gone or has moved.
    fn ended(&mut self, error: StreamError, work: &mut Work) {
        self.session = None;
        self.step(Input::End(error), work);
    }
}

fn translate(resumed: Resumed) -> stream::Resumed {
    let id = SessionId::to_text(resumed.session);
    stream::Resumed {
        id,
        jid: resumed.jid,
        handled: resumed.handled,
        acked: resumed.acked,
        inbound_base: resumed.inbound_base,
        outbound_base: resumed.outbound_base,
        unacked: resumed.unacked,
    }
}
