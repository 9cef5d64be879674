//! The receiving end of all lanes into one target.

use super::Time;
use super::header::{Ack, Frame, Head, Instance, Lane, Reason, Refusal, Window};
use super::mutation::{Bug, planted};
use super::stream::{Delivery, Stream, Taken};
use std::collections::{BTreeMap, BTreeSet};

/// Limits of a receiver. What it remembers is at most `lanes_max` times a window's bookkeeping;
/// what the application holds for it at most `lanes_max` windows.
#[derive(Debug, Clone, Copy)]
pub struct ReceiverLimits {
    /// What one lane may have delivered and unconfirmed.
    pub window: Window,
    /// How many lanes it remembers; more are refused until some are forgotten.
    pub lanes_max: usize,
    /// How long the acknowledgement of a mere reception waits for company.
    pub received_delay: Time,
    /// How long that of a confirmation waits: somebody upstream waits for it.
    pub confirmed_delay: Time,
    /// How long a silent lane is remembered: longer than any message can be under way.
    pub forget_after: Time,
}

impl Default for ReceiverLimits {
    fn default() -> ReceiverLimits {
        ReceiverLimits {
            window: Window { messages: 4096, bytes: 8 << 20 },
            lanes_max: 1024,
            received_delay: Time::from_millis(100),
            confirmed_delay: Time::from_millis(2),
            forget_after: Time::from_secs(60),
        }
    }
}

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hand the payload to the application, now and in this order.
    Deliver(Delivery),
    /// Drop it: it was delivered before.
    Duplicate,
    /// Drop it: something before it is missing. The sender will be told.
    Gap,
    /// Drop it: the window is full, the sender did not know. It will be told when there is room.
    Full,
    /// It was a question; [`Receiver::poll_transmit`] has the answer.
    Probed,
    /// Drop it and send this back.
    Refused(Refusal),
    /// Drop it: the sender knows a later owner of this target. Stop acting for it (I4).
    Outdated {
        /// That owner.
        owner: Instance,
    },
}

/// The receiving end of all lanes into one target, for one epoch of its owner.
#[derive(Debug)]
pub struct Receiver {
    me: Instance,
    limits: ReceiverLimits,
    credit: Window,
    lanes: BTreeMap<Lane, Stream>,
    /// How many streams were begun; each gets the next number as its generation.
    generations: u64,
    /// When to look at which lane. Each lane has one entry, at its `agenda_at`.
    agenda: BTreeSet<(Time, Lane)>,
}

impl Receiver {
    /// A receiver that knows nothing yet.
    pub fn new(me: Instance, limits: ReceiverLimits) -> Receiver {
        Receiver {
            me,
            limits,
            credit: limits.window,
            lanes: BTreeMap::new(),
            generations: 0,
            agenda: BTreeSet::new(),
        }
    }

    /// Takes one frame and says what to do with its payload.
    pub fn handle(&mut self, now: Time, head: &Head, frame: Frame) -> Verdict {
        if let Some(to) = head.to.filter(|to| *to != self.me) {
            if to.epoch > self.me.epoch {
                return Verdict::Outdated { owner: to };
            }
            // One meant for a former owner of the target is as good as any.
            if to.epoch == self.me.epoch {
                return self.refuse(head, Reason::WrongReceiver);
            }
        }
        if let Err(reason) = self.admit(now, head) {
            return self.refuse(head, reason);
        }
        // A sender that does not know its receiver, or its credit, is told soon.
        let soon = self.limits.confirmed_delay;
        let received_in = if head.to == Some(self.me) { self.limits.received_delay } else { soon };
        let window = self.limits.window;
        let Some(stream) = self.lanes.get_mut(&head.lane) else {
            return self.refuse(head, Reason::Busy);
        };
        stream.heard_at = now;
        stream.rebase(head.base);
        let (verdict, ack_in) = match frame {
            Frame::Probe { next } => {
                stream.probed(next);
                (Verdict::Probed, Some(Time::ZERO))
            }
            Frame::Message { seq, bytes } => match stream.take(seq, bytes, window) {
                Taken::Next => {
                    let delivery = Delivery { lane: head.lane, generation: stream.generation, seq };
                    (Verdict::Deliver(delivery), Some(received_in))
                }
                // Its acknowledgement was lost, or is on its way.
                Taken::Seen => (Verdict::Duplicate, Some(soon)),
                Taken::Gap => (Verdict::Gap, stream.untold_gap(window).then_some(Time::ZERO)),
                Taken::NoRoom => (Verdict::Full, Some(soon)),
            },
        };
        if let Some(delay) = ack_in {
            self.ack_by(head.lane, now + delay);
        }
        verdict
    }

    /// Notes that a delivered message's effect is durable. Any order, any time, more than once.
    pub fn confirm(&mut self, now: Time, delivery: Delivery) {
        let Some(stream) = self.lanes.get_mut(&delivery.lane) else {
            return;
        };
        if stream.generation != delivery.generation || !stream.confirm(delivery.seq) {
            return;
        }
        let much = stream.untold.is_much(self.credit);
        let delay = if much { Time::ZERO } else { self.limits.confirmed_delay };
        self.ack_by(delivery.lane, now + delay);
    }

