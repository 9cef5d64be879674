//! `[log]`: the message log, which offline messages and the archive are read from.

use super::section::section;

section! {
    /// The message log, which offline messages and the archive are read from.
    Log "log" {
        /// Milliseconds from a message to the commit that makes it durable. It is acknowledged when
        /// it is committed, and delivered without waiting for that.
        commit_interval_ms: u64 = 50, 1..=10_000;
        /// Milliseconds to a commit that nobody waits for: what sessions have taken.
        lazy_commit_interval_ms: u64 = 5_000, 1..=600_000;
        /// Seconds after which a message moves from the journal to the archive.
        settle_after_seconds: u64 = 30, 1..=86_400;
        /// Largest journal, and the memory that it takes, in bytes.
        journal_bytes_max: usize = 16_777_216, 1_048_576..=17_179_869_184;
        /// Most bytes that wait for a commit; beyond it nothing new is accepted.
        uncommitted_bytes_max: usize = 67_108_864, 1_048_576..=17_179_869_184;
        /// Days that delivered messages are kept. 0: only until they are delivered. A message that
        /// was not delivered is kept whatever its age.
        retention_days: u32 = 30, 0..=36_500;
        /// Most messages that wait for one account; more are refused.
        offline_messages_max: u64 = 10_000, 1..=10_000_000;
        /// Messages that are read at once for a session.
        page_messages: usize = 100, 1..=10_000;
    }
}
