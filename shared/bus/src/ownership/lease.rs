//! A router's right to act: a lease in a store that everybody watches, kept by heartbeats.

use super::Time;

/// The times of a lease.
#[derive(Debug, Clone, Copy)]
pub struct LeaseLimits {
    /// From one heartbeat to the next.
    pub heartbeat_every: Time,
    /// After a heartbeat reaches the store, it keeps the lease for so long.
    pub expiry: Time,
    /// The router stops so much earlier: for clocks that run at unequal speed, and for the time
    /// from a check to the end of what it allowed.
    pub margin: Time,
}

impl Default for LeaseLimits {
    fn default() -> LeaseLimits {
        LeaseLimits {
            heartbeat_every: Time::from_millis(500),
            expiry: Time::from_secs(2),
            margin: Time::from_millis(250),
        }
    }
}

impl LeaseLimits {
    /// Whether one heartbeat may be lost without the lease.
    pub fn are_sound(&self) -> bool {
        !self.heartbeat_every.is_zero() && self.heartbeat_every * 2 + self.margin < self.expiry
    }

    /// For how long after sending it a heartbeat lets the router act.
    fn valid(&self) -> Time {
        self.expiry.saturating_sub(self.margin)
    }
}

/// One heartbeat. Hand it back with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    sent_at: Time,
    term: u64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAction {
    /// Take the lease: there must be none, or an expired one.
    Register(Attempt),
    /// Renew it; refused if it expired or is another's.
    Renew(Attempt),
    /// Stop acting for every partition, at once: the lease is no longer certain. Whatever is
    /// taken after this is taken with a new epoch.
    Stop,
}

/// The lease of this run of a router.
#[derive(Debug)]
pub struct Lease {
    limits: LeaseLimits,
    state: State,
    beat_at: Time,
    /// How often the lease was lost: an answer from before does not revive it.
    term: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has none, and asks for one.
    Wanted,
    /// It has one.
    Held { until: Time },
    /// It had one; [`LeaseAction::Stop`] was not fetched yet.
    Lost,
    /// It gave it back and wants none.
    Ended,
}

impl Lease {
    /// A lease to be registered at once.
    pub fn new(now: Time, limits: LeaseLimits) -> Lease {
        Lease { limits, state: State::Wanted, beat_at: now, term: 0 }
    }

    /// Whether the router may act, as of a clock that was read just now. What was read before a
    /// pause says nothing: read again after every wait.
    pub fn may_act(&self, now: Time) -> bool {
        matches!(self.state, State::Held { until } if now < until)
    }

    /// What to do. Poll until there is nothing.
    pub fn poll(&mut self, now: Time) -> Option<LeaseAction> {
        self.expire(now);
        match self.state {
            State::Lost => {
                self.state = State::Wanted;
                Some(LeaseAction::Stop)
            }
            State::Wanted if now >= self.beat_at => Some(LeaseAction::Register(self.beat(now))),
            State::Held { .. } if now >= self.beat_at => Some(LeaseAction::Renew(self.beat(now))),
            State::Wanted | State::Held { .. } | State::Ended => None,
        }
    }

