//! The actors of a run, what happens to them, and the rules.

use crate::channel::{
    Ack, Body, Delivery, Frame, Head, Heard, Instance, Lane, PushError, Receiver, Refusal, Sender, Standing,
    Time, Verdict, Window,
};
use crate::network::{Path, Weather};
use crate::plan::{Fault, Plan};
use crate::store::{Item, Store, Written};
use std::collections::{BTreeMap, VecDeque};

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Confirmed to the sender, but not in the store.
    ConfirmedNotDurable,
    /// The store saw a session's messages out of order, with a hole or twice.
    StoreOrder,
    /// A receiver delivered what it had delivered before.
    Duplicate,
    /// A receiver left something out that nobody had confirmed.
    Gap,
    /// A receiver delivered from a sender after one with a higher epoch.
    Superseded,
    /// A receiver forgot a lane that was not silent.
    Forgot,
    /// More is held than the limits say.
    Unbounded,
    /// The faults are over, but not everything was confirmed in time.
    Stuck,
    /// All was said, but they go on talking.
    Restless,
}

/// How often things happened, to see that the simulation reaches them.
#[derive(Debug, Default)]
pub struct Stats {
    delivered: u64,
    duplicates: u64,
    gaps: u64,
    full: u64,
    refused: u64,
    outdated: u64,
    superseded: u64,
    repeated_effects: u64,
    writes_fenced: u64,
    pushes_refused: u64,
    probes: u64,
    stale_acks: u64,
    forgotten: u64,
    new_generations: u64,
}

impl Stats {
    pub fn add(&mut self, other: &Stats) {
        let mine = self.counters();
        for (mine, (_, theirs)) in mine.into_iter().zip(other.list()) {
            *mine += theirs;
        }
    }

    pub fn assert_everything_happened(&self) {
        for (name, count) in self.list() {
            assert!(count > 0, "no run had {name}: {self:?}");
        }
    }

    fn counters(&mut self) -> [&mut u64; 14] {
        [
            &mut self.delivered,
            &mut self.duplicates,
            &mut self.gaps,
            &mut self.full,
            &mut self.refused,
            &mut self.outdated,
            &mut self.superseded,
            &mut self.repeated_effects,
            &mut self.writes_fenced,
            &mut self.pushes_refused,
            &mut self.probes,
            &mut self.stale_acks,
            &mut self.forgotten,
            &mut self.new_generations,
        ]
    }

    fn list(&self) -> [(&'static str, u64); 14] {
        [
            ("deliveries", self.delivered),
            ("duplicates", self.duplicates),
            ("gaps", self.gaps),
            ("full receivers", self.full),
            ("refusals", self.refused),
            ("outdated owners", self.outdated),
            ("superseded senders", self.superseded),
            ("repeated effects", self.repeated_effects),
            ("fenced writes", self.writes_fenced),
            ("refused pushes", self.pushes_refused),
            ("probes", self.probes),
            ("stale acknowledgements", self.stale_acks),
            ("forgotten lanes", self.forgotten),
            ("new generations", self.new_generations),
        ]
    }
}

#[derive(Debug, Clone)]
enum Packet {
    Frames(Vec<(Head, Frame, Option<Item>)>),
    Ack(Ack),
    Refusal(Refusal),
    Announce(Instance),
}

#[derive(Debug)]
enum Event {
    Push,
    ToOwner(usize, Packet),
    ToSender(usize, Packet),
    SenderTimer(usize, u64),
    OwnerTimer(usize, u64),
    Commit(usize),
    Confirm(usize, Delivery),
    TakeOver,
    Mend { forth: bool, back: bool, reconnect: bool },
    Strike(Fault),
    CalmDown,
}

/// A process at the sending end. It stays in the list when it is dead.
struct SenderNode {
    me: Instance,
    channel: Sender<Item>,
    alive: bool,
    paused_until: u64,
    timer_at: u64,
    /// What was pushed, by number: the checker's memory, not the channel's.
    log: Vec<Item>,
}

/// An owner of the target. It stays in the list when it is dead.
struct OwnerNode {
    me: Instance,
    channel: Receiver,
    alive: bool,
    paused_until: u64,
    stalled_until: u64,
    timer_at: u64,
    commit_planned: bool,
    /// Delivered and not yet committed, by session.
    work: Vec<VecDeque<(Delivery, Item)>>,
    /// What the checker knows of each lane here.
    seen: BTreeMap<Lane, Seen>,
    /// The way from the senders.
    forth: Path,
}

#[derive(Clone, Copy)]
struct Seen {
    from: Instance,
    generation: u64,
    next: u64,
    at: u64,
    /// It was silent for so long that the receiver may have forgotten it.
    forgotten: bool,
}

#[derive(Default)]
struct Session {
    pushed: u64,
    confirmed: u64,
}

const LANE: u64 = 7;
/// After the faults, everything must be confirmed within this.
const LIVE_US: u64 = 30_000_000;

pub struct World {
    plan: Plan,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    counter: u64,
    sessions: Vec<Session>,
    senders: Vec<SenderNode>,
    owners: Vec<OwnerNode>,
    store: Store,
    back: Path,
    calm: bool,
    packets: u64,
    stats: Stats,
    trace: Option<Vec<String>>,
}

type Checked = Result<(), Violation>;

impl World {
    pub fn new(plan: Plan, trace: bool) -> World {
        let sessions = plan.totals.len();
        let mut world = World {
            now: 0,
            events: BTreeMap::new(),
            counter: 0,
            sessions: (0..sessions).map(|_| Session::default()).collect(),
            senders: Vec::new(),
            owners: Vec::new(),
            store: Store::new(sessions, !plan.not_idempotent),
            back: Path::default(),
            calm: false,
            packets: 0,
            stats: Stats::default(),
            trace: trace.then(Vec::new),
            plan,
        };
        world.start_sender();
        world.take_over();
        world.at(0, Event::Push);
        for (at, fault) in world.plan.faults.clone() {
            world.at(at, Event::Strike(fault));
        }
        world.at(world.plan.faults_until_us, Event::CalmDown);
        world
    }

