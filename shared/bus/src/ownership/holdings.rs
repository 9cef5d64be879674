//! What a router holds, should take and should release.

use super::{Members, Time};
use crate::NodeId;
use std::collections::BTreeSet;

/// Limits of taking over.
#[derive(Debug, Clone, Copy)]
pub struct HoldingsLimits {
    /// How many partitions are taken at the same time: each is a write to the database and a subscription.
    pub takes_max: usize,
    /// How long a live owner may take to release; then the partition is taken from it by epoch.
    pub release_max: Time,
    /// How long after a failed attempt to take the next one comes.
    pub retry_after: Time,
}

impl Default for HoldingsLimits {
    fn default() -> HoldingsLimits {
        HoldingsLimits { takes_max: 64, release_max: Time::from_secs(5), retry_after: Time::from_millis(200) }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Raise the epoch in the database, subscribe, announce; then [`Holdings::taken`].
    Take(u32),
    /// Stop at a stanza boundary, flush, announce; then [`Holdings::released`].
    Release {
        /// The partition.
        partition: u32,
        /// The epoch under which it is held.
        epoch: u64,
    },
}

/// The partitions as one router sees them.
#[derive(Debug)]
pub struct Holdings {
    me: NodeId,
    limits: HoldingsLimits,
    members: Members,
    slots: Vec<Slot>,
    /// Those that wait to be taken, and from when on they may be.
    waiting: BTreeSet<(Time, u32)>,
    /// Those to release, not given out yet.
    releases: BTreeSet<u32>,
    taking: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    /// The last owner that was heard of and has not released.
    claim: Option<Claim>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    node: NodeId,
    epoch: u64,
    /// It was live and is no more. One that was not seen yet may be a newcomer.
    gone: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not held.
    #[default]
    Idle,
    /// Wanted, but not before this.
    Waiting { at: Time, reason: Wait },
    /// [`Duty::Take`] was given out.
    Taking,
    /// Held; the router acts for it.
    Held { epoch: u64 },
    /// To be released, or [`Duty::Release`] was given out. The router acts for it until it has.
    Releasing { epoch: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For the owner to release, if there is one.
    Owner,
    /// After a failure.
    Retry,
}

impl Holdings {
    /// A router that holds none of so many partitions.
    pub fn new(me: NodeId, partitions: u32, limits: HoldingsLimits) -> Holdings {
        Holdings {
            me,
            limits,
            members: Members::default(),
            slots: vec![Slot::default(); partitions as usize],
            waiting: BTreeSet::new(),
            releases: BTreeSet::new(),
            taking: 0,
        }
    }

    /// The live routers changed.
    pub fn view(&mut self, now: Time, members: Members) {
        let before = std::mem::replace(&mut self.members, members);
        for claim in self.slots.iter_mut().filter_map(|slot| slot.claim.as_mut()) {
            claim.gone = !self.members.contains(claim.node) && (claim.gone || before.contains(claim.node));
        }
        for partition in 0..self.slots.len() as u32 {
            self.review(now, partition);
        }
    }

    /// What to do. Poll until there is nothing.
    pub fn poll(&mut self, now: Time) -> Option<Duty> {
        while let Some(partition) = self.releases.pop_first() {
            if let State::Releasing { epoch } = self.slots[partition as usize].state {
                return Some(Duty::Release { partition, epoch });
            }
        }
        let &(at, partition) = self.waiting.first()?;
        if at > now || self.taking >= self.limits.takes_max {
            return None;
        }
        self.enter(partition, State::Taking);
        Some(Duty::Take(partition))
    }

    /// When to poll again although nothing happened.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.taking >= self.limits.takes_max {
            return None;
        }
        self.waiting.first().map(|(at, _)| *at)
    }

    /// The epoch under which the router may act for the partition, if it may.
    pub fn epoch(&self, partition: u32) -> Option<u64> {
        match self.slots.get(partition as usize)?.state {
            State::Held { epoch } | State::Releasing { epoch } => Some(epoch),
            State::Idle | State::Waiting { .. } | State::Taking => None,
        }
    }

    /// The owner that was heard of last, and its epoch.
    pub fn claim(&self, partition: u32) -> Option<(NodeId, u64)> {
        self.slots.get(partition as usize)?.claim.map(|claim| (claim.node, claim.epoch))
    }

