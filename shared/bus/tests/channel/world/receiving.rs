//! The receiving end: owners that commit and confirm, and the rules for what is delivered.

use super::{Checked, Event, LANE, OwnerNode, Packet, Seen, World};
use crate::channel::{Delivery, Head, Instance, Lane, Receiver, Time, Verdict, Window};
use crate::network::Path;
use crate::outcome::{Happened, Violation};
use crate::store::Written;
use std::collections::{BTreeMap, VecDeque};

impl World {
    pub(super) fn take_over(&mut self) {
        self.store.epoch += 1;
        let me = Instance { epoch: self.store.epoch, incarnation: 200 + self.owners.len() as u64 };
        self.owners.push(OwnerNode {
            me,
            channel: Receiver::new(me, self.plan.receiver),
            alive: true,
            paused_until: 0,
            stalled_until: 0,
            timer_at: u64::MAX,
            commit_planned: false,
            work: self.sessions.iter().map(|_| VecDeque::new()).collect(),
            seen: BTreeMap::new(),
            forth: Path::default(),
        });
        if self.plan.rng.chance(self.plan.announce_percent) {
            for sender in 0..self.senders.len() {
                self.send_to_sender(sender, Packet::Announce(me));
            }
        }
    }

    pub(super) fn owner_hears(&mut self, index: usize, packet: Packet) -> Checked {
        let now = self.time();
        let frames = match packet {
            Packet::Frames(frames) => frames,
            Packet::Fence(by) => {
                if self.owners[index].alive {
                    self.owners[index].channel.fence(now, Lane(LANE), by);
                    self.pump_owner(index);
                }
                return Ok(());
            }
            Packet::Ack(_) | Packet::Refusal(_) | Packet::Announce(_) => unreachable!("these go to senders"),
        };
        for (head, frame, item) in frames {
            if !self.owners[index].alive {
                return Ok(());
            }
            if let Some(seen) = self.owners[index].seen.get_mut(&head.lane) {
                seen.forgotten |= now >= Time::from_micros(seen.at) + self.plan.receiver.forget_after;
            }
            match self.owners[index].channel.handle(now, &head, frame) {
                Verdict::Deliver(delivery) => {
                    self.check_delivery(index, &head, delivery)?;
                    self.stats.count(Happened::Delivery);
                    if let Some(item) = item {
                        self.owners[index].work[item.session].push_back((delivery, item));
                    }
                    if self.plan.confirms_early {
                        self.owners[index].channel.confirm(now, delivery);
                    }
                    self.plan_commit(index);
                }
                Verdict::Duplicate => self.stats.count(Happened::Duplicate),
                Verdict::Gap => self.stats.count(Happened::Gap),
                Verdict::Full => self.stats.count(Happened::FullReceiver),
                Verdict::Probed => {}
                Verdict::Refused(refusal) => {
                    self.stats.count(Happened::Refusal);
                    self.reply(head.from, Packet::Refusal(refusal));
                    continue;
                }
                Verdict::Outdated { owner } => {
                    assert!(owner.epoch > self.owners[index].me.epoch);
                    self.stats.count(Happened::OutdatedOwner);
                    self.owners[index].alive = false;
                    continue;
                }
            }
            if let Some(seen) = self.owners[index].seen.get_mut(&head.lane) {
                seen.at = self.now;
            }
            self.check_owner_bounds(index, head.lane)?;
        }
        self.pump_owner(index);
        Ok(())
    }