    pub fn run(&mut self) -> Result<Stats, Violation> {
        let deadline = self.plan.faults_until_us + LIVE_US;
        while !(self.calm && self.all_confirmed()) {
            match self.events.first_key_value() {
                Some((&(at, _), _)) if at <= deadline => self.step()?,
                _ => return Err(Violation::Stuck),
            }
        }
        self.check_quiet()?;
        Ok(std::mem::take(&mut self.stats))
    }

    pub fn trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Once all is confirmed, the last acknowledgements pass, then nobody says anything, and in the end
    /// the receivers remember nothing.
    fn check_quiet(&mut self) -> Checked {
        let settled = self.now + 10_000_000;
        while let Some((&(at, _), _)) = self.events.first_key_value()
            && at <= settled
        {
            self.step()?;
        }
        let packets = self.packets;
        let later = settled + 20_000_000;
        while let Some((&(at, _), _)) = self.events.first_key_value()
            && at <= later
        {
            self.step()?;
        }
        let remembered =
            self.owners.iter().filter(|owner| owner.alive).any(|owner| owner.channel.lanes() > 0);
        if self.packets > packets || remembered {
            return Err(Violation::Restless);
        }
        Ok(())
    }

    fn all_confirmed(&self) -> bool {
        self.sessions.iter().zip(&self.plan.totals).all(|(session, total)| session.confirmed == *total)
    }

    fn step(&mut self) -> Checked {
        let Some(((at, _), event)) = self.events.pop_first() else {
            return Ok(());
        };
        self.now = at;
        let paused_until = match &event {
            Event::ToOwner(owner, _)
            | Event::OwnerTimer(owner, _)
            | Event::Commit(owner)
            | Event::Confirm(owner, _) => self.owners[*owner].paused_until,
            Event::ToSender(sender, _) | Event::SenderTimer(sender, _) => self.senders[*sender].paused_until,
            Event::Push => self.senders.last().map_or(0, |sender| sender.paused_until),
            _ => 0,
        };
        if paused_until > at {
            self.at(paused_until, event); // in the order that they came
            return Ok(());
        }
        self.note(|| format!("{event:?}"));
        match event {
            Event::Push => self.push(),
            Event::ToOwner(owner, packet) => self.owner_hears(owner, packet),
            Event::ToSender(sender, packet) => self.sender_hears(sender, packet),
            Event::SenderTimer(sender, planned) if planned == self.senders[sender].timer_at => {
                self.senders[sender].timer_at = u64::MAX;
                self.pump_sender(sender)
            }
            Event::OwnerTimer(owner, planned) if planned == self.owners[owner].timer_at => {
                self.owners[owner].timer_at = u64::MAX;
                self.pump_owner(owner);
                Ok(())
            }
            // An earlier one took its place.
            Event::SenderTimer(..) | Event::OwnerTimer(..) => Ok(()),
            Event::Commit(owner) => self.commit(owner),
            Event::Confirm(owner, delivery) => {
                self.confirm(owner, delivery);
                Ok(())
            }
            Event::TakeOver => {
                self.take_over();
                Ok(())
            }
            Event::Mend { forth, back, reconnect } => self.mend(forth, back, reconnect),
            Event::Strike(fault) => self.strike(fault),
            Event::CalmDown => self.calm_down(),
        }
    }

    // The sending end.

    fn start_sender(&mut self) {
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
    }

