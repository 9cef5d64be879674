//! The actors of a run, and what happens to them, event by event.

mod faults;
mod receiving;
mod sending;

use crate::channel::{Ack, Delivery, Frame, Head, Instance, Lane, Receiver, Refusal, Sender, Time};
use crate::network::Path;
use crate::outcome::{Stats, Violation};
use crate::plan::{Fault, Plan};
use crate::store::{Item, Store};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone)]
enum Packet {
    Frames(Vec<(Head, Frame, Option<Item>)>),
    Ack(Ack),
    Refusal(Refusal),
    /// An owner took the target over.
    Announce(Instance),
    /// A sender took the lane over.
    Fence(Instance),
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
