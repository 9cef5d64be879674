//! From the socket through the reader into the stream.

use super::scratch::Work;
use super::{Connection, Phase};
use crate::gateway::random_id;
use runtime::metrics;
use std::task::{Context, Poll};
use xmpp::StreamError;
use xmpp::error::StreamCondition;
use xmpp::framing::Frame;
use xmpp::stream::{Channel, Input, Stream};

impl Connection {
    /// Takes what the socket has, if it may. Returns whether there was anything.
    pub(super) fn take_input(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], work: &mut Work) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        if self.transport.is_handshake() {
            return self.shake_hands(cx, work);
        }
        // A client that does not read what it is told is not listened to either.
        if self.is_paused() || self.is_stalled() {
            return false;
        }
        if !self.leftover.is_empty() {
            let waiting = std::mem::take(&mut self.leftover);
            self.feed(&waiting, work);
            return true;
        }
        match self.transport.poll_read(cx, buffer) {
            Poll::Pending => false,
            Poll::Ready(Ok(0) | Err(_)) => {
                self.gone(work);
                true
            }
            Poll::Ready(Ok(read)) => {
                work.bytes_in += read as u64;
                self.deadlines.heard();
                if self.may_send(read) {
                    self.feed(&buffer[..read], work);
                } else {
                    let text = "too much was sent before the login";
                    self.fail(StreamError::new(StreamCondition::PolicyViolation, text), work);
                }
                true
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.stream.is_waiting() || self.window.is_full()
    }

    /// Whether a client that has not logged in may send so much more.
    fn may_send(&mut self, bytes: usize) -> bool {
        let Some(negotiation) = self.negotiation.as_mut().filter(|n| n.account.is_none()) else {
            return true;
        };
        negotiation.bytes += bytes;
        negotiation.bytes <= self.gateway.settings.unauthenticated_bytes_max
    }

    fn shake_hands(&mut self, cx: &mut Context<'_>, work: &mut Work) -> bool {
        match self.transport.poll_handshake(cx) {
            Poll::Pending => false,
            Poll::Ready(Err(error)) => {
                metrics::GATEWAY_TLS_FAILURES_TOTAL.increment(1);
                tracing::debug!(%error, "a TLS handshake failed");
                self.gone(work);
                true
            }
            Poll::Ready(Ok(facts)) => {
                metrics::GATEWAY_TLS_HANDSHAKES_TOTAL.increment(1);
                let channel =
                    Channel::Tls { exporter: facts.exporter.is_some(), end_point: facts.end_point.is_some() };
                if let Some(negotiation) = &mut self.negotiation {
                    negotiation.secured(facts);
                }
                self.step(Input::Secured { channel, id: random_id() }, work);
                true
            }
        }
    }

    /// Gives bytes to the stream, frame by frame, as far as it takes them; the rest is kept.
    fn feed(&mut self, mut input: &[u8], work: &mut Work) {
        while self.phase == Phase::Open {
            if self.is_paused() {
                if self.window.is_full() && !input.is_empty() {
                    metrics::GATEWAY_WINDOW_STALLS_TOTAL.increment(1);
                }
                self.leftover = input.to_vec();
                return;
            }
            let stream = std::mem::replace(&mut self.stream, Stream::Closed);
            let awaited = stream.awaits_session();
            let out = &mut work.out;
            self.stream = match self.reader.next(input) {
                Err(error) => stream.handle(Input::Fail(error), out),
                Ok((_, None)) => {
                    self.stream = stream;
                    return;
                }
                Ok((used, Some(frame))) => {
                    input = &input[used..];
                    match frame {
                        Frame::Stanza(stanza) => {
                            work.stanzas_in += 1;
                            stream.handle(Input::Stanza(&stanza), out)
                        }
                        Frame::Nonza(element) => stream
                            .handle(Input::Nonza { element: &element, pipelined: !input.is_empty() }, out),
                        Frame::Header(header) => stream.handle(Input::Header(&header), out),
                        Frame::Close => stream.handle(Input::Close, out),
                    }
                }
            };
            self.stepped(awaited, work);
        }
    }
}