    /// How many partitions the router acts for.
    pub fn held(&self) -> usize {
        (0..self.slots.len() as u32).filter(|partition| self.epoch(*partition).is_some()).count()
    }

    /// A [`Duty::Take`] succeeded with this epoch. False when another took it since: do not act for it.
    pub fn taken(&mut self, now: Time, partition: u32, epoch: u64) -> bool {
        let Some(slot) = self.slots.get_mut(partition as usize) else {
            return false;
        };
        if slot.state != State::Taking {
            return false; // the lease was lost meanwhile
        }
        let beaten = slot.claim.is_some_and(|claim| claim.epoch >= epoch);
        if beaten {
            self.enter(partition, State::Idle);
        } else {
            slot.claim = Some(Claim { node: self.me, epoch, gone: false });
            self.enter(partition, State::Held { epoch });
        }
        self.review(now, partition);
        !beaten
    }

    /// A [`Duty::Take`] failed: it will be tried again while it is wanted.
    pub fn take_failed(&mut self, now: Time, partition: u32) {
        if self.state(partition) == Some(State::Taking) {
            self.enter(partition, State::Waiting { at: now + self.limits.retry_after, reason: Wait::Retry });
            self.review(now, partition);
        }
    }

    /// A [`Duty::Release`] is done.
    pub fn released(&mut self, now: Time, partition: u32) {
        if let Some(State::Releasing { epoch }) = self.state(partition) {
            self.enter(partition, State::Idle);
            self.freed(now, partition, epoch);
        }
    }

    /// An owner was announced. True when this router acted for the partition and must stop now.
    pub fn claimed(&mut self, now: Time, partition: u32, node: NodeId, epoch: u64) -> bool {
        let Some(slot) = self.slots.get_mut(partition as usize) else {
            return false;
        };
        if node == self.me || slot.claim.is_some_and(|claim| claim.epoch >= epoch) {
            return false;
        }
        slot.claim = Some(Claim { node, epoch, gone: false });
        if matches!(slot.state, State::Waiting { .. }) {
            // It is the other's for as long as a release may take, even where views differ.
            self.enter(partition, State::Idle);
        }
        self.lose_below(now, partition, epoch)
    }

    /// The database refused a write for the partition: its epoch there is this one. True as above.
    pub fn fenced(&mut self, now: Time, partition: u32, epoch: u64) -> bool {
        self.epoch(partition).is_some() && self.lose_below(now, partition, epoch)
    }

    /// A release was announced: whoever wants the partition need not wait longer. True as above: where
    /// a later owner has come and gone, its announcement was lost.
    pub fn freed(&mut self, now: Time, partition: u32, epoch: u64) -> bool {
        let Some(slot) = self.slots.get_mut(partition as usize) else {
            return false;
        };
        if slot.claim.is_some_and(|claim| claim.epoch <= epoch) {
            slot.claim = None;
        }
        self.lose_below(now, partition, epoch)
    }

    /// The lease is lost: nothing is held any more, and nothing wanted before the next view. Duties
    /// that are under way are abandoned, and their outcomes not reported.
    pub fn stop(&mut self) {
        self.members = Members::default();
        for partition in 0..self.slots.len() as u32 {
            if self.epoch(partition).is_some() {
                self.slots[partition as usize].claim = None;
            }
            self.enter(partition, State::Idle);
        }
    }

    fn state(&self, partition: u32) -> Option<State> {
        self.slots.get(partition as usize).map(|slot| slot.state)
    }

    /// Gives up what is held under a lower epoch than this.
    fn lose_below(&mut self, now: Time, partition: u32, epoch: u64) -> bool {
        let lost = self.epoch(partition).is_some_and(|held| held < epoch);
        if lost {
            self.enter(partition, State::Idle);
        }
        self.review(now, partition);
        lost
    }

