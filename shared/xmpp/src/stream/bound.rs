//! A resource is bound: stanzas flow, numbered both ways.

use super::management::{self, Counters, Enable, Management};
use super::output::{Command, Leave, Output};
use super::{Input, Resumed, Stream, closed_by_peer, unsupported};
use crate::error::{StreamCondition, StreamError};
use crate::stanza::RawStanza;
use crate::{Element, Jid, ns};
use std::sync::Arc;

/// A stream that carries a session.
pub struct Bound {
    jid: Jid,
    /// The stream's language, for stanzas that do not say theirs (RFC 6120 §8.1.5).
    lang: Option<Arc<str>>,
    /// Last number of the inbound sequence.
    received: u64,
    /// Last outbound number that was written.
    delivered: u64,
    /// Last outbound number the client has.
    acked: u64,
    management: Management,
}

impl Bound {
    pub(super) fn new(lang: Option<Arc<str>>, jid: Jid) -> Bound {
        Bound { jid, lang, received: 0, delivered: 0, acked: 0, management: Management::Off }
    }

    /// A session comes back: what its client lacks is sent again (XEP-0198 §5).
    pub(super) fn resumed(lang: Option<Arc<str>>, session: Resumed, out: &mut Output) -> Bound {
        let handled = session.handled.saturating_sub(session.inbound_base) as u32;
        out.write(|text| management::resumed(text, &session.id, handled));
        let mut counters = Counters::new(session.inbound_base, session.outbound_base, session.handled);
        for xml in &session.unacked {
            out.bytes.extend_from_slice(xml);
        }
        if !session.unacked.is_empty() {
            counters.request(out);
        }
        Bound {
            jid: session.jid,
            lang,
            received: session.handled,
            delivered: session.acked + session.unacked.len() as u64,
            acked: session.acked,
            management: Management::On(counters),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        // Stanzas behind `<enable/>` are counted, `<r/>` behind it is answered after `<enabled/>`.
        matches!(self.management, Management::Asked { .. })
    }

    pub(super) fn is_managed(&self) -> bool {
        matches!(self.management, Management::On(_))
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        input: Input<'_>,
        out: &mut Output,
    ) -> Result<Stream, StreamError> {
        match input {
            Input::Stanza(raw) => self.stanza(raw, out)?,
            Input::Deliver { seq, xml } => self.deliver(seq, xml, out)?,
            Input::Writing => {
                if let Management::On(counters) = &mut self.management
                    && self.delivered > self.acked.max(counters.outbound_base)
                {
                    counters.request(out);
                }
            }
            Input::Written => self.written(out),
            Input::Confirmed(seq) => {
                if let Management::On(counters) = &mut self.management {
                    counters.confirmed(seq, out);
                }
            }
            Input::Nonza { element, .. } if element.ns() == ns::SM => return self.manage(element, out),
            Input::Nonza { element, .. } => return Err(unsupported(element)),
            Input::Managed { id, resume_seconds } => self.managed(&id, resume_seconds, out),
            Input::Idle => match &mut self.management {
                Management::On(counters) => counters.probe(out),
                _ => out.push(" "), // RFC 6120 §4.6.1
            },
            Input::Close => {
                out.command(Command::Leave(Leave::Closed));
                return Ok(closed_by_peer(out));
            }
            Input::Gone => {
                out.command(Command::Leave(Leave::Detached));
                out.command(Command::Close(None));
                return Ok(Stream::Closed);
            }
            Input::End(error) => {
                out.stream_error(&error, None);
                out.command(Command::Close(Some(error.condition)));
                return Ok(Stream::Closed);
            }
            // Late answers of the owner.
            _ => {}
        }
        Ok(Stream::Bound(self))
    }

    fn stanza(&mut self, raw: &RawStanza<'_>, out: &mut Output) -> Result<(), StreamError> {
        if let Some(from) = raw.from_attr()
            && !self.is_own(&from)
        {
            let text = "'from' is not the address that is bound";
            return Err(StreamError::new(StreamCondition::InvalidFrom, text)); // RFC 6120 §8.1.2.1
        }
        self.received += 1;
        let seq = self.received;
        out.command(match raw.stamp_in(&self.jid, self.lang.as_deref()) {
            Ok(stanza) => Command::Route { seq, stanza },
            Err((stanza, error)) => Command::Refuse { seq, stanza, error: Box::new(error) },
        });
        Ok(())
    }

    /// Whether `from` is the full or bare JID of this stream.
    fn is_own(&self, from: &str) -> bool {
        let own = |from: &str| from == self.jid.as_str() || from == self.jid.bare_str();
        own(from) || Jid::parse(from).is_ok_and(|from| own(from.as_str()))
    }

    fn deliver(&mut self, seq: u64, xml: &[u8], out: &mut Output) -> Result<(), StreamError> {
        if seq != self.delivered + 1 {
            // Going on would shift XEP-0198's counts. A resumption sets them right.
            return Err(StreamError::new(StreamCondition::InternalServerError, "a stanza was lost"));
        }
        self.delivered = seq;
        out.bytes.extend_from_slice(xml);
        Ok(())
    }

    /// All that was delivered has been handed to the transport: that is all there is to know of it
    /// where the client does not acknowledge.
    fn written(&mut self, out: &mut Output) {
        let seq = match &self.management {
            Management::On(counters) => counters.outbound_base,
            Management::Off | Management::Asked { .. } => self.delivered,
        };
        self.ack(seq, out);
    }

    fn ack(&mut self, seq: u64, out: &mut Output) {
        if seq > self.acked {
            self.acked = seq;
            out.command(Command::Acked { seq });
        }
    }

    /// XEP-0198 §3, §4.
    fn manage(mut self: Box<Self>, element: &Element, out: &mut Output) -> Result<Stream, StreamError> {
        match (element.name(), &mut self.management) {
            ("r", Management::On(counters)) => {
                let seq = counters.ask(self.received, out);
                out.command(Command::AwaitConfirm { seq });
            }
            ("a", Management::On(counters)) => {
                let before = self.acked;
                match counters.acknowledge(management::h(element)?, before, self.delivered) {
                    Ok(seq) => {
                        // More was sent since we asked; a client that makes no progress is asked
                        // again only when there is more.
                        if seq > before && seq < self.delivered {
                            counters.request(out);
                        }
                        self.ack(seq, out);
                    }
                    Err(too_high) => {
                        too_high.write(out);
                        out.command(Command::Leave(Leave::Closed));
                        out.command(Command::Close(Some(StreamCondition::UndefinedCondition)));
                        return Ok(Stream::Closed);
                    }
                }
            }
            ("enable", Management::Off) => {
                let Enable { resume, max_seconds } = Enable::read(element);
                out.command(Command::Manage { resume, max_seconds });
                self.management = Management::Asked { inbound_base: self.received };
            }
            ("enable", _) => {
                out.push(management::UNEXPECTED);
                let text = "stream management is enabled already";
                return Err(StreamError::new(StreamCondition::PolicyViolation, text)); // §3
            }
            // Requests before they are agreed on are an error that does no harm.
            ("r" | "a" | "resume", _) => out.push(management::UNEXPECTED),
            _ => return Err(unsupported(element)),
        }
        Ok(Stream::Bound(self))
    }

    /// Stream management begins: the counts start at what went before.
    fn managed(&mut self, id: &str, resume_seconds: Option<u32>, out: &mut Output) {
        if let Management::Asked { inbound_base } = self.management {
            self.management = Management::On(Counters::new(inbound_base, self.delivered, inbound_base));
            out.write(|text| management::enabled(text, id, resume_seconds));
        }
    }
}
