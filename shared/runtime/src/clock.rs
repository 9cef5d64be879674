//! The only source of time. Code takes a [`Clock`] instead of asking the system, so that a test
//! can set the time and move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clocks.
    #[default]
    System,
    /// A clock that moves only when told to.
    Manual(Arc<ManualClock>),
}

impl Clock {
    /// A clock that stands at `unix_ms` until it is moved.
    pub fn manual(unix_ms: u64) -> (Clock, Arc<ManualClock>) {
        let clock =
            Arc::new(ManualClock { base: Instant::now(), start_ms: unix_ms, passed_ms: AtomicU64::new(0) });
        (Clock::Manual(clock.clone()), clock)
    }

    /// Milliseconds since the Unix epoch, for stamps that others see. It may step back.
    pub fn now_ms(&self) -> u64 {
        match self {
            Clock::System => system_ms(),
            Clock::Manual(clock) => clock.start_ms + clock.passed_ms.load(Ordering::Relaxed),
        }
    }

    /// A point in time that never steps back, for measuring and waiting.
    pub fn instant(&self) -> Instant {
        match self {
            Clock::System => Instant::now(),
            Clock::Manual(clock) => {
                clock.base + Duration::from_millis(clock.passed_ms.load(Ordering::Relaxed))
            }
        }
    }
}

/// The hand of a manual clock.
#[derive(Debug)]
pub struct ManualClock {
    base: Instant,
    start_ms: u64,
    passed_ms: AtomicU64,
}

impl ManualClock {
    /// Moves the clock forward. Milliseconds count; what is below is dropped.
    pub fn advance(&self, by: Duration) {
        self.passed_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else must take")]
fn system_ms() -> u64 {
    // A clock set before 1970 reads as 0 rather than stopping the server.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_both_times_together() {
        let (clock, hand) = Clock::manual(1_000);
        let before = clock.instant();
        hand.advance(Duration::from_secs(2));
        assert_eq!(clock.now_ms(), 3_000);
        assert_eq!(clock.instant() - before, Duration::from_secs(2));
    }

    #[test]
    fn the_system_clock_is_past_2024() {
        assert!(Clock::System.now_ms() > 1_704_067_200_000);
    }
}