    /// Compares what is with what should be.
    fn review(&mut self, now: Time, partition: u32) {
        let wanted = self.members.owner(partition) == Some(self.me);
        let Slot { claim, state } = self.slots[partition as usize];
        match state {
            State::Idle if wanted => {
                let at = if self.is_anothers(claim) { now + self.limits.release_max } else { now };
                self.enter(partition, State::Waiting { at, reason: Wait::Owner });
            }
            // The owner that it waited for has released, or died.
            State::Waiting { at, reason: Wait::Owner } if wanted && at > now && !self.is_anothers(claim) => {
                self.enter(partition, State::Waiting { at: now, reason: Wait::Owner });
            }
            State::Waiting { .. } if wanted => {}
            State::Waiting { .. } => self.enter(partition, State::Idle),
            State::Held { epoch } if !wanted => {
                self.enter(partition, State::Releasing { epoch });
            }
            State::Idle | State::Taking | State::Held { .. } | State::Releasing { .. } => {}
        }
    }

    fn is_anothers(&self, claim: Option<Claim>) -> bool {
        claim.is_some_and(|claim| claim.node != self.me && !claim.gone)
    }

    fn enter(&mut self, partition: u32, next: State) {
        let before = std::mem::replace(&mut self.slots[partition as usize].state, next);
        match before {
            State::Waiting { at, .. } => {
                self.waiting.remove(&(at, partition));
            }
            State::Releasing { .. } => {
                self.releases.remove(&partition);
            }
            State::Taking => self.taking -= 1,
            State::Idle | State::Held { .. } => {}
        }
        match next {
            State::Waiting { at, .. } => {
                self.waiting.insert((at, partition));
            }
            State::Releasing { .. } => {
                self.releases.insert(partition);
            }
            State::Taking => self.taking += 1,
            State::Idle | State::Held { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Member;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const PARTITIONS: u32 = 12;

    fn ms(value: u64) -> Time {
        Time::from_millis(value)
    }

    fn view(nodes: &[u64]) -> Members {
        Members::new(nodes.iter().map(|n| Member::new(&format!("router-{n}"), NodeId(*n))))
    }

    fn alone() -> Holdings {
        let mut holdings = Holdings::new(NodeId(1), 2, HoldingsLimits::default());
        holdings.view(ms(0), view(&[1]));
        holdings
    }

    #[test]
    fn what_nobody_owns_is_taken_at_once() {
        let mut holdings = alone();
        assert_eq!(holdings.poll(ms(0)), Some(Duty::Take(0)));
        assert_eq!(holdings.poll(ms(0)), Some(Duty::Take(1)));
        assert_eq!(holdings.poll(ms(0)), None);
        assert_eq!(holdings.epoch(0), None, "not yet");
        assert!(holdings.taken(ms(1), 0, 5));
        assert_eq!((holdings.epoch(0), holdings.held()), (Some(5), 1));
    }

    #[test]
    fn takes_are_limited_and_failures_wait() {
        let limits = HoldingsLimits { takes_max: 1, ..HoldingsLimits::default() };
        let mut holdings = Holdings::new(NodeId(1), 2, limits);
        holdings.view(ms(0), view(&[1]));
        assert_eq!(holdings.poll(ms(0)), Some(Duty::Take(0)));
        assert_eq!((holdings.poll(ms(0)), holdings.poll_timeout()), (None, None));
        holdings.take_failed(ms(10), 0);
        assert_eq!(holdings.poll(ms(10)), Some(Duty::Take(1)));
        assert!(holdings.taken(ms(11), 1, 1));
        assert_eq!((holdings.poll(ms(11)), holdings.poll_timeout()), (None, Some(ms(210))));
        assert_eq!(holdings.poll(ms(210)), Some(Duty::Take(0)));
    }

    #[test]
    fn a_live_owner_is_given_time_to_release() {
        let mut holdings = Holdings::new(NodeId(1), 1, HoldingsLimits::default());
        holdings.claimed(ms(0), 0, NodeId(9), 7);
        holdings.view(ms(0), view(&[1]));
        assert_eq!((holdings.poll(ms(0)), holdings.poll_timeout()), (None, Some(ms(5000))));
        holdings.freed(ms(30), 0, 6);
        assert_eq!(holdings.poll(ms(30)), None, "an earlier release than the claim");
        holdings.freed(ms(40), 0, 7);
        assert_eq!(holdings.poll(ms(40)), Some(Duty::Take(0)));
    }

    #[test]
    fn a_dead_owner_is_not_waited_for() {
        let mut holdings = Holdings::new(NodeId(1), PARTITIONS, HoldingsLimits::default());
        holdings.view(ms(0), view(&[1, 2]));
        let others = (0..PARTITIONS).find(|p| view(&[1, 2]).owner(*p) == Some(NodeId(2))).unwrap();
        holdings.claimed(ms(1), others, NodeId(2), 3);
        while holdings.poll(ms(2)).is_some() {}
        holdings.view(ms(3), view(&[1]));
        let takes: Vec<Duty> = std::iter::from_fn(|| holdings.poll(ms(3))).collect();
        assert!(takes.contains(&Duty::Take(others)), "{takes:?}");
    }

    #[test]
    fn a_higher_epoch_ends_it() {
        let mut holdings = alone();
        while holdings.poll(ms(0)).is_some() {}
        holdings.taken(ms(1), 0, 5);
        assert!(!holdings.claimed(ms(2), 0, NodeId(2), 5));
        assert!(holdings.claimed(ms(2), 0, NodeId(2), 6), "stop");
        assert_eq!((holdings.epoch(0), holdings.claim(0)), (None, Some((NodeId(2), 6))));
        holdings.claimed(ms(3), 1, NodeId(2), 9);
        assert!(!holdings.taken(ms(4), 1, 8), "another was faster");
        assert_eq!(holdings.epoch(1), None);
    }

    #[test]
    fn without_a_lease_nothing_is_held() {
        let mut holdings = alone();
        while holdings.poll(ms(0)).is_some() {}
        holdings.taken(ms(1), 0, 5);
        holdings.stop();
        assert_eq!((holdings.held(), holdings.poll(ms(2))), (0, None));
        assert!(!holdings.taken(ms(2), 1, 1));
        holdings.view(ms(3), view(&[1]));
        assert_eq!(holdings.poll(ms(3)), Some(Duty::Take(0)), "again, with a new epoch");
    }

    /// Routers with one database, and announcements on their way.
    struct Cluster {
        now: Time,
        live: BTreeMap<u64, Holdings>,
        epochs: Vec<u64>,
        announcements: Vec<(u64, Announcement)>,
        takes: usize,
    }

    #[derive(Clone, Copy)]
    enum Announcement {
        Claimed(u32, NodeId, u64),
        Freed(u32, u64),
    }

    impl Cluster {
        fn new() -> Cluster {
            let epochs = vec![0; PARTITIONS as usize];
            Cluster { now: ms(0), live: BTreeMap::new(), epochs, announcements: Vec::new(), takes: 0 }
        }

        fn announce(&mut self, from: u64, what: Announcement) {
            let others = self.live.keys().copied().filter(|to| *to != from);
            self.announcements.extend(others.map(|to| (to, what)));
        }

        fn work(&mut self, node: u64) -> bool {
            let now = self.now;
            let Some(holdings) = self.live.get_mut(&node) else { return false };
            match holdings.poll(now) {
                Some(Duty::Take(partition)) => {
                    self.takes += 1;
                    self.epochs[partition as usize] += 1;
                    let epoch = self.epochs[partition as usize];
                    if holdings.taken(now, partition, epoch) {
                        self.announce(node, Announcement::Claimed(partition, NodeId(node), epoch));
                    }
                }
                Some(Duty::Release { partition, epoch }) => {
                    holdings.released(now, partition);
                    self.announce(node, Announcement::Freed(partition, epoch));
                }
                None => return false,
            }
            true
        }

        fn hear(&mut self, which: usize) {
            if self.announcements.is_empty() {
                return;
            }
            let (to, what) = self.announcements.remove(which % self.announcements.len());
            let Some(holdings) = self.live.get_mut(&to) else { return };
            match what {
                Announcement::Claimed(partition, node, epoch) => {
                    holdings.claimed(self.now, partition, node, epoch);
                }
                Announcement::Freed(partition, epoch) => {
                    holdings.freed(self.now, partition, epoch);
                }
            }
        }

        /// The router writes something for each partition, and the database compares epochs.
        fn write(&mut self, node: u64) {
            let Some(holdings) = self.live.get_mut(&node) else { return };
            for (partition, epoch) in (0..).zip(&self.epochs) {
                if holdings.epoch(partition).is_some_and(|held| held < *epoch) {
                    assert!(holdings.fenced(self.now, partition, *epoch));
                }
            }
        }

        fn see(&mut self, node: u64, seen: &[u64]) {
            if let Some(holdings) = self.live.get_mut(&node) {
                holdings.view(self.now, view(seen));
            }
        }

        /// All see the same, and nothing goes wrong any more.
        fn settle(&mut self) {
            let nodes: Vec<u64> = self.live.keys().copied().collect();
            for round in 0..80 {
                nodes.iter().for_each(|node| self.see(*node, &nodes));
                while !self.announcements.is_empty() {
                    self.hear(0);
                }
                for node in &nodes {
                    while self.work(*node) {}
                    self.write(*node);
                }
                self.now += ms(100 * (round % 2 + 1));
            }
        }

        fn assert_settled(&self) {
            let nodes: Vec<u64> = self.live.keys().copied().collect();
            let members = view(&nodes);
            for partition in 0..PARTITIONS {
                let epoch = self.epochs[partition as usize];
                for (node, holdings) in &self.live {
                    let owns = members.owner(partition) == Some(NodeId(*node));
                    assert_eq!(holdings.epoch(partition), owns.then_some(epoch), "{node}: {partition}");
                }
            }
        }
    }

    #[test]
    fn a_newcomer_gets_its_share_and_nothing_else_moves() {
        let mut cluster = Cluster::new();
        for node in 1..=3 {
            cluster.live.insert(node, Holdings::new(NodeId(node), PARTITIONS, HoldingsLimits::default()));
        }
        cluster.settle();
        cluster.assert_settled();
        assert_eq!(cluster.takes, PARTITIONS as usize, "each once");
        cluster.live.insert(4, Holdings::new(NodeId(4), PARTITIONS, HoldingsLimits::default()));
        cluster.settle();
        cluster.assert_settled();
        let moves = view(&[1, 2, 3]).moves(&view(&[1, 2, 3, 4]), PARTITIONS).count();
        // It has heard no claims, so it takes at once, and the owners learn that they are superseded.
        assert_eq!(cluster.takes, PARTITIONS as usize + moves);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join(u64),
        Crash(u64),
        See(u64, Vec<u64>),
        Work(u64),
        Hear(usize),
        LoseAnnouncement(usize),
        LoseLease(u64),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let node = || 1u64..5;
        let step = prop_oneof![
            1 => node().prop_map(Step::Join),
            1 => node().prop_map(Step::Crash),
            3 => (node(), proptest::collection::vec(node(), 0..5)).prop_map(|(n, seen)| Step::See(n, seen)),
            20 => node().prop_map(Step::Work),
            20 => any::<usize>().prop_map(Step::Hear),
            2 => any::<usize>().prop_map(Step::LoseAnnouncement),
            1 => node().prop_map(Step::LoseLease),
            3 => (1u64..3000).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever was seen, heard, lost or late: when all see the same, each partition has the
        /// owner that it should, under the highest epoch, and nobody else acts for it.
        #[test]
        fn in_the_end_everyone_agrees(steps in steps()) {
            let mut cluster = Cluster::new();
            for step in steps {
                match step {
                    Step::Join(node) => {
                        let new = || Holdings::new(NodeId(node), PARTITIONS, HoldingsLimits::default());
                        cluster.live.entry(node).or_insert_with(new);
                    }
                    Step::Crash(node) => drop(cluster.live.remove(&node)),
                    Step::See(node, seen) => cluster.see(node, &seen),
                    Step::Work(node) => drop(cluster.work(node)),
                    Step::Hear(which) => cluster.hear(which),
                    Step::LoseAnnouncement(which) if !cluster.announcements.is_empty() => {
                        let which = which % cluster.announcements.len();
                        cluster.announcements.remove(which);
                    }
                    Step::LoseAnnouncement(_) => {}
                    Step::LoseLease(node) => {
                        if let Some(holdings) = cluster.live.get_mut(&node) {
                            holdings.stop();
                        }
                    }
                    Step::Pass(time) => cluster.now += ms(time),
                }
            }
            cluster.settle();
            cluster.assert_settled();
        }
    }
}