    /// The heart of it: in order, once, and nothing left out.
    pub(super) fn check_delivery(&mut self, index: usize, head: &Head, delivery: Delivery) -> Checked {
        let seen = self.owners[index].seen.get(&head.lane).copied();
        let mut next = 1;
        if let Some(seen) = seen {
            if head.from.epoch < seen.from.epoch && !seen.forgotten {
                return Err(Violation::Superseded);
            }
            if delivery.generation == seen.generation {
                next = seen.next;
            } else if head.from == seen.from {
                self.stats.count(Happened::NewGeneration);
                if !seen.forgotten {
                    return Err(Violation::Forgot);
                }
            }
        }
        if delivery.seq < next {
            return Err(Violation::Duplicate);
        }
        let left_out = next..delivery.seq;
        let log = self.senders.iter().find(|sender| sender.me == head.from).map(|sender| &sender.log);
        let durable = |seq: u64| log.is_some_and(|log| self.store.holds(log[seq as usize - 1]));
        if !left_out.clone().all(durable) {
            return Err(Violation::Gap);
        }
        let (from, generation, next) = (head.from, delivery.generation, delivery.seq + 1);
        let seen = Seen { from, generation, next, at: self.now, forgotten: false };
        self.owners[index].seen.insert(head.lane, seen);
        Ok(())
    }

    pub(super) fn check_owner_bounds(&self, index: usize, lane: Lane) -> Checked {
        let (messages, bytes) = self.owners[index].channel.pending(lane);
        let Window { messages: messages_max, bytes: bytes_max } = self.plan.receiver.window;
        let too_many = messages > messages_max as usize;
        let too_much = bytes > u64::from(bytes_max) && messages > 1;
        if too_many || too_much || self.owners[index].channel.lanes() > self.plan.receiver.lanes_max {
            return Err(Violation::Unbounded);
        }
        Ok(())
    }

    pub(super) fn plan_commit(&mut self, index: usize) {
        if !self.owners[index].commit_planned {
            self.owners[index].commit_planned = true;
            let after = self.plan.rng.range(1, self.plan.commit_every_us * 2);
            let at = (self.now + after).max(self.owners[index].stalled_until);
            self.at(at, Event::Commit(index));
        }
    }

    /// Writes what some sessions have waiting; each session's in order, each perhaps only in part.
    pub(super) fn commit(&mut self, index: usize) -> Checked {
        self.owners[index].commit_planned = false;
        let epoch = self.owners[index].me.epoch;
        for session in 0..self.sessions.len() {
            let waiting = self.owners[index].work[session].len() as u64;
            let now = if self.plan.rng.chance(70) { waiting } else { self.plan.rng.range(0, waiting + 1) };
            for _ in 0..now {
                if !self.owners[index].alive {
                    return Ok(());
                }
                let Some((delivery, item)) = self.owners[index].work[session].pop_front() else {
                    break;
                };
                match self.store.write(epoch, item) {
                    Written::Done => {}
                    Written::Already => self.stats.count(Happened::RepeatedEffect),
                    Written::OutOfOrder => return Err(Violation::StoreOrder),
                    Written::Fenced => {
                        self.stats.count(Happened::FencedWrite);
                        self.owners[index].alive = false;
                        return Ok(());
                    }
                }
                let late = self.plan.rng.range(0, self.plan.confirm_late_us);
                self.at(self.now + late, Event::Confirm(index, delivery));
            }
        }
        if self.owners[index].work.iter().any(|work| !work.is_empty()) {
            self.plan_commit(index);
        }
        Ok(())
    }

    pub(super) fn confirm(&mut self, index: usize, delivery: Delivery) {
        let now = self.time();
        if self.owners[index].alive {
            self.owners[index].channel.confirm(now, delivery);
            self.pump_owner(index);
        }
    }

    pub(super) fn pump_owner(&mut self, index: usize) {
        let now = self.time();
        if !self.owners[index].alive {
            return;
        }
        let lanes = self.owners[index].channel.lanes();
        while let Some(ack) = self.owners[index].channel.poll_transmit(now) {
            self.reply(ack.to, Packet::Ack(ack));
        }
        if self.owners[index].channel.lanes() < lanes {
            self.stats.count(Happened::ForgottenLane);
        }
        if let Some(at) = self.owners[index].channel.poll_timeout() {
            let at = (at.as_micros() as u64).max(self.now + 1);
            if at < self.owners[index].timer_at {
                self.owners[index].timer_at = at;
                self.at(at, Event::OwnerTimer(index, at));
            }
        }
    }
}
