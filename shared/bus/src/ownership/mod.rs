//! Who owns which partition, and for how long. No I/O and no clock: the router drives it.
//!
//! - [`Members`]: rendezvous hashing. Whoever sees the same live routers computes the same owners;
//!   there is no leader, and a change moves only the partitions of the router that came or went.
//! - [`Lease`]: the router's own right to act at all. It counts from when a heartbeat was *sent*, ends
//!   before the lease can expire in the store, and does not come back by a late answer (I4).
//! - [`Holdings`]: what this router holds, should take and should release.
//!
//! None of it is what makes two owners impossible: that is the epoch, which the database raises with
//! every take-over and compares with every write. These three make it rare that it has to.

mod holdings;
mod lease;
mod members;

pub use holdings::{Duty, Holdings, HoldingsLimits};
pub use lease::{Attempt, Lease, LeaseAction, LeaseLimits};
pub use members::{Member, Members, Move};

/// Time since a start of the driver's choosing. It never goes back, and goes on while the machine sleeps
/// (`CLOCK_BOOTTIME` where there is one).
pub type Time = std::time::Duration;
