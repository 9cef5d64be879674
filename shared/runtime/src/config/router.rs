//! `[router]`: partitions and what is held of their accounts.

use super::section::section;
use super::{Broken, broken};

section! {
    /// Partitions and what is held of their accounts.
    Router "router" {
        /// Number of partitions: a power of two, the same in the whole cluster and for its life.
        partitions: u32 = 1_024, 1..=65_536;
        /// Most accounts without a session whose state stays in memory.
        accounts_cached_max: usize = 20_000, 1..=100_000_000;
        /// Whether clients that ask (XEP-0092) are told the operating system.
        show_os: bool = false;
    }
}

impl Router {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        match self.partitions.is_power_of_two() {
            true => Ok(()),
            false => broken("router.partitions", "expected a power of two"),
        }
    }
}
