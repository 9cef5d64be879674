//! The client has to log in (RFC 6120 §6), and may turn to TLS (§5) or register (XEP-0077) before.

use super::output::{Command, Output, SaslStep, Secret};
use super::{
    Common, Input, Opening, Securing, Stream, before_login, closed_by_peer, registering, unsupported,
};
use crate::error::{StreamCondition, StreamError};
use crate::sasl::{self, Exchange, Failure, FailureCondition, Mechanism, Next};
use crate::{Element, Jid, ns};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;

/// A stream whose client has not logged in.
pub struct Authenticating {
    common: Common,
    domain: Arc<str>,
    progress: Progress,
}

/// What is under way.
enum Progress {
    /// Nothing.
    Idle,
    /// `<auth/>` came without the first message: an empty challenge asks for it (RFC 4422 §3).
    Mechanism(Mechanism),
    /// The owner judges.
    Judged { account: Jid },
    /// The client was challenged.
    Challenged { account: Jid },
    /// The owner makes an account; the IQ's id.
    Registering { id: String },
}

impl Authenticating {
    pub(super) fn new(common: Common, domain: Arc<str>) -> Authenticating {
        Authenticating { common, domain, progress: Progress::Idle }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.progress, Progress::Judged { .. } | Progress::Registering { .. })
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        input: Input<'_>,
        out: &mut Output,
    ) -> Result<Stream, StreamError> {
        match input {
            Input::Nonza { element, pipelined } if element.ns() == ns::TLS => {
                return self.secure(element, pipelined, out);
            }
            Input::Nonza { element, .. } => self.nonza(element, out)?,
            Input::Stanza(raw) => {
                let domain = super::domain_jid(&self.domain)?;
                let open =
                    self.common.settings.registration && self.common.settings.admits(self.common.channel);
                if !open {
                    return Err(before_login());
                }
                if let Some((id, account, password)) = registering::request(raw, &domain, out)? {
                    out.command(Command::Register { account, password });
                    self.progress = Progress::Registering { id };
                }
            }
            Input::Close => {
                self.abandon(out);
                return Ok(closed_by_peer(out));
            }
            Input::Gone => {
                self.abandon(out);
                out.command(Command::Close(None));
                return Ok(Stream::Closed);
            }
            Input::End(error) => return Err(error),
            Input::Success { account, data, id } => return Ok(self.succeed(account, data, id, out)),
            answer => self.answer(answer, out)?,
        }
        Ok(Stream::Authenticating(self))
    }

    /// RFC 6120 §5.4.2.
    fn secure(self, element: &Element, pipelined: bool, out: &mut Output) -> Result<Stream, StreamError> {
        if element.name() != "starttls" {
            return Err(unsupported(element));
        }
        // Bytes behind `<starttls/>` may be somebody else's, put there to be taken for the client's
        // once TLS is up: they are not passed over (§5.3.1, CVE-2011-0411).
        if pipelined || self.common.channel.is_tls() {
            out.push("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); // §5.4.2.2
            return Ok(closed_by_peer(out));
        }
        out.push("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        out.command(Command::StartTls);
        out.command(Command::ResetReader);
        Ok(Stream::Securing(Box::new(Securing::new(self.common))))
    }

    fn nonza(&mut self, element: &Element, out: &mut Output) -> Result<(), StreamError> {
        match (element.ns(), element.name()) {
            (ns::SASL, "auth") => self.auth(element, out),
            (ns::SASL, "response") => self.response(element, out),
            (ns::SASL, "abort") => {
                self.abandon(out);
                self.fail(&FailureCondition::Aborted.into(), out) // §6.4.4
            }
            (ns::SM, "enable" | "resume") => {
                out.push(super::management::UNEXPECTED); // XEP-0198 §3
                Ok(())
            }
            _ => Err(unsupported(element)),
        }
    }

    /// RFC 6120 §6.4.2.
    fn auth(&mut self, element: &Element, out: &mut Output) -> Result<(), StreamError> {
        // A client that begins anew gives up what it began before.
        self.abandon(out);
        if !self.common.settings.admits(self.common.channel) {
            return self.fail(&FailureCondition::EncryptionRequired.into(), out);
        }
        let name = element.attr("mechanism").unwrap_or_default();
        let mechanism = match self.common.settings.policy(self.common.channel).check(name) {
            Ok(mechanism) => mechanism,
            Err(failure) => return self.fail(&failure, out),
        };
        let text = element.text();
        if text.is_empty() {
            out.push("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
            self.progress = Progress::Mechanism(mechanism);
            return Ok(());
        }
        match decode(&text) {
            Ok(initial) => self.start(mechanism, initial, out),
            Err(failure) => self.fail(&failure, out),
        }
    }

    /// RFC 6120 §6.4.3.
    fn response(&mut self, element: &Element, out: &mut Output) -> Result<(), StreamError> {
        let data = match decode(&element.text()) {
            Ok(data) => data,
            Err(failure) => {
                self.abandon(out);
                return self.fail(&failure, out);
            }
        };
        match std::mem::replace(&mut self.progress, Progress::Idle) {
            Progress::Mechanism(mechanism) => self.start(mechanism, data, out),
            Progress::Challenged { account } => {
                let step = SaslStep::Response(Secret(data));
                out.command(Command::Sasl { account: account.clone(), step });
                self.progress = Progress::Judged { account };
                Ok(())
            }
            other => {
                self.progress = other;
                let text = "nothing was asked";
                self.fail(&Failure::new(FailureCondition::MalformedRequest, text), out)
            }
        }
    }

    /// Finds the account that the first message names, whose owner goes on with it.
    fn start(&mut self, mechanism: Mechanism, initial: Vec<u8>, out: &mut Output) -> Result<(), StreamError> {
        let account = match Exchange::start(mechanism, Some(&initial)) {
            Ok(Next::Lookup(lookup)) => sasl::account(lookup.username(), &self.domain),
            Ok(_) => Err(FailureCondition::MalformedRequest.into()),
            Err(failure) => Err(failure),
        };
        let account = match account {
            Ok(account) => account,
            Err(failure) => return self.fail(&failure, out),
        };
        let step = SaslStep::Start { mechanism: mechanism.as_str(), initial: Secret(initial) };
        out.command(Command::Sasl { account: account.clone(), step });
        self.progress = Progress::Judged { account };
        Ok(())
    }

    /// The owner's answers but success. One that nobody waits for is dropped.
    fn answer(&mut self, input: Input<'_>, out: &mut Output) -> Result<(), StreamError> {
        match (input, std::mem::replace(&mut self.progress, Progress::Idle)) {
            (Input::Challenge(data), Progress::Judged { account }) => {
                out.write(|text| element_with(text, "challenge", &data));
                self.progress = Progress::Challenged { account };
                Ok(())
            }
            (Input::Failure(failure), Progress::Judged { .. }) => self.fail(&failure, out),
            (Input::Registered(result), Progress::Registering { id }) => {
                registering::answer(out, &id, &self.domain, &result);
                match result {
                    Ok(()) => Ok(()),
                    Err(_) => self.count_failure(),
                }
            }
            (_, progress) => {
                self.progress = progress;
                Ok(())
            }
        }
    }

    /// RFC 6120 §6.4.6: the client opens a new stream.
    fn succeed(self: Box<Self>, account: Jid, data: Option<Vec<u8>>, id: String, out: &mut Output) -> Stream {
        if !matches!(self.progress, Progress::Judged { .. }) {
            return Stream::Authenticating(self);
        }
        match data {
            None => out.push("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            Some(data) => out.write(|text| element_with(text, "success", &data)),
        }
        out.command(Command::Authenticated { account: account.clone() });
        out.command(Command::ResetReader);
        Stream::Opening(Box::new(Opening::new(self.common, Some(account), id)))
    }

    /// RFC 6120 §6.4.5.
    fn fail(&mut self, failure: &Failure, out: &mut Output) -> Result<(), StreamError> {
        out.write(|text| {
            text.push_str("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><");
            text.push_str(failure.condition.as_str());
            text.push_str("/>");
            if let Some(reason) = &failure.text {
                text.push_str("<text xml:lang='en'>");
                crate::escape::escape_text(reason, text);
                text.push_str("</text>");
            }
            text.push_str("</failure>");
        });
        self.count_failure()
    }

    /// RFC 6120 §6.4.2: the number of attempts is limited.
    fn count_failure(&mut self) -> Result<(), StreamError> {
        self.progress = Progress::Idle;
        self.common.failures += 1;
        match self.common.failures < self.common.settings.attempts_max {
            true => Ok(()),
            false => Err(StreamError::new(StreamCondition::PolicyViolation, "too many attempts to log in")),
        }
    }

    /// An exchange ends in the middle: the owner may forget it.
    fn abandon(&mut self, out: &mut Output) {
        let progress = std::mem::replace(&mut self.progress, Progress::Idle);
        if let Progress::Challenged { account } | Progress::Judged { account } = progress {
            out.command(Command::Sasl { account, step: SaslStep::Abort });
        }
    }
}

/// RFC 6120 §6.4.2: base64 with padding and nothing else; `=` stands for no bytes.
fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    match text {
        "=" | "" => Ok(Vec::new()),
        text => BASE64.decode(text).map_err(|_| FailureCondition::IncorrectEncoding.into()), // §6.5.5
    }
}

fn element_with(into: &mut String, name: &str, data: &[u8]) {
    into.push('<');
    into.push_str(name);
    into.push_str(" xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    match data.is_empty() {
        true => into.push('='),
        false => BASE64.encode_string(data, into),
    }
    into.push_str("</");
    into.push_str(name);
    into.push('>');
}
