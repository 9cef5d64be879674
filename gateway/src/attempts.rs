//! Failed logins by address: whoever guesses passwords is slowed down at the edge, before the
//! owners of the accounts have any work.

use parking_lot::Mutex;
use runtime::Clock;
use runtime::listen::address_key;
use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses that are remembered; when there are more in one minute, all are forgotten rather than
/// memory taken, and the owners' limits per account remain.
const ADDRESSES_MAX: usize = 100_000;

/// Counts failures in the current minute.
pub struct Attempts {
    clock: Clock,
    per_minute_max: u32,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    number: u64,
    failures: HashMap<u64, u32>,
}

impl Attempts {
    pub fn new(clock: Clock, per_minute_max: u32) -> Attempts {
        Attempts { clock, per_minute_max, minute: Mutex::default() }
    }

    /// Whether the address may try.
    pub fn allows(&self, address: IpAddr) -> bool {
        let mut minute = self.minute.lock();
        minute.turn(self.clock.now_ms());
        minute.failures.get(&address_key(address)).is_none_or(|count| *count < self.per_minute_max)
    }

    /// Counts a failure.
    pub fn failed(&self, address: IpAddr) {
        let mut minute = self.minute.lock();
        minute.turn(self.clock.now_ms());
        if minute.failures.len() >= ADDRESSES_MAX {
            minute.failures.clear();
        }
        *minute.failures.entry(address_key(address)).or_insert(0) += 1;
    }
}

impl Minute {
    fn turn(&mut self, now_ms: u64) {
        let number = now_ms / 60_000;
        if number != self.number {
            *self = Minute { number, failures: HashMap::new() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_waits_for_the_next_minute() {
        let (clock, hand) = Clock::manual(120_000);
        let attempts = Attempts::new(clock, 2);
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        for _ in 0..2 {
            assert!(attempts.allows(one));
            attempts.failed(one);
        }
        assert!(!attempts.allows(one) && attempts.allows(other));
        hand.advance(Duration::from_secs(60));
        assert!(attempts.allows(one));
    }
}
