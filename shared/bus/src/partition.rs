//! From a bare JID to its partition and its subject token.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The number of partitions of a new cluster: a power of two, fixed for the cluster's life.
pub const PARTITIONS_DEFAULT: u32 = 1024;

/// Which of `count` partitions owns the account with this bare JID.
///
/// FNV-1a with a final mix: stable over versions and machines (it is part of the stored format),
/// and cheap, since every stanza pays for it. It is no secret: whoever floods one partition
/// floods one account's owner, which the limits bound.
pub fn partition(bare: &str, count: u32) -> u32 {
    debug_assert!(count.is_power_of_two());
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bare.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 32) as u32 & (count - 1)
}

/// The subject token of a bare JID: lowercase base32 of a 128-bit hash, since a raw JID may hold
/// characters that mean something to NATS.
pub fn token(bare: &str) -> String {
    let digest = Sha256::digest(bare.as_bytes());
    BASE32_NOPAD.encode(&digest[..16]).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_part_of_the_stored_format() {
        assert_eq!(partition("juliet@example.com", 1024), 275);
        assert_eq!(token("juliet@example.com"), "lnpzbx7erno5mugswwqqrwvvmi");
    }

    #[test]
    fn accounts_spread_evenly() {
        let mut counts = [0u32; 64];
        for n in 0..64_000 {
            counts[partition(&format!("user{n}@localhost"), 64) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (800..1200).contains(n)), "{counts:?}");
    }
}
