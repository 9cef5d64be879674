//! The sending end of one lane.

use super::Time;
use super::header::{Ack, Head, Instance, Lane, Reason, Refusal, Window};
use super::mutation::{Bug, planted};
use std::collections::VecDeque;

/// Limits of a sender.
#[derive(Debug, Clone, Copy)]
pub struct SenderLimits {
    /// What it holds at most, whatever the receiver grants.
    pub window: Window,
    /// What it may send before a receiver has granted anything.
    pub first_window: Window,
    /// Silence after which it asks; longer than the receiver delays acknowledgements.
    pub probe_after: Time,
    /// The back-off's upper bound.
    pub probe_max: Time,
}

impl Default for SenderLimits {
    fn default() -> SenderLimits {
        SenderLimits {
            window: Window { messages: 4096, bytes: 8 << 20 },
            first_window: Window { messages: 256, bytes: 512 << 10 },
            probe_after: Time::from_millis(250),
            probe_max: Time::from_secs(2),
        }
    }
}

/// What to transmit: frames that are polled in one turn have the same head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit<'a, T> {
    /// Goes before the frame.
    pub head: Head,
    /// The frame.
    pub body: Body<'a, T>,
}

/// A frame with its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a, T> {
    /// A message.
    Message {
        /// Its number.
        seq: u64,
        /// What was pushed.
        item: &'a T,
    },
    /// [`super::Frame::Probe`].
    Probe {
        /// The number that would be sent next.
        next: u64,
    },
}

/// Why a message was not taken. It is handed back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError<T> {
    /// The window is full: stop reading the source until [`Sender::has_room`].
    #[error("the channel's window is full")]
    Full(T),
    /// The sender is no longer listened to, see [`Sender::standing`].
    #[error("the channel is closed")]
    Closed(T),
}

/// Whether the sender still has somebody who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has, or waits for it.
    Open,
    /// Another instance acts for the lane. This one must stop.
    Superseded {
        /// That one.
        by: Instance,
    },
    /// The run of the process that it spoke to is gone; `now` answers in its place.
    TargetGone {
        /// The one that answered.
        now: Instance,
    },
}

/// What an acknowledgement was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something is new: look at [`Sender::poll_confirmed`] and [`Sender::poll_transmit`].
    News,
    /// Nothing is new.
    Nothing,
    /// It is meant for another sender, or comes from a former owner.
    Stale,
}

/// The sending end of one lane, in one incarnation.
#[derive(Debug)]
pub struct Sender<T> {
    lane: Lane,
    me: Instance,
    limits: SenderLimits,
    standing: Standing,
    peer: Option<Peer>,
    /// Unconfirmed messages, and confirmed ones that the caller has not taken back yet.
    queue: VecDeque<Held<T>>,
    /// The number of the queue's first message.
    front: u64,
    queue_bytes: u64,
    confirmed: u64,
    /// What the present peer has.
    received: u64,
    /// The number to send next to the present peer.
    next: u64,
    /// The bytes of those from the first unconfirmed up to `next`.
    flight_bytes: u64,
    credit: Window,
    probe: Option<Probe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    instance: Instance,
    /// 0 until it has answered.
    generation: u64,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    bytes: u32,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    at: Time,
    wait: Time,
}

impl<T> Sender<T> {
    /// A sender that has sent nothing yet.
    pub fn new(lane: Lane, me: Instance, limits: SenderLimits) -> Sender<T> {
        Sender {
            lane,
            me,
            limits,
            standing: Standing::Open,
            peer: None,
            queue: VecDeque::new(),
            front: 1,
            queue_bytes: 0,
            confirmed: 0,
            received: 0,
            next: 1,
            flight_bytes: 0,
            credit: limits.first_window,
            probe: None,
        }
    }

    /// Takes the next message and numbers it, if there is room for its payload of `bytes`.
    pub fn push(&mut self, now: Time, item: T, bytes: u32) -> Result<u64, PushError<T>> {
        if self.standing != Standing::Open {
            return Err(PushError::Closed(item));
        }
        if !self.has_room(bytes) && !planted(Bug::SkipBound) {
            // Credit that was taken away may have been given back by an answer that was lost.
            self.arm(now);
            return Err(PushError::Full(item));
        }
        self.queue.push_back(Held { item, bytes });
        self.queue_bytes += u64::from(bytes);
        Ok(self.end() - 1)
    }

