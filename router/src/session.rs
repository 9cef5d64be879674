//! A session: a bound resource, with or without a connection under it.
//!
//! Its two sequences are XEP-0198's counters. The inbound one is numbered by the gateway and
//! confirmed once the effect of each stanza is durable; the outbound one is numbered here, and what
//! the client does not have yet is kept so that another gateway can send it again.

use bus::{ConnId, SessionId};
use bytes::Bytes;
use std::collections::VecDeque;
use store::LogId;
use xmpp::{Jid, Stanza};

/// A bound resource.
#[derive(Debug)]
pub struct Session {
    /// Its name, which outlives its connections.
    pub id: SessionId,
    /// The full JID.
    pub jid: Jid,
    /// Where it is reached.
    pub link: Link,
    /// Its presence.
    pub presence: Presence,
    /// Stanzas from the client.
    pub inbound: Inbound,
    /// Stanzas to the client.
    pub outbound: Outbound,
    /// How it gets what the message log holds for it.
    pub feed: Feed,
    /// Whether it asked for the roster and so gets roster pushes (RFC 6121 §2.1.6).
    pub interested: bool,
    /// Stream management.
    pub managed: Option<Managed>,
    /// A resumption that waits until everything received is settled, so that the number it is told
    /// is the number of stanzas the client need not send again.
    pub resuming: Option<Box<Resuming>>,
    /// Who got directed presence and no broadcast (RFC 6121 §4.6), sorted.
    pub directed: Vec<Jid>,
}

/// Where a session is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// This connection carries it.
    Connected(ConnId),
    /// Its connection broke; it may be resumed until then.
    Detached {
        /// Unix milliseconds at which the session ends.
        until_ms: u64,
    },
}

/// What stream management was agreed on (XEP-0198 §3).
#[derive(Debug, Clone, Copy)]
pub struct Managed {
    /// Seconds for which it is kept without a connection; none when it cannot be resumed.
    pub resume_seconds: Option<u32>,
    /// Inbound number at which the count began.
    pub inbound_base: u64,
    /// Outbound number at which the count began.
    pub outbound_base: u64,
}

/// A resumption under way.
#[derive(Debug)]
pub struct Resuming {
    /// The connection that takes the session over.
    pub conn: ConnId,
    /// What it said of itself.
    pub origin: std::sync::Arc<bus::envelope::Origin>,
}

/// A session's presence (RFC 6121 §4).
#[derive(Debug)]
pub enum Presence {
    /// None sent, or `unavailable`.
    Unavailable,
    /// The last one broadcast.
    Available(Box<Available>),
}

/// Available presence.
#[derive(Debug)]
pub struct Available {
    /// The stanza without `to`.
    pub stanza: Stanza,
    /// RFC 6121 §4.7.2.3; 0 where absent.
    pub priority: i8,
    /// Unix milliseconds of the last change.
    pub since_ms: u64,
}

/// How a session gets what the message log holds for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// It has everything up to now: new messages are delivered as they come.
    Live,
    /// There is more in the log than it was sent: pending messages after this one are read page by
    /// page as its client acknowledges, and new ones wait in the log behind them.
    Behind {
        /// The last entry it was sent.
        after: LogId,
        /// A page is being read.
        reading: bool,
    },
}

/// The inbound sequence.
#[derive(Debug, Default)]
pub struct Inbound {
    received: u64,
    /// Numbers whose effect is not durable yet, ascending.
    unsettled: VecDeque<u64>,
}

impl Inbound {
    /// Takes the next number; false when it is not the next.
    pub fn receive(&mut self, seq: u64) -> bool {
        if seq != self.received + 1 {
            return false;
        }
        self.received = seq;
        self.unsettled.push_back(seq);
        true
    }

    /// The effect of `seq` is durable. Returns the new cumulative number when it moved.
    pub fn settle(&mut self, seq: u64) -> Option<u64> {
        let at = self.unsettled.binary_search(&seq).ok()?;
        self.unsettled.remove(at);
        (at == 0).then(|| self.confirmed())
    }

    /// The last number received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Everything up to this number has had its durable effect.
    pub fn confirmed(&self) -> u64 {
        self.unsettled.front().map_or(self.received, |first| first - 1)
    }

    /// Whether every number received is confirmed.
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }
}

/// A stanza the client does not have yet.
#[derive(Debug)]
pub struct Unacked {
    /// What was sent.
    pub xml: Bytes,
    /// Its entry in the message log, if it has one: it stays pending there until acknowledged.
    pub log: Option<LogId>,
}

