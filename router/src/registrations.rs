//! How many accounts an address makes (XEP-0077).

use parking_lot::Mutex;
use runtime::listen::address_key;
use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses that are remembered; when there are more in one hour, nobody makes any more accounts
/// rather than more memory being taken.
const ADDRESSES_MAX: usize = 100_000;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Counts accounts in the current hour, by address.
#[derive(Debug, Default)]
pub(crate) struct Registrations(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    number: u64,
    made: HashMap<u64, u32>,
}

impl Registrations {
    /// Whether `address` may make one more account, which is then counted.
    pub fn admit(&self, address: IpAddr, per_hour_max: u32, now_ms: u64) -> bool {
        let mut hour = self.0.lock();
        let number = now_ms / HOUR_MS;
        if hour.number != number {
            *hour = Hour { number, made: HashMap::new() };
        }
        let key = address_key(address);
        let made = hour.made.get(&key).copied().unwrap_or(0);
        let admitted = made < per_hour_max && (made > 0 || hour.made.len() < ADDRESSES_MAX);
        if admitted {
            hour.made.insert(key, made + 1);
        }
        admitted
    }

    /// The account that was counted was not made after all.
    pub fn give_back(&self, address: IpAddr) {
        if let Some(made) = self.0.lock().made.get_mut(&address_key(address)) {
            *made = made.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_for_the_next_hour() {
        let registrations = Registrations::default();
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let admit = |address, now_ms| registrations.admit(address, 2, now_ms);
        assert!(admit(one, 0) && admit(one, 0) && !admit(one, HOUR_MS - 1));
        registrations.give_back(one);
        assert!(admit(one, 0) && !admit(one, 0));
        assert!(admit(other, 0));
        assert!(admit(one, HOUR_MS));
    }
}
