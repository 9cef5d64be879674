//! `[sasl]`: logging in.

use super::section::section;
use super::{Broken, broken};

/// Every mechanism that exists here, the strongest first.
pub const MECHANISMS: [&str; 7] = [
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
];

section! {
    /// Logging in.
    Sasl "sasl" {
        /// Mechanisms that are offered, the preferred ones first. PLAIN is offered under TLS only,
        /// those in -PLUS where channel binding is possible.
        mechanisms: Vec<String> = MECHANISMS.map(str::to_owned).to_vec();
        /// Rounds of the key derivation for passwords that are set from now on.
        scram_iterations: u32 = 10_000, 4_096..=10_000_000;
        /// Failed logins of one address (IPv6: of one /64) in a minute before more are refused.
        attempts_per_address_per_minute: u32 = 60, 1..=1_000_000;
        /// Failed logins to one account in a minute before more are refused.
        attempts_per_account_per_minute: u32 = 10, 1..=1_000_000;
        /// Failed logins on one connection before it is closed.
        attempts_per_connection_max: u32 = 5, 2..=100;
        /// Most exchanges that are under way in one partition; more are refused for the moment.
        exchanges_per_partition_max: usize = 100, 1..=1_000_000;
        /// Seconds from the start of an exchange to its end; then it is forgotten.
        exchange_timeout_seconds: u32 = 60, 1..=3_600;
    }
}

impl Sasl {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        for mechanism in &mut self.mechanisms {
            mechanism.make_ascii_uppercase();
            if !MECHANISMS.contains(&mechanism.as_str()) {
                let reason = format!("no {mechanism}; expected some of {}", MECHANISMS.join(", "));
                return broken("sasl.mechanisms", &reason);
            }
        }
        if self.mechanisms.is_empty() {
            return broken("sasl.mechanisms", "expected at least one mechanism");
        }
        Ok(())
    }
}
