//! The sending end: processes that push what their sessions say, and the rules for what they hear.

use super::{Checked, Event, LANE, Packet, SenderNode, World};
use crate::channel::{Body, Frame, Heard, Instance, Lane, PushError, Sender, Standing};
use crate::outcome::{Happened, Violation};
use crate::store::Item;

impl World {
    pub(super) fn start_sender(&mut self) {
        let run = self.senders.len() as u64 + 1;
        let me = Instance { epoch: if self.plan.lane_has_epochs { run } else { 0 }, incarnation: 100 + run };
        let lane = Lane(if self.plan.lane_has_epochs { LANE } else { me.incarnation });
        // What was not confirmed is said again by whoever said it.
        for session in &mut self.sessions {
            session.pushed = session.confirmed;
        }
        self.senders.push(SenderNode {
            me,
            channel: Sender::new(lane, me, self.plan.sender),
            alive: true,
            paused_until: 0,
            timer_at: u64::MAX,
            log: Vec::new(),
        });
        if self.plan.lane_has_epochs && self.plan.rng.chance(self.plan.announce_percent) {
            self.send_to_owners(Packet::Fence(me));
        }
    }

    pub(super) fn push(&mut self) -> Checked {
        let open: Vec<usize> =
            (0..self.sessions.len()).filter(|s| self.sessions[*s].pushed < self.plan.totals[*s]).collect();
        let mut again = self.plan.push_every_us;
        if !open.is_empty() {
            let session = self.plan.rng.pick(&open);
            let bytes = self.plan.rng.range(1, self.plan.bytes_max) as u32;
            let item = Item { session, number: self.sessions[session].pushed + 1, bytes };
            let (now, current) = (self.time(), self.senders.len() - 1);
            let sender = &mut self.senders[current];
            match sender.channel.push(now, item, bytes) {
                Ok(seq) => {
                    self.sessions[session].pushed += 1;
                    sender.log.push(item);
                    assert_eq!(seq, sender.log.len() as u64);
                }
                Err(PushError::Full(same)) => {
                    assert_eq!(same, item);
                    self.stats.count(Happened::RefusedPush);
                    again = again.max(10_000);
                }
                // The node learns that it was replaced; its successor pushes.
                Err(PushError::Closed(_)) => self.start_sender(),
            }
            self.check_sender_bounds(current)?;
            self.pump_sender(current)?;
        } else {
            again = 50_000;
        }
        if !(self.calm && self.all_confirmed()) {
            let again = self.plan.rng.range(1, again * 2);
            self.at(self.now + again, Event::Push);
        }
        Ok(())
    }

    pub(super) fn pump_sender(&mut self, index: usize) -> Checked {
        let now = self.time();
        if !self.senders[index].alive {
            return Ok(());
        }
        let mut frames = Vec::new();
        while let Some(transmit) = self.senders[index].channel.poll_transmit(now) {
            frames.push(match transmit.body {
                Body::Message { seq, item } => {
                    (transmit.head, Frame::Message { seq, bytes: item.bytes }, Some(*item))
                }
                Body::Probe { next } => {
                    self.stats.count(Happened::Probe);
                    (transmit.head, Frame::Probe { next }, None)
                }
            });
        }
        for packet in frames.chunks(self.plan.frames_per_packet) {
            self.send_to_owners(Packet::Frames(packet.to_vec()));
        }
        while let Some((seq, item)) = self.senders[index].channel.poll_confirmed() {
            assert_eq!(self.senders[index].log[seq as usize - 1], item);
            if !self.store.holds(item) {
                return Err(Violation::ConfirmedNotDurable);
            }
            let session = &mut self.sessions[item.session];
            session.confirmed = session.confirmed.max(item.number);
        }
        self.check_sender_bounds(index)?;
        if let Some(at) = self.senders[index].channel.poll_timeout() {
            let at = (at.as_micros() as u64).max(self.now + 1);
            if at < self.senders[index].timer_at {
                self.senders[index].timer_at = at;
                self.at(at, Event::SenderTimer(index, at));
            }
        }
        Ok(())
    }

    pub(super) fn sender_hears(&mut self, index: usize, packet: Packet) -> Checked {
        let now = self.time();
        if !self.senders[index].alive {
            return Ok(());
        }
        let channel = &mut self.senders[index].channel;
        match packet {
            Packet::Ack(ack) => {
                if channel.handle_ack(now, &ack) == Heard::Stale {
                    self.stats.count(Happened::StaleAck);
                }
            }
            Packet::Refusal(refusal) => {
                if matches!(channel.handle_refusal(&refusal), Standing::Superseded { .. }) {
                    self.stats.count(Happened::SupersededSender);
                    // A receiver may only say so when it is true.
                    assert!(index + 1 < self.senders.len(), "the present sender was superseded");
                }
            }
            Packet::Announce(owner) => channel.announced(now, owner),
            Packet::Frames(_) | Packet::Fence(_) => unreachable!("these go to owners"),
        }
        self.pump_sender(index)
    }

    pub(super) fn check_sender_bounds(&self, index: usize) -> Checked {
        let (messages, bytes) = self.senders[index].channel.held();
        let limit = self.plan.sender.window;
        assert!(messages > 0 || bytes == 0, "{bytes} bytes in no message");
        let too_many = messages > limit.messages as usize && messages > 1;
        if too_many || (bytes > u64::from(limit.bytes) && messages > 1) {
            return Err(Violation::Unbounded);
        }
        Ok(())
    }
}
