//! The owner of every account: notes what it is told, and answers at once, on the caller's stack, as
//! the embedded router may.

use bus::envelope::{
    Bound, GatewayBody, OwnerBody, ResumeRefused, Resumed, SaslOutcome, SaslStep, SessionBody,
};
use bus::{Bus, ConnId, OwnerPort, SessionId, ToGateway, ToOwner};
use bytes::Bytes;
use std::sync::Mutex;
use xmpp::Jid;
use xmpp::error::StanzaCondition;
use xmpp::sasl::FailureCondition;

/// The only password there is.
pub const PASSWORD: &str = "secret";
pub const SESSION: SessionId = SessionId(42);

/// How it behaves.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Confirms each stanza at once.
    pub confirms: bool,
    /// Answers a bind at once.
    pub binds: bool,
    /// Sends each message back to its sender.
    pub echoes: bool,
}

pub struct Owner {
    bus: Bus,
    pub manners: Mutex<Manners>,
    log: Mutex<Vec<String>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    conn: Option<ConnId>,
    jid: Option<Jid>,
    received: u64,
    sent: u64,
    acked: u64,
    facts: Option<bus::envelope::TlsFacts>,
    to_resume: Option<Resumed>,
}

impl Owner {
    pub fn new(bus: Bus) -> Owner {
        let manners = Manners { confirms: true, binds: true, echoes: false };
        Owner { bus, manners: Mutex::new(manners), log: Mutex::default(), state: Mutex::default() }
    }

    /// What it was told so far, a line each.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn was_told(&self, what: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line == what)
    }

    pub fn received(&self) -> u64 {
        self.state.lock().unwrap().received
    }

    pub fn acked(&self) -> u64 {
        self.state.lock().unwrap().acked
    }

    /// What the last connection that logged in said of its TLS.
    pub fn tls_facts(&self) -> Option<bus::envelope::TlsFacts> {
        self.state.lock().unwrap().facts.clone()
    }

    /// The session that can be resumed.
    pub fn keep(&self, resumed: Resumed) {
        self.state.lock().unwrap().to_resume = Some(resumed);
    }

    /// Sends a stanza to the client that bound last.
    pub fn deliver(&self, xml: &str) {
        let (conn, seq) = {
            let mut state = self.state.lock().unwrap();
            state.sent += 1;
            (state.conn.unwrap(), state.sent)
        };
        self.say(conn, GatewayBody::Deliver { seq, xml: Bytes::from(xml.to_owned()) });
    }

    /// Says something to the client that bound last.
    pub fn answer(&self, body: GatewayBody) {
        let conn = self.state.lock().unwrap().conn.unwrap();
        self.say(conn, body);
    }

    pub fn bind_now(&self) {
        let jid = self.state.lock().unwrap().jid.clone().unwrap();
        self.answer(GatewayBody::Bound(Ok(Bound { session: SESSION, jid })));
    }

    fn say(&self, conn: ConnId, body: GatewayBody) {
        self.bus.to_gateway(ToGateway { conn, body });
    }

    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    fn judge(&self, account: &Jid, step: &SaslStep) -> Option<SaslOutcome> {
        let SaslStep::Start { mechanism, initial } = step else {
            self.note(format!("sasl {step:?}"));
            return None;
        };
        self.note(format!("sasl {account} {mechanism}"));
        let expected = format!("\0{}\0{PASSWORD}", account.local().unwrap());
        Some(match initial.as_ref().is_some_and(|initial| initial.0 == expected.as_bytes()) {
            true => SaslOutcome::Success { account: account.clone(), data: None },
            false => SaslOutcome::Failure(FailureCondition::NotAuthorized.into()),
        })
    }

    fn session(&self, conn: ConnId, body: SessionBody) {
        let manners = *self.manners.lock().unwrap();
        match body {
            SessionBody::Stanza { seq, stanza } => {
                {
                    let mut state = self.state.lock().unwrap();
                    assert_eq!(seq, state.received + 1, "stanzas come in order");
                    state.received = seq;
                }
                if manners.confirms {
                    self.say(conn, GatewayBody::Confirm { seq });
                }
                if manners.echoes {
                    self.deliver(std::str::from_utf8(stanza.xml()).unwrap());
                }
            }
            SessionBody::Refused { seq, error, .. } => {
                self.state.lock().unwrap().received = seq;
                self.note(format!("refused {seq} {}", error.condition));
            }
            SessionBody::Acked { seq } => self.state.lock().unwrap().acked = seq,
            SessionBody::Manage { resume, .. } => {
                self.note("manage".to_owned());
                self.say(conn, GatewayBody::Managed { resume_seconds: resume.then_some(60) });
            }
            SessionBody::Detached => self.note("detached".to_owned()),
            SessionBody::Closed => self.note("closed".to_owned()),
        }
    }
}

impl OwnerPort for Owner {
    fn receive(&self, envelope: ToOwner) {
        let account = envelope.account;
        match envelope.body {
            OwnerBody::Sasl { conn, origin, step } => {
                self.state.lock().unwrap().facts = origin.tls.clone();
                if let Some(outcome) = self.judge(&account, &step) {
                    self.say(conn, GatewayBody::Sasl(outcome));
                }
            }
            OwnerBody::Bind { conn, resource, .. } => {
                let jid = account.with_resource(resource.as_deref().unwrap_or("r")).unwrap();
                self.note(format!("bind {jid}"));
                {
                    let mut state = self.state.lock().unwrap();
                    let facts = state.facts.clone();
                    *state = State { conn: Some(conn), jid: Some(jid), facts, ..State::default() };
                }
                if self.manners.lock().unwrap().binds {
                    self.bind_now();
                }
            }
            OwnerBody::Resume { conn, handled, .. } => {
                self.note(format!("resume {handled}"));
                let kept = self.state.lock().unwrap().to_resume.take();
                if let Some(resumed) = &kept {
                    let mut state = self.state.lock().unwrap();
                    state.conn = Some(conn);
                    state.received = resumed.handled;
                    state.sent = resumed.acked + resumed.unacked.len() as u64;
                }
                let refused = ResumeRefused { error: StanzaCondition::ItemNotFound.into(), handled: None };
                self.say(conn, GatewayBody::Resumed(kept.ok_or(refused)));
            }
            OwnerBody::Session { conn, session, body } => {
                assert_eq!(session, SESSION);
                self.session(conn, body);
            }
            other => self.note(format!("{other:?}")),
        }
    }
}
