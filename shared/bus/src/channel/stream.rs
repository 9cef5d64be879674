//! What a receiver remembers of one lane.

use super::Time;
use super::header::{Instance, Lane, Window};
use super::mutation::{Bug, planted};
use std::collections::VecDeque;

/// A delivered message's place; hand it to [`super::Receiver::confirm`] when its effect is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    /// The lane.
    pub lane: Lane,
    /// The receiver's count of its beginnings, so that a late confirmation finds its own.
    pub generation: u64,
    /// The message's number in the lane.
    pub seq: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Next,
    Seen,
    Gap,
    NoRoom,
}

/// The counters of one lane and one incarnation of its sender.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) from: Instance,
    pub(super) generation: u64,
    /// The number that is taken next.
    pub(super) expected: u64,
    pub(super) confirmed: u64,
    /// Those between `confirmed` and `expected`.
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    /// One past the highest number the sender is known to have sent.
    seen_end: u64,
    /// The sender was told of the gap before `seen_end`. Once is enough: it sends all after it again.
    gap_told: bool,
    /// Confirmed since the last acknowledgement.
    pub(super) untold: Untold,
    /// When an acknowledgement is due.
    pub(super) ack_at: Option<Time>,
    pub(super) heard_at: Time,
    /// The stream's entry in the receiver's agenda.
    pub(super) agenda_at: Time,
}

#[derive(Debug)]
struct Pending {
    bytes: u32,
    durable: bool,
}

/// What the sender could reuse of its window if it knew.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Untold {
    messages: u64,
    bytes: u64,
}

impl Untold {
    /// Whether it is a quarter of the window: the sender must not run dry.
    pub(super) fn is_much(self, credit: Window) -> bool {
        self.messages * 4 >= u64::from(credit.messages) || self.bytes * 4 >= u64::from(credit.bytes)
    }
}

impl Stream {
    pub(super) fn new(now: Time, from: Instance, generation: u64) -> Stream {
        Stream {
            from,
            generation,
            expected: 1,
            confirmed: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            seen_end: 1,
            gap_told: false,
            untold: Untold::default(),
            ack_at: None,
            heard_at: now,
            agenda_at: Time::MAX,
        }
    }

    /// All below `base` are durable, whoever it was that confirmed them.
    pub(super) fn rebase(&mut self, base: u64) {
        while self.confirmed + 1 < base && !self.pending.is_empty() {
            self.confirm_first();
        }
        if self.confirmed + 1 < base {
            self.confirmed = base - 1;
        }
        self.confirm_prefix();
        self.expected = self.expected.max(self.confirmed + 1);
        self.seen_end = self.seen_end.max(self.expected);
        self.gap_told &= self.has_gap();
    }

    pub(super) fn take(&mut self, seq: u64, bytes: u32, window: Window) -> Taken {
        self.seen_end = self.seen_end.max(seq.saturating_add(1));
        if seq < self.expected {
            return if planted(Bug::SkipDedupe) { Taken::Next } else { Taken::Seen };
        }
        if seq > self.expected && !planted(Bug::AcceptGap) {
            return Taken::Gap;
        }
        if !self.has_room(bytes, window) && !planted(Bug::SkipWindow) {
            self.gap_told = false;
            return Taken::NoRoom;
        }
        while self.expected < seq {
            self.pending.push_back(Pending { bytes: 0, durable: true }); // only with a planted bug
            self.expected += 1;
        }
        self.pending.push_back(Pending { bytes, durable: false });
        self.pending_bytes += u64::from(bytes);
        self.expected += 1;
        self.gap_told &= self.has_gap();
        Taken::Next
    }

    /// The sender asks, having sent all below `next`.
    pub(super) fn probed(&mut self, next: u64) {
        self.seen_end = self.seen_end.max(next);
        self.gap_told = false;
    }

    /// Whether the sender is to be told that something is missing; it is told once.
    pub(super) fn tell_gap(&mut self, window: Window) -> bool {
        let tell = self.untold_gap(window);
        self.gap_told |= tell;
        tell
    }

    /// Whether the sender should send what is missing, and does not know. Without room for it the
    /// telling waits for the acknowledgement that grants some.
    pub(super) fn untold_gap(&self, window: Window) -> bool {
        self.has_gap() && !self.gap_told && self.has_room(0, window)
    }

    /// Notes that a message is durable; whether the cumulative counter moved.
    pub(super) fn confirm(&mut self, seq: u64) -> bool {
        if seq <= self.confirmed || seq >= self.expected {
            return false;
        }
        self.pending[(seq - self.confirmed - 1) as usize].durable = true;
        let before = self.confirmed;
        self.confirm_prefix();
        self.confirmed > before
    }

    /// Messages and bytes delivered but not yet confirmed as a prefix.
    pub(super) fn pending(&self) -> (usize, u64) {
        (self.pending.len(), self.pending_bytes)
    }

    fn has_gap(&self) -> bool {
        self.seen_end > self.expected
    }

    fn has_room(&self, bytes: u32, window: Window) -> bool {
        window.fits(self.pending.len() as u64, self.pending_bytes, bytes)
    }

    fn confirm_prefix(&mut self) {
        while self.pending.front().is_some_and(|first| first.durable) {
            self.confirm_first();
        }
    }

    fn confirm_first(&mut self) {
        if let Some(first) = self.pending.pop_front() {
            self.confirmed += 1;
            self.pending_bytes -= u64::from(first.bytes);
            self.untold.messages += 1;
            self.untold.bytes += u64::from(first.bytes);
        }
    }
}
