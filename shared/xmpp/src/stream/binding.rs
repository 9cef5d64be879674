//! The client has logged in and has to bind a resource (RFC 6120 §7) or resume a session
//! (XEP-0198 §5).

use super::output::{Command, Output};
use super::{Bound, Input, ResumeRefused, Stream, before_login, closed_by_peer, management, unsupported};
use crate::error::{StanzaCondition, StanzaError, StreamError};
use crate::stanza::{IqType, Kind, RawStanza};
use crate::{Element, Jid, Stanza, ns};
use std::sync::Arc;

/// A stream whose client has logged in and has no resource.
pub struct Binding {
    lang: Option<Arc<str>>,
    account: Jid,
    progress: Progress,
}

/// What the owner was asked.
enum Progress {
    Idle,
    /// The bind request, to be answered.
    Binding(Stanza),
    Resuming,
}

impl Binding {
    pub(super) fn new(lang: Option<Arc<str>>, account: Jid) -> Binding {
        Binding { lang, account, progress: Progress::Idle }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.progress, Progress::Idle)
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        input: Input<'_>,
        out: &mut Output,
    ) -> Result<Stream, StreamError> {
        match input {
            Input::Stanza(raw) => self.bind(raw, out)?,
            Input::Nonza { element, .. } => self.nonza(element, out)?,
            Input::Bound(result) => return Ok(self.bound(result, out)),
            Input::Resumed(Ok(resumed)) => {
                return Ok(Stream::Bound(Box::new(Bound::resumed(self.lang, *resumed, out))));
            }
            Input::Resumed(Err(refused)) => {
                self.progress = Progress::Idle;
                // XEP-0198 §5: the client may still bind.
                refuse(&refused, out);
            }
            Input::Close => return Ok(closed_by_peer(out)),
            Input::Gone => {
                out.command(Command::Close(None));
                return Ok(Stream::Closed);
            }
            Input::End(error) => return Err(error),
            _ => {}
        }
        Ok(Stream::Binding(self))
    }

    /// RFC 6120 §7.6, §7.7.
    fn bind(&mut self, raw: &RawStanza<'_>, out: &mut Output) -> Result<(), StreamError> {
        let Ok(stanza) = raw.stamp(&self.account) else {
            return Err(before_login());
        };
        let request =
            (stanza.kind() == Kind::Iq(IqType::Set)).then(|| stanza.child("bind", ns::BIND)).flatten();
        let Some(request) = request else {
            return Err(before_login()); // §7.1
        };
        let resource = request.to_element().child("resource", ns::BIND).map(Element::text);
        let resource = resource.filter(|resource| !resource.is_empty());
        if let Some(resource) = &resource
            && let Err(why) = self.account.with_resource(resource)
        {
            // §7.7.2.1
            let error = StanzaError::new(StanzaCondition::BadRequest, why.to_string());
            fail(out, &stanza, &error);
            return Ok(());
        }
        out.command(Command::Bind { resource });
        self.progress = Progress::Binding(stanza);
        Ok(())
    }

    fn bound(mut self: Box<Self>, result: Result<Jid, StanzaError>, out: &mut Output) -> Stream {
        let Progress::Binding(request) = std::mem::replace(&mut self.progress, Progress::Idle) else {
            return Stream::Binding(self);
        };
        match result {
            Ok(jid) => {
                let mut inner = String::from("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>");
                crate::escape::escape_text(jid.as_str(), &mut inner);
                inner.push_str("</jid></bind>");
                // Nobody but the server speaks here, and only to this client: no addresses.
                let reply = Stanza::new(Kind::Iq(IqType::Result), None, None, request.id(), &inner);
                out.bytes.extend_from_slice(reply.xml());
                Stream::Bound(Box::new(Bound::new(self.lang, jid)))
            }
            Err(error) => {
                fail(out, &request, &error);
                Stream::Binding(self)
            }
        }
    }

    fn nonza(&mut self, element: &Element, out: &mut Output) -> Result<(), StreamError> {
        match (element.ns(), element.name()) {
            (ns::SM, "resume") => {
                let handled = element.attr("h").and_then(|h| h.parse::<u32>().ok());
                let (Some(previd), Some(handled)) = (element.attr("previd"), handled) else {
                    out.write(|text| management::failed(text, StanzaCondition::BadRequest, None));
                    return Ok(());
                };
                out.command(Command::Resume { previd: previd.to_owned(), handled });
                self.progress = Progress::Resuming;
                Ok(())
            }
            (ns::SM, "enable") => {
                out.push(management::UNEXPECTED); // XEP-0198 §3: after binding
                Ok(())
            }
            _ => Err(unsupported(element)),
        }
    }
}

fn refuse(refused: &ResumeRefused, out: &mut Output) {
    out.write(|text| management::failed(text, refused.error.condition, refused.handled));
}

fn fail(out: &mut Output, request: &Stanza, error: &StanzaError) {
    let id = request.id();
    let reply = Stanza::new(Kind::Iq(IqType::Error), None, None, id, &error.to_xml());
    out.bytes.extend_from_slice(reply.xml());
}
