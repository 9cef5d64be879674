//! How a run ends: with a broken rule, or with counts of what it went through.

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

/// What a run may go through. All of it must happen in some runs, or they test less than they seem to.
#[derive(Debug, Clone, Copy)]
pub enum Happened {
    Delivery,
    Duplicate,
    Gap,
    FullReceiver,
    Refusal,
    OutdatedOwner,
    SupersededSender,
    RepeatedEffect,
    FencedWrite,
    RefusedPush,
    Probe,
    StaleAck,
    ForgottenLane,
    NewGeneration,
}

impl Happened {
    const ALL: [Happened; 14] = [
        Happened::Delivery,
        Happened::Duplicate,
        Happened::Gap,
        Happened::FullReceiver,
        Happened::Refusal,
        Happened::OutdatedOwner,
        Happened::SupersededSender,
        Happened::RepeatedEffect,
        Happened::FencedWrite,
        Happened::RefusedPush,
        Happened::Probe,
        Happened::StaleAck,
        Happened::ForgottenLane,
        Happened::NewGeneration,
    ];
}

/// How often it did.
#[derive(Debug, Default)]
pub struct Stats([u64; Happened::ALL.len()]);

impl Stats {
    pub fn count(&mut self, what: Happened) {
        self.0[what as usize] += 1;
    }

    pub fn add(&mut self, other: &Stats) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub fn assert_everything_happened(&self) {
        for what in Happened::ALL {
            assert!(self.0[what as usize] > 0, "no run had a {what:?}");
        }
    }
}
