//! From the stream to the socket, and what follows once everything is sent.

use super::scratch::Work;
use super::{Connection, Phase};
use crate::transport::{Handshake, Transport};
use std::io;
use std::task::{Context, Poll};
use xmpp::stream::Input;

/// Bytes of a peer that are read and thrown away after our direction is closed, so that closing
/// the socket does not destroy what the peer has not read yet.
const LINGER_BYTES_MAX: usize = 256 * 1024;

impl Connection {
    /// Sends what there is, and what was kept before, and goes on to what has to wait for that.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, work: &mut Work) {
        if !self.unsent.is_empty() || self.flushing || !work.out.bytes.is_empty() {
            if !work.out.bytes.is_empty() {
                self.step(Input::Writing, work);
            }
            match self.write_all(cx, work) {
                Poll::Ready(Ok(())) => {
                    self.deadlines.written();
                    self.step(Input::Written, work);
                }
                Poll::Ready(Err(_)) => self.gone(work),
                Poll::Pending => {
                    self.deadlines.write_in(self.gateway.settings.write_timeout);
                    return;
                }
            }
        }
        match self.phase {
            Phase::Open | Phase::Orphaned | Phase::Gone => {}
            Phase::TurningToTls => self.turn_to_tls(cx),
            Phase::Closing => self.shut_down(cx),
            Phase::Lingering => self.linger(cx),
        }
    }

    /// Writes everything; what the socket does not take is kept.
    fn write_all(&mut self, cx: &mut Context<'_>, work: &mut Work) -> Poll<io::Result<()>> {
        let out = &mut work.out.bytes;
        if matches!(self.transport, Transport::Handshake(_) | Transport::Gone) {
            out.clear(); // Nobody can be told.
            return Poll::Ready(Ok(()));
        }
        take_kept(&mut self.unsent, out);
        // From here on `unsent` is empty and `out` has everything.
        let mut sent = 0;
        let mut result = Poll::Ready(Ok(()));
        while sent < out.len() {
            match self.transport.poll_write(cx, &out[sent..]) {
                Poll::Ready(Ok(0)) => {
                    result = Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    break;
                }
                Poll::Ready(Ok(written)) => sent += written,
                Poll::Ready(Err(error)) => {
                    result = Poll::Ready(Err(error));
                    break;
                }
                Poll::Pending => {
                    result = Poll::Pending;
                    break;
                }
            }
        }
        work.bytes_out += sent as u64;
        if sent > 0 {
            self.deadlines.written();
        }
        if result.is_pending() {
            self.unsent = out[sent..].to_vec();
        }
        out.clear();
        let flushed = self.transport.poll_flush(cx);
        self.flushing = flushed.is_pending();
        match (result, flushed) {
            (Poll::Ready(Ok(())), flushed) => flushed,
            (result, _) => result,
        }
    }

    fn turn_to_tls(&mut self, cx: &mut Context<'_>) {
        let domain = self.negotiation.as_ref().and_then(|negotiation| negotiation.domain.clone());
        let transport = std::mem::replace(&mut self.transport, Transport::Gone);
        self.phase = Phase::Open;
        if let (Transport::Tcp(tcp), Some(domain)) = (transport, domain) {
            self.transport = Handshake::starttls(tcp, self.gateway.certificates.current(), domain);
        }
        // The handshake has not asked the socket for anything yet.
        cx.waker().wake_by_ref();
    }

    /// Closes our direction.
    fn shut_down(&mut self, cx: &mut Context<'_>) {
        match self.transport.poll_shutdown(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.phase = Phase::Lingering;
                self.linger(cx);
            }
            Poll::Ready(Err(_)) => self.phase = Phase::Gone,
        }
    }

    /// Reads on until the peer has closed its direction too (RFC 6120 §4.4).
    fn linger(&mut self, cx: &mut Context<'_>) {
        let mut sink = [0; 4096];
        let mut read = 0;
        while read < LINGER_BYTES_MAX {
            match self.transport.poll_read(cx, &mut sink) {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(some)) => read += some,
            }
        }
        self.phase = Phase::Gone;
    }
}

/// Puts what was kept before what is new. The thread's buffer must not stay with the connection in
/// exchange, or each one that ever stalled would hold one for good.
fn take_kept(unsent: &mut Vec<u8>, out: &mut Vec<u8>) {
    if !unsent.is_empty() {
        let mut all = std::mem::take(unsent);
        all.append(out);
        *out = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_no_buffer_of_its_thread() {
        let mut unsent = b"first".to_vec();
        let mut out = Vec::with_capacity(64 * 1024);
        out.extend_from_slice(b" second");
        take_kept(&mut unsent, &mut out);
        assert_eq!((&*out, unsent.capacity()), (&b"first second"[..], 0));
        take_kept(&mut unsent, &mut out);
        assert_eq!((&*out, unsent.capacity()), (&b"first second"[..], 0));
    }
}
