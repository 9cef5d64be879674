//! `[roster]`: contact lists.

use super::section::section;

section! {
    /// Contact lists.
    Roster "roster" {
        /// Most contacts of one account, and most addresses that a session's directed presence is
        /// remembered for.
        items_max: usize = 5_000, 1..=1_000_000;
        /// Most groups of one contact.
        groups_max: usize = 50, 1..=1_000;
        /// Longest name of a contact or a group, in bytes.
        name_bytes_max: usize = 1_023, 1..=65_536;
    }
}
