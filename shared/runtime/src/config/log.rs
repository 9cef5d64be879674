//! `[log]`: the message log, which offline messages and the archive are read from.

use super::section::section;

section! {
    /// The message log, which offline messages and the archive are read from.
    Log "log" {
        /// Milliseconds between two commits. A message is acknowledged when it is committed, and
        /// delivered without waiting for that.
        commit_interval_ms: u64 = 20, 1..=10_000;
        /// Seconds after which a message moves from the journal to the database.
        settle_after_seconds: u64 = 30, 1..=86_400;
        /// Largest journal, in bytes; a full one makes senders wait.
        journal_bytes_max: u64 = 1_073_741_824, 1_048_576..=1_099_511_627_776;
        /// Days that delivered messages are kept. 0: only until they are delivered.
        retention_days: u32 = 30, 0..=36_500;
        /// Most messages kept for an account that is offline; more are refused.
        offline_messages_max: usize = 10_000, 1..=10_000_000;
    }
}
