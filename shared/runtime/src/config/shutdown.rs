//! `[shutdown]`: the end of the process.

use super::section::section;

section! {
    /// The end of the process.
    Shutdown "shutdown" {
        /// Seconds that connections get to close after SIGTERM; then the process ends.
        grace_seconds: u64 = 10, 1..=3_600;
    }
}
