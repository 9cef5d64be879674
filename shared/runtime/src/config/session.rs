//! `[session]`: bound resources and their resumption.

use super::section::section;
use super::{Broken, broken};

section! {
    /// Bound resources and their resumption (XEP-0198).
    Session "session" {
        /// Most resources of one account at a time; one more is refused.
        resources_max: usize = 20, 1..=1_000;
        /// Seconds that a broken session is kept where the client asks for nothing.
        resume_seconds_default: u32 = 300, 0..=86_400;
        /// Most seconds that a client can ask for.
        resume_seconds_max: u32 = 600, 0..=86_400;
        /// Most stanzas that wait for one session's acknowledgement; further messages wait in the
        /// message log until there is room.
        unacked_stanzas_max: usize = 2_000, 10..=1_000_000;
        /// Most bytes of such stanzas: at most a third of c2s.outbound_bytes_max, so that a resumed
        /// session can be sent all of them at once.
        unacked_bytes_max: usize = 349_525, 65_536..=1_073_741_824;
    }
}

impl Session {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        if self.resume_seconds_default > self.resume_seconds_max {
            return broken("session.resume_seconds_default", "expected at most session.resume_seconds_max");
        }
        Ok(())
    }
}