    /// Whether a message of this size would be taken now.
    pub fn has_room(&self, bytes: u32) -> bool {
        self.limits.window.min(self.credit).fits(self.queue.len() as u64, self.queue_bytes, bytes)
    }

    /// What to transmit now. Poll until there is nothing; frames of one turn may share a packet.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_, T>> {
        if self.standing != Standing::Open {
            return None;
        }
        let head = self.head();
        if self.may_send() {
            let seq = self.next;
            self.next += 1;
            self.flight_bytes += u64::from(self.bytes_of(seq));
            self.arm(now);
            let item = &self.queue[(seq - self.front) as usize].item;
            return Some(Transmit { head, body: Body::Message { seq, item } });
        }
        let probe = self.probe.as_mut()?;
        if probe.at > now {
            return None;
        }
        probe.wait = (probe.wait * 2).min(self.limits.probe_max);
        probe.at = now + probe.wait;
        Some(Transmit { head, body: Body::Probe { next: self.next } })
    }

    /// When to poll again although nothing was heard.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.standing != Standing::Open {
            return None;
        }
        self.probe.map(|probe| probe.at)
    }

    /// Hands the confirmed messages back, in order. Until then they occupy the window.
    pub fn poll_confirmed(&mut self) -> Option<(u64, T)> {
        if self.front > self.confirmed {
            return None;
        }
        let held = self.queue.pop_front()?;
        self.queue_bytes -= u64::from(held.bytes);
        self.front += 1;
        Some((self.front - 1, held.item))
    }

    /// Takes an acknowledgement.
    pub fn handle_ack(&mut self, now: Time, ack: &Ack) -> Heard {
        if self.standing != Standing::Open || ack.lane != self.lane || ack.to != self.me {
            return Heard::Stale;
        }
        // What was never sent cannot have arrived: a peer's mistake must not become ours.
        if ack.received >= self.end() || ack.confirmed > ack.received {
            return Heard::Stale;
        }
        let Some(new_peer) = self.meet(ack.from, ack.generation) else {
            return Heard::Stale;
        };
        let outdated = ack.received < self.received || ack.confirmed < self.confirmed;
        let mut news = new_peer;
        if ack.received > self.received {
            self.received = ack.received;
            news = true;
        }
        if ack.confirmed > self.confirmed {
            self.confirm(ack.confirmed);
            news = true;
        }
        if self.next <= self.received || (ack.gap && ack.received == self.received) {
            news |= self.next != self.received + 1;
            self.seek(self.received + 1);
        }
        if ack.credit != self.credit && (new_peer || !outdated) {
            self.credit = ack.credit;
            news = true;
        }
        if news {
            self.probe = None;
        }
        if self.outstanding() {
            self.arm(now);
        } else {
            self.probe = None;
        }
        if news { Heard::News } else { Heard::Nothing }
    }

    /// Takes a refusal.
    pub fn handle_refusal(&mut self, refusal: &Refusal) -> Standing {
        if self.standing != Standing::Open || refusal.lane != self.lane || refusal.to != self.me {
            return self.standing;
        }
        match refusal.reason {
            Reason::Superseded { by } if by.epoch >= self.me.epoch && by != self.me => {
                self.standing = Standing::Superseded { by };
            }
            Reason::WrongReceiver if self.was_replaced_by(refusal.from) => {
                self.standing = Standing::TargetGone { now: refusal.from };
            }
            // Try again: the probe's back-off is the pace.
            Reason::Superseded { .. } | Reason::WrongReceiver | Reason::Busy => {}
        }
        self.standing
    }

    /// The target has (perhaps) a new owner: re-send to it from the first unconfirmed.
    pub fn announced(&mut self, now: Time, owner: Instance) {
        if self.standing != Standing::Open {
            return;
        }
        // The first owner ever may have had a predecessor that took what was sent and died.
        if self.peer.is_none_or(|peer| owner.epoch > peer.instance.epoch) {
            self.start_over(Peer { instance: owner, generation: 0 });
            self.probe = None;
            if self.outstanding() {
                self.arm(now);
            }
        }
    }

    /// The bus lost its connection and has it back: ask at once what arrived.
    pub fn reconnected(&mut self, now: Time) {
        if self.outstanding() {
            self.probe = Some(Probe { at: now, wait: self.limits.probe_after });
        }
    }

    /// Whether somebody listens.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether nothing is unconfirmed or waits to be taken back.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Messages and bytes held.
    pub fn held(&self) -> (usize, u64) {
        (self.queue.len(), self.queue_bytes)
    }

    /// The last confirmed number.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Ends the lane and gives back what is not confirmed, with its numbers.
    pub fn into_unconfirmed(self) -> impl Iterator<Item = (u64, T)> {
        let (front, confirmed) = (self.front, self.confirmed);
        (front..).zip(self.queue).filter(move |(seq, _)| *seq > confirmed).map(|(seq, held)| (seq, held.item))
    }

    fn head(&self) -> Head {
        let to = self.peer.map(|peer| peer.instance);
        Head { lane: self.lane, from: self.me, to, base: self.confirmed + 1 }
    }

    /// One past the last number given out.
    fn end(&self) -> u64 {
        self.front + self.queue.len() as u64
    }

    fn bytes_of(&self, seq: u64) -> u32 {
        self.queue[(seq - self.front) as usize].bytes
    }

    fn may_send(&self) -> bool {
        self.next < self.end()
            && self.credit.fits(self.next - self.confirmed - 1, self.flight_bytes, self.bytes_of(self.next))
    }

    /// Whether an answer is missing: to messages, or to whether there is credit again.
    fn outstanding(&self) -> bool {
        self.end() > self.confirmed + 1 || self.credit.messages == 0
    }

    fn arm(&mut self, now: Time) {
        if !planted(Bug::SkipProbe) {
            let wait = self.limits.probe_after;
            self.probe.get_or_insert(Probe { at: now + wait, wait });
        }
    }

    /// Whether an answer from this instance counts; `Some(true)` when it is a new one.
    fn meet(&mut self, instance: Instance, generation: u64) -> Option<bool> {
        let met = Peer { instance, generation };
        let Some(known) = self.peer else {
            // What it did not get shows as a gap at the latest when it is probed.
            self.peer = Some(met);
            return Some(true);
        };
        if planted(Bug::TrustOldEpoch) && instance.epoch < known.instance.epoch {
            return Some(false);
        }
        if instance.epoch > known.instance.epoch {
            self.start_over(met);
            return Some(true);
        }
        // No two incarnations share an epoch: the first one met is believed.
        if instance != known.instance || generation < known.generation {
            return None;
        }
        if generation > known.generation {
            if known.generation > 0 {
                self.start_over(met);
            }
            self.peer = Some(met);
            return Some(true);
        }
        Some(false)
    }

    fn was_replaced_by(&self, other: Instance) -> bool {
        self.peer.is_some_and(|peer| peer.instance != other && peer.instance.epoch <= other.epoch)
    }

    fn start_over(&mut self, peer: Peer) {
        self.peer = Some(peer);
        if planted(Bug::ForgetEpochResend) {
            return;
        }
        self.received = self.confirmed;
        self.seek(self.confirmed + 1);
    }

    fn confirm(&mut self, seq: u64) {
        self.received = self.received.max(seq);
        if self.next <= seq {
            self.seek(seq + 1);
        }
        for seq in self.confirmed + 1..=seq {
            self.flight_bytes -= u64::from(self.bytes_of(seq));
        }
        self.confirmed = seq;
    }

    /// Sets the number to send next.
    fn seek(&mut self, next: u64) {
        for seq in next..self.next {
            self.flight_bytes -= u64::from(self.bytes_of(seq));
        }
        for seq in self.next..next {
            self.flight_bytes += u64::from(self.bytes_of(seq));
        }
        self.next = next;
    }
}
