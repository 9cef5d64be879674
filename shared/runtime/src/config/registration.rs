//! `[registration]`: accounts that clients make for themselves (XEP-0077).

use super::section::section;

section! {
    /// Accounts that clients make for themselves (XEP-0077).
    Registration "registration" {
        /// Whether clients may make accounts before they log in.
        enabled: bool = false;
        /// Accounts that one address (IPv6: one /64) may make in an hour. The default lets load tools
        /// work; lower it where strangers can reach the service.
        accounts_per_address_per_hour: u32 = 20_000, 1..=10_000_000;
    }
}
