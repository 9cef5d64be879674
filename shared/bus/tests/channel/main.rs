//! The channel, simulated: thousands of runs in virtual time, each with its own faults, drawn from a
//! seed. A run that breaks a rule panics with its seed and the end of its trace.
//!
//! - `CHANNEL_SEED=n cargo test -p bus --test channel simulation` runs that seed alone.
//! - `CHANNEL_SEEDS=n` runs so many instead of the default.
//!
//! [`world`] has the actors and the rules, [`outcome`] names what may be broken, [`plan`] draws a run's parameters and
//! faults, [`network`] loses, repeats, delays and reorders, [`store`] survives crashes.
//!
//! The channel is compiled into this test once more, as a copy that can have a fault planted.

#[path = "../../src/channel/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the simulation takes a part of the copy")]
mod channel;
mod network;
mod outcome;
mod plan;
mod rng;
mod store;
mod traffic;
mod units;
mod world;

use channel::Bug;
use outcome::{Stats, Violation};
use plan::Plan;
use world::World;

const SEEDS: u64 = 10_000;
/// Most bugs show within ten.
const BUG_SEEDS: u64 = 4000;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("CHANNEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHANNEL_SEEDS").unwrap_or(SEEDS),
    }
}

fn run(seed: u64, bug: Option<Bug>, trace: bool) -> Result<Stats, (Violation, Vec<String>)> {
    channel::plant(bug);
    let mut world = World::new(Plan::draw(seed), trace);
    let outcome = world.run();
    channel::plant(None);
    outcome.map_err(|violation| (violation, world.trace()))
}

/// One of `parts` of all seeds, so that the test runner uses more than one core.
fn simulate(part: u64, parts: u64) {
    let mut total = Stats::default();
    for seed in seeds().filter(|seed| seed % parts == part) {
        match run(seed, None, false) {
            Ok(stats) => total.add(&stats),
            Err((violation, _)) => {
                let trace = run(seed, None, true).err().map(|(_, trace)| trace).unwrap_or_default();
                let tail = trace[trace.len().saturating_sub(80)..].join("\n");
                panic!("{tail}\n{violation:?}\nreplay with CHANNEL_SEED={seed}");
            }
        }
    }
    if seeds().count() > 100 {
        total.assert_everything_happened();
    }
}

#[test]
fn simulation_of_even_seeds() {
    simulate(0, 2);
}

#[test]
fn simulation_of_odd_seeds() {
    simulate(1, 2);
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 2, 3] {
        let trace = |_| {
            let mut world = World::new(Plan::draw(seed), true);
            assert!(world.run().is_ok());
            world.trace()
        };
        assert_eq!(trace(1), trace(2));
    }
}

/// What a planted bug must be caught as. More than one rule may catch it first.
fn catches(bug: Bug, expected: &[Violation]) {
    for seed in 0..BUG_SEEDS {
        if let Err((violation, _)) = run(seed, Some(bug), false) {
            assert!(expected.contains(&violation), "{bug:?} was caught as {violation:?} by seed {seed}");
            return;
        }
    }
    panic!("{bug:?} was not caught by {BUG_SEEDS} seeds");
}

#[test]
fn a_receiver_that_does_not_drop_duplicates_is_caught() {
    catches(Bug::SkipDedupe, &[Violation::Duplicate]);
}

#[test]
fn a_receiver_that_accepts_a_gap_is_caught() {
    catches(Bug::AcceptGap, &[Violation::Gap]);
}

#[test]
fn a_receiver_that_listens_to_the_superseded_is_caught() {
    catches(Bug::SkipFence, &[Violation::Superseded, Violation::Forgot]);
}

#[test]
fn a_receiver_that_confirms_what_it_only_received_is_caught() {
    catches(Bug::ConfirmReceived, &[Violation::ConfirmedNotDurable]);
}

#[test]
fn a_receiver_without_a_window_is_caught() {
    catches(Bug::SkipWindow, &[Violation::Unbounded]);
}

#[test]
fn a_sender_that_does_not_resend_to_a_new_owner_is_caught() {
    catches(Bug::ForgetEpochResend, &[Violation::Stuck]);
}

#[test]
fn a_sender_that_trusts_a_former_owner_is_caught() {
    catches(Bug::TrustOldEpoch, &[Violation::Stuck, Violation::Gap]);
}

#[test]
fn a_sender_that_never_asks_is_caught() {
    catches(Bug::SkipProbe, &[Violation::Stuck]);
}

#[test]
fn a_sender_without_a_bound_is_caught() {
    catches(Bug::SkipBound, &[Violation::Unbounded]);
}

#[test]
fn an_application_that_confirms_before_its_commit_is_caught() {
    let caught = (0..BUG_SEEDS).find_map(|seed| {
        let plan = Plan { confirms_early: true, ..Plan::draw(seed) };
        World::new(plan, false).run().err()
    });
    assert_eq!(caught, Some(Violation::ConfirmedNotDurable));
}

#[test]
fn an_application_that_forgets_what_it_has_done_is_caught() {
    let caught = (0..BUG_SEEDS).find_map(|seed| {
        let plan = Plan { not_idempotent: true, ..Plan::draw(seed) };
        World::new(plan, false).run().err()
    });
    assert_eq!(caught, Some(Violation::StoreOrder));
}