/// The outbound sequence.
#[derive(Debug, Default)]
pub struct Outbound {
    acked: u64,
    unacked: VecDeque<Unacked>,
    bytes: usize,
}

impl Outbound {
    /// Keeps a stanza until it is acknowledged and returns its number.
    pub fn push(&mut self, xml: Bytes, log: Option<LogId>) -> u64 {
        self.bytes += xml.len();
        self.unacked.push_back(Unacked { xml, log });
        self.acked + self.unacked.len() as u64
    }

    /// The client has everything up to `seq`; calls `gone` for each log entry among them. False
    /// when nothing with that number was sent.
    pub fn ack(&mut self, seq: u64, mut gone: impl FnMut(LogId)) -> bool {
        if seq > self.acked + self.unacked.len() as u64 {
            return false;
        }
        while self.acked < seq {
            let first = self.unacked.pop_front().expect("invariant: acked + unacked covers seq");
            self.acked += 1;
            self.bytes -= first.xml.len();
            if let Some(id) = first.log {
                gone(id);
            }
        }
        if self.unacked.is_empty() {
            // An idle session holds no buffer.
            self.unacked = VecDeque::new();
        }
        true
    }

    /// The last number the client has.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// The last number sent.
    pub fn sent(&self) -> u64 {
        self.acked + self.unacked.len() as u64
    }

    /// What the client does not have yet, in order.
    pub fn unacked(&self) -> &VecDeque<Unacked> {
        &self.unacked
    }

    /// Their size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an entry of the log was sent and not acknowledged yet.
    pub fn holds(&self, id: LogId) -> bool {
        self.unacked.iter().rev().any(|u| u.log == Some(id))
    }

    /// Widens a number modulo 2^32, as XEP-0198 sends it: `base` is where its count began. A number
    /// that lies behind is one the client said before.
    pub fn widen(&self, base: u64, handled: u32) -> u64 {
        let ahead = handled.wrapping_sub((self.acked.wrapping_sub(base)) as u32);
        self.acked + if ahead < 1 << 31 { u64::from(ahead) } else { 0 }
    }
}

impl Session {
    /// The connection, if there is one.
    pub fn conn(&self) -> Option<ConnId> {
        match self.link {
            Link::Connected(conn) => Some(conn),
            Link::Detached { .. } => None,
        }
    }

    /// Its available presence, if it has one.
    pub fn available(&self) -> Option<&Available> {
        match &self.presence {
            Presence::Available(available) => Some(available),
            Presence::Unavailable => None,
        }
    }

    /// The resource part.
    pub fn resource(&self) -> &str {
        self.jid.resource().expect("invariant: a session's JID is full")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbound_confirms_a_contiguous_prefix() {
        let mut inbound = Inbound::default();
        assert!(inbound.receive(1) && inbound.receive(2) && inbound.receive(3));
        assert!(!inbound.receive(3), "a number comes once");
        assert!(!inbound.receive(5), "a gap is refused");
        assert_eq!(inbound.settle(2), None);
        assert_eq!(inbound.confirmed(), 0);
        assert_eq!(inbound.settle(1), Some(2));
        assert_eq!(inbound.settle(1), None, "settled once");
        assert_eq!(inbound.settle(3), Some(3));
        assert!(inbound.is_settled());
    }

    #[test]
    fn outbound_keeps_until_acked() {
        let mut outbound = Outbound::default();
        for n in 1..=5u64 {
            assert_eq!(outbound.push(Bytes::from_static(b"<message/>"), None), n);
        }
        assert!(outbound.ack(3, |_| {}));
        assert!(outbound.ack(2, |_| {}), "an old number is no error");
        assert_eq!((outbound.acked(), outbound.sent(), outbound.bytes()), (3, 5, 20));
        assert!(!outbound.ack(6, |_| {}), "more than was sent");
        assert!(outbound.ack(5, |_| {}));
        assert_eq!(outbound.bytes(), 0);
    }

    #[test]
    fn acknowledgements_wrap() {
        let outbound = Outbound { acked: u64::from(u32::MAX) - 1, ..Outbound::default() };
        assert_eq!(outbound.widen(0, u32::MAX), u64::from(u32::MAX));
        assert_eq!(outbound.widen(0, 3), u64::from(u32::MAX) + 4);
        assert_eq!(outbound.widen(0, u32::MAX - 9), outbound.acked, "said before");
        let outbound = Outbound { acked: 10, ..Outbound::default() };
        assert_eq!(outbound.widen(8, 5), 13);
        assert_eq!(outbound.widen(10, 0), 10);
    }
}