    /// An acknowledgement that is due, to be sent to the lane's sender. Poll until there is none.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Ack> {
        while let Some(&(at, lane)) = self.agenda.first() {
            if at > now {
                return None;
            }
            self.agenda.pop_first();
            let Some(stream) = self.lanes.get_mut(&lane) else {
                continue;
            };
            stream.agenda_at = Time::MAX;
            if stream.ack_at.is_some_and(|at| at <= now) {
                return self.ack(lane);
            }
            let silent = now >= stream.heard_at + self.limits.forget_after;
            if silent && stream.pending().0 == 0 && stream.ack_at.is_none() {
                self.lanes.remove(&lane);
            } else {
                // What the application still works on is not forgotten; look again later.
                let heard_at = if silent { now } else { stream.heard_at };
                let look_at = heard_at + self.limits.forget_after;
                let at = stream.ack_at.map_or(look_at, |at| at.min(look_at));
                self.schedule(lane, at);
            }
        }
        None
    }

    /// The acknowledgement that waits for company, to go into a packet to that lane's sender.
    pub fn ride(&mut self, lane: Lane) -> Option<Ack> {
        self.lanes.get(&lane)?.ack_at?;
        self.ack(lane)
    }

    /// When to poll again although nothing happened.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Changes how much each lane may have unconfirmed, up to the limit; zero stops the senders.
    /// What they sent before they know is still taken.
    pub fn set_credit(&mut self, now: Time, credit: Window) {
        self.credit = credit.min(self.limits.window);
        let lanes: Vec<Lane> = self.lanes.keys().copied().collect();
        for lane in lanes {
            self.ack_by(lane, now + self.limits.confirmed_delay);
        }
    }

    /// From now on only `by` or a later epoch may send in this lane: its announcement was heard.
    pub fn fence(&mut self, now: Time, lane: Lane, by: Instance) {
        if self.lanes.get(&lane).is_none_or(|stream| stream.from.epoch < by.epoch) {
            // At the limit the lane stays unknown, and the first message settles it.
            let _ = self.begin(now, lane, by);
        }
    }

    /// How many lanes are remembered.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Messages and bytes of one lane that were delivered and are not yet confirmed as a prefix.
    pub fn pending(&self, lane: Lane) -> (usize, u64) {
        self.lanes.get(&lane).map_or((0, 0), Stream::pending)
    }

    /// Lets a sender in or not, and begins its stream when it is new.
    fn admit(&mut self, now: Time, head: &Head) -> Result<(), Reason> {
        match self.lanes.get(&head.lane) {
            Some(stream) if stream.from == head.from => Ok(()),
            Some(stream) if stream.from.epoch >= head.from.epoch && !planted(Bug::SkipFence) => {
                Err(Reason::Superseded { by: stream.from })
            }
            _ => self.begin(now, head.lane, head.from),
        }
    }

    fn begin(&mut self, now: Time, lane: Lane, from: Instance) -> Result<(), Reason> {
        if self.lanes.len() >= self.limits.lanes_max && !self.lanes.contains_key(&lane) {
            return Err(Reason::Busy);
        }
        self.generations += 1;
        if let Some(old) = self.lanes.insert(lane, Stream::new(now, from, self.generations)) {
            self.agenda.remove(&(old.agenda_at, lane));
        }
        self.schedule(lane, now + self.limits.forget_after);
        Ok(())
    }

    fn refuse(&self, head: &Head, reason: Reason) -> Verdict {
        Verdict::Refused(Refusal { lane: head.lane, to: head.from, from: self.me, reason })
    }

    fn ack_by(&mut self, lane: Lane, at: Time) {
        let Some(stream) = self.lanes.get_mut(&lane) else {
            return;
        };
        if stream.ack_at.is_none_or(|due| at < due) {
            stream.ack_at = Some(at);
            self.schedule(lane, at);
        }
    }

    /// Makes the acknowledgement; what waited to be said is said with it.
    fn ack(&mut self, lane: Lane) -> Option<Ack> {
        let stream = self.lanes.get_mut(&lane)?;
        stream.ack_at = None;
        stream.untold = Default::default();
        let received = stream.expected - 1;
        let ack = Ack {
            lane,
            to: stream.from,
            from: self.me,
            generation: stream.generation,
            received,
            confirmed: if planted(Bug::ConfirmReceived) { received } else { stream.confirmed },
            gap: stream.tell_gap(self.limits.window),
            credit: self.credit,
        };
        let look_at = stream.heard_at + self.limits.forget_after;
        let stale = std::mem::replace(&mut stream.agenda_at, Time::MAX);
        self.agenda.remove(&(stale, lane));
        self.schedule(lane, look_at);
        Some(ack)
    }

    /// Brings the lane's entry in the agenda forward to `at`.
    fn schedule(&mut self, lane: Lane, at: Time) {
        let Some(stream) = self.lanes.get_mut(&lane) else {
            return;
        };
        if at < stream.agenda_at {
            self.agenda.remove(&(stream.agenda_at, lane));
            stream.agenda_at = at;
            self.agenda.insert((at, lane));
        }
    }
}
