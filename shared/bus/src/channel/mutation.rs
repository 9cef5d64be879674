//! Faults that the simulation plants into the channel, to show that its checker sees them.
//! Outside of tests there are none.

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant faults"))]
pub enum Bug {
    /// The receiver delivers what it has delivered before.
    SkipDedupe,
    /// The receiver delivers what comes after a gap.
    AcceptGap,
    /// The receiver listens to superseded senders.
    SkipFence,
    /// The receiver says confirmed when it only received.
    ConfirmReceived,
    /// The receiver takes messages beyond its window.
    SkipWindow,
    /// The sender does not re-send when the target has a new owner.
    ForgetEpochResend,
    /// The sender listens to the former owner of the target.
    TrustOldEpoch,
    /// The sender never asks after a silence.
    SkipProbe,
    /// The sender takes messages without a bound.
    SkipBound,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault for the code that this thread runs.
#[cfg(test)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(test)]
pub(super) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(not(test))]
pub(super) const fn planted(_: Bug) -> bool {
    false
}