    fn push(&mut self) -> Checked {
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
                    self.stats.pushes_refused += 1;
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

    fn pump_sender(&mut self, index: usize) -> Checked {
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
                    self.stats.probes += 1;
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

    fn sender_hears(&mut self, index: usize, packet: Packet) -> Checked {
        let now = self.time();
        if !self.senders[index].alive {
            return Ok(());
        }
        let channel = &mut self.senders[index].channel;
        match packet {
            Packet::Ack(ack) => {
                if channel.handle_ack(now, &ack) == Heard::Stale {
                    self.stats.stale_acks += 1;
                }
            }
            Packet::Refusal(refusal) => {
                if matches!(channel.handle_refusal(&refusal), Standing::Superseded { .. }) {
                    self.stats.superseded += 1;
                    // A receiver may only say so when it is true.
                    assert!(index + 1 < self.senders.len(), "the present sender was superseded");
                }
            }
            Packet::Announce(owner) => channel.announced(now, owner),
            Packet::Frames(_) => unreachable!("frames go to owners"),
        }
        self.pump_sender(index)
    }

    fn check_sender_bounds(&self, index: usize) -> Checked {
        let (messages, bytes) = self.senders[index].channel.held();
        let limit = self.plan.sender.window;
        let too_many = messages > limit.messages as usize && messages > 1;
        if too_many || (bytes > u64::from(limit.bytes) && messages > 1) {
            return Err(Violation::Unbounded);
        }
        Ok(())
    }

    // The receiving end.

    fn take_over(&mut self) {
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

    fn owner_hears(&mut self, index: usize, packet: Packet) -> Checked {
        let now = self.time();
        let Packet::Frames(frames) = packet else {
            return Ok(());
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
                    self.stats.delivered += 1;
                    if let Some(item) = item {
                        self.owners[index].work[item.session].push_back((delivery, item));
                    }
                    if self.plan.confirms_early {
                        self.owners[index].channel.confirm(now, delivery);
                    }
                    self.plan_commit(index);
                }
                Verdict::Duplicate => self.stats.duplicates += 1,
                Verdict::Gap => self.stats.gaps += 1,
                Verdict::Full => self.stats.full += 1,
                Verdict::Probed => {}
                Verdict::Refused(refusal) => {
                    self.stats.refused += 1;
                    self.reply(head.from, Packet::Refusal(refusal));
                    continue;
                }
                Verdict::Outdated { owner } => {
                    assert!(owner.epoch > self.owners[index].me.epoch);
                    self.stats.outdated += 1;
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
    fn check_delivery(&mut self, index: usize, head: &Head, delivery: Delivery) -> Checked {
        let seen = self.owners[index].seen.get(&head.lane).copied();
        let mut next = 1;
        if let Some(seen) = seen {
            if head.from.epoch < seen.from.epoch && !seen.forgotten {
                return Err(Violation::Superseded);
            }
            if delivery.generation == seen.generation {
                next = seen.next;
            } else if head.from == seen.from {
                self.stats.new_generations += 1;
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

    fn check_owner_bounds(&self, index: usize, lane: Lane) -> Checked {
        let (messages, bytes) = self.owners[index].channel.pending(lane);
        let Window { messages: messages_max, bytes: bytes_max } = self.plan.receiver.window;
        let too_many = messages > messages_max as usize;
        let too_much = bytes > u64::from(bytes_max) && messages > 1;
        if too_many || too_much || self.owners[index].channel.lanes() > self.plan.receiver.lanes_max {
            return Err(Violation::Unbounded);
        }
        Ok(())
    }

    fn plan_commit(&mut self, index: usize) {
        if !self.owners[index].commit_planned {
            self.owners[index].commit_planned = true;
            let after = self.plan.rng.range(1, self.plan.commit_every_us * 2);
            let at = (self.now + after).max(self.owners[index].stalled_until);
            self.at(at, Event::Commit(index));
        }
    }

    /// Writes what some sessions have waiting; each session's in order, each perhaps only in part.
    fn commit(&mut self, index: usize) -> Checked {
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
                    Written::Already => self.stats.repeated_effects += 1,
                    Written::OutOfOrder => return Err(Violation::StoreOrder),
                    Written::Fenced => {
                        self.stats.writes_fenced += 1;
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

    fn confirm(&mut self, index: usize, delivery: Delivery) {
        let now = self.time();
        if self.owners[index].alive {
            self.owners[index].channel.confirm(now, delivery);
            self.pump_owner(index);
        }
    }

    fn pump_owner(&mut self, index: usize) {
        let now = self.time();
        if !self.owners[index].alive {
            return;
        }
        let lanes = self.owners[index].channel.lanes();
        while let Some(ack) = self.owners[index].channel.poll_transmit(now) {
            self.reply(ack.to, Packet::Ack(ack));
        }
        self.stats.forgotten += lanes.saturating_sub(self.owners[index].channel.lanes()) as u64;
        if let Some(at) = self.owners[index].channel.poll_timeout() {
            let at = (at.as_micros() as u64).max(self.now + 1);
            if at < self.owners[index].timer_at {
                self.owners[index].timer_at = at;
                self.at(at, Event::OwnerTimer(index, at));
            }
        }
    }

    // The network.

    /// A subject may have several subscribers: a former owner that does not know it.
    fn send_to_owners(&mut self, packet: Packet) {
        for owner in 0..self.owners.len() {
            if self.owners[owner].alive {
                self.packets += 1;
                let arrivals =
                    self.owners[owner].forth.send(self.now, &self.plan.weather, &mut self.plan.rng);
                for at in arrivals.into_iter().flatten() {
                    self.at(at, Event::ToOwner(owner, packet.clone()));
                }
            }
        }
    }

    fn reply(&mut self, to: Instance, packet: Packet) {
        if let Some(sender) = self.senders.iter().position(|sender| sender.me == to) {
            self.send_to_sender(sender, packet);
        }
    }

    fn send_to_sender(&mut self, sender: usize, packet: Packet) {
        self.packets += 1;
        let arrivals = self.back.send(self.now, &self.plan.weather, &mut self.plan.rng);
        for at in arrivals.into_iter().flatten() {
            self.at(at, Event::ToSender(sender, packet.clone()));
        }
    }

    // The faults.

    fn strike(&mut self, fault: Fault) -> Checked {
        if self.calm {
            return Ok(());
        }
        let (sender, owner) = (self.senders.len() - 1, self.owners.len() - 1);
        match fault {
            Fault::SenderCrash => {
                self.senders[sender].alive = false;
                self.start_sender();
            }
            Fault::SenderSuperseded if self.plan.lane_has_epochs => self.start_sender(),
            Fault::SenderSuperseded => {}
            Fault::SenderPause(time) => self.senders[sender].paused_until = self.now + time,
            Fault::OwnerCrash(time) => {
                self.owners[owner].alive = false;
                self.at(self.now + time, Event::TakeOver);
            }
            Fault::OwnerSuperseded => self.take_over(),
            Fault::OwnerPause(time) => self.owners[owner].paused_until = self.now + time,
            Fault::OwnerPausedAndSuperseded(time) => {
                self.owners[owner].paused_until = self.now + time;
                self.at(self.now + time / 2, Event::TakeOver);
            }
            Fault::Disconnect(time) => {
                self.owners.iter_mut().for_each(|owner| owner.forth.cut());
                self.back.cut();
                self.at(self.now + time, Event::Mend { forth: true, back: true, reconnect: true });
            }
            Fault::CutForth(time) => {
                self.owners[owner].forth.cut();
                self.at(self.now + time, Event::Mend { forth: true, back: false, reconnect: false });
            }
            Fault::CutBack(time) => {
                self.back.cut();
                self.at(self.now + time, Event::Mend { forth: false, back: true, reconnect: false });
            }
            Fault::Stall(time) => self.owners[owner].stalled_until = self.now + time,
            Fault::Credit(messages) => {
                let now = self.time();
                self.owners[owner].channel.set_credit(now, Window { messages, bytes: u32::MAX });
                self.pump_owner(owner);
            }
        }
        Ok(())
    }

    fn mend(&mut self, forth: bool, back: bool, reconnect: bool) -> Checked {
        let now = self.time();
        if forth {
            self.owners.iter_mut().for_each(|owner| owner.forth.mend());
        }
        if back {
            self.back.mend();
        }
        for sender in 0..self.senders.len() {
            if reconnect && self.senders[sender].alive && self.senders[sender].paused_until <= self.now {
                self.senders[sender].channel.reconnected(now);
                self.pump_sender(sender)?;
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong.
    fn calm_down(&mut self) -> Checked {
        self.calm = true;
        self.plan.weather = Weather::FAIR;
        self.owners.iter_mut().for_each(|owner| owner.forth.mend());
        self.back.mend();
        let newest = self.owners.len() - 1;
        if !self.owners[newest].alive {
            self.take_over();
        }
        for owner in 0..self.owners.len() {
            self.owners[owner].stalled_until = 0;
            let now = self.time();
            self.owners[owner].channel.set_credit(now, Window { messages: u32::MAX, bytes: u32::MAX });
            self.pump_owner(owner);
        }
        Ok(())
    }

    fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    fn at(&mut self, at: u64, event: Event) {
        self.counter += 1;
        self.events.insert((at, self.counter), event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} {}", self.now, what()));
        }
    }
}