    /// When to poll again.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Wanted => Some(self.beat_at),
            State::Held { until } => Some(self.beat_at.min(until)),
            State::Lost => Some(Time::ZERO),
            State::Ended => None,
        }
    }

    /// The store granted what was attempted. A heartbeat without an answer needs no call.
    pub fn granted(&mut self, now: Time, attempt: Attempt) {
        self.expire(now);
        if attempt.term != self.term {
            return;
        }
        // The store counts from when it heard, which was not before this.
        let until = attempt.sent_at + self.limits.valid();
        match &mut self.state {
            State::Held { until: held } => *held = until.max(*held),
            State::Wanted if now < until => self.state = State::Held { until },
            State::Wanted | State::Lost | State::Ended => {}
        }
    }

    /// The store says the lease is not this run's.
    pub fn refused(&mut self, now: Time, attempt: Attempt) {
        self.expire(now);
        if attempt.term == self.term && matches!(self.state, State::Held { .. }) {
            self.lose();
        }
    }

    /// It is given back: everything was released before.
    pub fn end(&mut self) {
        self.state = State::Ended;
        self.term += 1;
    }

    fn beat(&mut self, now: Time) -> Attempt {
        self.beat_at = now + self.limits.heartbeat_every;
        Attempt { sent_at: now, term: self.term }
    }

    fn expire(&mut self, now: Time) {
        if matches!(self.state, State::Held { until } if now >= until) {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.term += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(value: u64) -> Time {
        Time::from_millis(value)
    }

    fn held() -> Lease {
        let mut lease = Lease::new(ms(0), LeaseLimits::default());
        let Some(LeaseAction::Register(attempt)) = lease.poll(ms(0)) else { panic!("it wants one") };
        assert!(!lease.may_act(ms(0)));
        lease.granted(ms(10), attempt);
        lease
    }

    #[test]
    fn it_counts_from_the_sending_less_the_margin() {
        let lease = held();
        assert!(lease.may_act(ms(1749)));
        assert!(!lease.may_act(ms(1750)));
    }

    #[test]
    fn heartbeats_keep_it() {
        let mut lease = held();
        for beat in 1..100 {
            assert_eq!(lease.poll_timeout(), Some(ms(beat * 500)));
            let Some(LeaseAction::Renew(attempt)) = lease.poll(ms(beat * 500)) else {
                panic!("a beat is due")
            };
            assert_eq!(lease.poll(ms(beat * 500)), None);
            lease.granted(ms(beat * 500 + 20), attempt);
        }
        assert!(lease.may_act(ms(99 * 500 + 1700)));
    }

    #[test]
    fn two_lost_heartbeats_do_not_lose_it_and_three_do() {
        let mut lease = held();
        for beat in [500, 1000, 1500] {
            assert!(matches!(lease.poll(ms(beat)), Some(LeaseAction::Renew(_))));
            assert!(lease.may_act(ms(beat)));
        }
        assert_eq!(lease.poll_timeout(), Some(ms(1750)));
        assert_eq!(lease.poll(ms(1750)), Some(LeaseAction::Stop));
        assert_eq!(lease.poll(ms(1750)), None, "once");
        assert!(matches!(lease.poll(ms(2000)), Some(LeaseAction::Register(_))));
    }

    #[test]
    fn a_late_answer_does_not_revive_it() {
        let mut lease = held();
        let Some(LeaseAction::Renew(attempt)) = lease.poll(ms(1700)) else { panic!("a beat is due") };
        lease.granted(ms(1800), attempt); // paused in between: others may have been told that it is free
        assert!(!lease.may_act(ms(1800)));
        assert_eq!(lease.poll(ms(1800)), Some(LeaseAction::Stop));
        lease.granted(ms(1801), attempt);
        assert!(!lease.may_act(ms(1801)));
    }

    #[test]
    fn a_refusal_stops_at_once_and_it_tries_again() {
        let mut lease = held();
        let Some(LeaseAction::Renew(attempt)) = lease.poll(ms(500)) else { panic!("a beat is due") };
        lease.refused(ms(510), attempt);
        assert!(!lease.may_act(ms(510)));
        assert_eq!(lease.poll(ms(510)), Some(LeaseAction::Stop));
        let Some(LeaseAction::Register(attempt)) = lease.poll(ms(1000)) else { panic!("it wants one") };
        lease.granted(ms(1001), attempt);
        assert!(lease.may_act(ms(1001)));
    }

    #[test]
    fn an_ended_lease_stays_ended() {
        let mut lease = held();
        let Some(LeaseAction::Renew(attempt)) = lease.poll(ms(500)) else { panic!("a beat is due") };
        lease.end();
        lease.granted(ms(501), attempt);
        assert!(!lease.may_act(ms(501)));
        assert_eq!((lease.poll(ms(5000)), lease.poll_timeout()), (None, None));
    }

    #[test]
    fn limits_are_checked() {
        assert!(LeaseLimits::default().are_sound());
        assert!(!LeaseLimits { margin: ms(1000), ..LeaseLimits::default() }.are_sound());
    }

    proptest! {
        /// Whatever is lost or late, and wherever the process stands still: while it may act, the
        /// store has not let the lease expire.
        #[test]
        fn it_never_outlives_the_store(
            fates in proptest::collection::vec((0u64..900, 0u64..900, 0u8..10, 0u64..1500), 1..60),
        ) {
            let limits = LeaseLimits::default();
            let mut lease = Lease::new(ms(0), limits);
            let (mut now, mut store_until) = (ms(0), ms(0));
            let mut answers: Vec<(Time, Attempt, bool)> = Vec::new();
            for (forth, back, fate, pause) in fates {
                now += ms(if fate == 9 { pause } else { 100 });
                for (_, attempt, granted) in answers.extract_if(.., |(at, ..)| *at <= now) {
                    if granted { lease.granted(now, attempt) } else { lease.refused(now, attempt) }
                }
                while let Some(action) = lease.poll(now) {
                    let (attempt, renewal) = match action {
                        LeaseAction::Register(attempt) => (attempt, false),
                        LeaseAction::Renew(attempt) => (attempt, true),
                        LeaseAction::Stop => continue,
                    };
                    if fate < 3 {
                        continue; // lost on the way
                    }
                    let heard = now + ms(forth);
                    let granted = !renewal || heard < store_until;
                    if granted {
                        store_until = store_until.max(heard + limits.expiry);
                    }
                    answers.push((heard + ms(back), attempt, granted));
                }
                prop_assert!(!lease.may_act(now) || now < store_until);
                prop_assert!(lease.poll_timeout().is_none_or(|at| at > now));
            }
        }
    }
}
