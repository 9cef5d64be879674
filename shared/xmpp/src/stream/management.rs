//! XEP-0198: Stream Management, its counters and elements.
//!
//! The two sequences of a session are XEP-0198's counters; they begin before `<enable/>`, so what
//! goes over the wire is a number minus the one at which the count began, modulo 2^32.

use super::output::Output;
use super::short;
use crate::error::{StanzaCondition, StreamCondition, StreamError};
use crate::escape::escape_attr;
use crate::{Element, ns};

/// The answer to what comes too early or twice (XEP-0198 §3).
pub(super) const UNEXPECTED: &str = "<failed xmlns='urn:xmpp:sm:3'>\
     <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// Whether the client acknowledges.
pub(super) enum Management {
    /// It did not ask to: what is written counts as received.
    Off,
    /// It asked; the owner has not answered yet.
    Asked {
        inbound_base: u64,
    },
    On(Counters),
}

/// The counters of a managed stream.
pub(super) struct Counters {
    inbound_base: u64,
    pub(super) outbound_base: u64,
    /// The last inbound number that is known to be confirmed.
    confirmed: u64,
    /// An `<r/>` of the client is answered once this number is confirmed.
    asked: Option<u64>,
    /// An `<r/>` of ours has not been answered.
    requested: bool,
}

/// What an `<enable/>` asks for.
pub(super) struct Enable {
    pub(super) resume: bool,
    pub(super) max_seconds: Option<u32>,
}

impl Enable {
    pub(super) fn read(element: &Element) -> Enable {
        Enable {
            resume: matches!(element.attr("resume"), Some("true" | "1")), // xs:boolean
            max_seconds: element.attr("max").and_then(|max| max.parse().ok()),
        }
    }
}

impl Counters {
    pub(super) fn new(inbound_base: u64, outbound_base: u64, confirmed: u64) -> Counters {
        Counters { inbound_base, outbound_base, confirmed, asked: None, requested: false }
    }

    /// The client asks how far we are. It is told only what is confirmed (I1); since confirmation is
    /// under way for what came just before, the answer waits for it. Gives the number to wait for.
    ///
    /// Each `<r/>` gets one `<a/>`: an earlier one that still waits is answered with what is known.
    pub(super) fn ask(&mut self, received: u64, out: &mut Output) -> u64 {
        if self.asked.replace(received).is_some() {
            self.answer(out);
        }
        received
    }

    /// `confirmed` is, or waiting for more took too long.
    pub(super) fn confirmed(&mut self, confirmed: u64, out: &mut Output) {
        self.confirmed = self.confirmed.max(confirmed);
        if self.asked.take().is_some() {
            self.answer(out);
        }
    }

    fn answer(&self, out: &mut Output) {
        let handled = self.confirmed.saturating_sub(self.inbound_base) as u32;
        out.write(|text| {
            text.push_str("<a xmlns='urn:xmpp:sm:3' h='");
            text.push_str(&handled.to_string());
            text.push_str("'/>");
        });
    }

    /// Asks the client how far it is, unless that was asked already.
    pub(super) fn request(&mut self, out: &mut Output) {
        if !std::mem::replace(&mut self.requested, true) {
            out.push(REQUEST);
        }
    }

    /// Asks even if that was asked already: the client is silent.
    pub(super) fn probe(&mut self, out: &mut Output) {
        self.requested = true;
        out.push(REQUEST);
    }

    /// The client has handled stanzas up to `h`. Gives the outbound number that is.
    pub(super) fn acknowledge(&mut self, h: u32, acked: u64, delivered: u64) -> Result<u64, TooHigh> {
        self.requested = false;
        // What was written before the count began is not in `h`.
        let from = acked.max(self.outbound_base);
        let ahead = h.wrapping_sub((from - self.outbound_base) as u32);
        match u64::from(ahead) {
            // Behind: said before, and outrun by a later one.
            ahead if ahead >= 1 << 31 => Ok(acked),
            ahead if ahead > delivered.saturating_sub(from) => {
                Err(TooHigh { handled: h, sent: delivered.saturating_sub(self.outbound_base) as u32 })
            }
            ahead => Ok(from + ahead),
        }
    }
}

/// The client acknowledges what it was never sent (XEP-0198 §6).
pub(super) struct TooHigh {
    handled: u32,
    sent: u32,
}

impl TooHigh {
    /// Appends the stream error.
    pub(super) fn write(&self, out: &mut Output) {
        let TooHigh { handled, sent } = self;
        let text = format!("{handled} stanzas were acknowledged, but only {sent} were sent");
        let extra =
            format!("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{handled}' send-count='{sent}'/>");
        out.stream_error(&StreamError::new(StreamCondition::UndefinedCondition, text), Some(&extra));
    }
}

/// Appends `<enabled/>`.
pub(super) fn enabled(into: &mut String, id: &str, resume_seconds: Option<u32>) {
    into.push_str("<enabled xmlns='urn:xmpp:sm:3' id='");
    escape_attr(id, into);
    if let Some(seconds) = resume_seconds {
        into.push_str("' resume='true' max='");
        into.push_str(&seconds.to_string());
    }
    into.push_str("'/>");
}

/// Appends `<resumed/>`.
pub(super) fn resumed(into: &mut String, id: &str, handled: u32) {
    into.push_str("<resumed xmlns='urn:xmpp:sm:3' previd='");
    escape_attr(id, into);
    into.push_str("' h='");
    into.push_str(&handled.to_string());
    into.push_str("'/>");
}

/// Appends `<failed/>`.
pub(super) fn failed(into: &mut String, condition: StanzaCondition, handled: Option<u64>) {
    into.push_str("<failed xmlns='urn:xmpp:sm:3'");
    if let Some(handled) = handled {
        into.push_str(" h='");
        into.push_str(&(handled as u32).to_string());
        into.push('\'');
    }
    into.push_str("><");
    into.push_str(condition.as_str());
    into.push_str(" xmlns='");
    into.push_str(ns::STANZA_ERRORS);
    into.push_str("'/></failed>");
}

/// The `h` of an `<a/>`.
pub(super) fn h(element: &Element) -> Result<u32, StreamError> {
    let text = element.attr("h").unwrap_or_default();
    text.parse().map_err(|_| {
        let text = format!("'{}' is no number of stanzas", short(text));
        StreamError::new(StreamCondition::BadFormat, text)
    })
}
