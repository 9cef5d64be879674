//! What is stored of a password (RFC 5802 §3): enough to check it, not to log in with it.

use super::{Hash, PASSWORD_BYTES_MAX, prep};
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a new account's salt, and of a fake one, so that they look alike.
pub const SALT_BYTES: usize = 16;
/// Longest salt that is accepted from storage or an import.
pub const SALT_BYTES_MAX: usize = 256;
/// The fewest iterations an operator should set (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4096;
/// The most iterations that are worked through: about 0.1 s.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// The SCRAM keys of one account for one hash function. Its debug form shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// The hash function they are for.
    pub hash: Hash,
    /// Given to the client.
    pub salt: Vec<u8>,
    /// Given to the client.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`
    pub server_key: Vec<u8>,
}

/// Why no keys can be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// SASLprep leaves nothing of the password or forbids a character in it.
    #[error("the password is empty or has a forbidden character")]
    Password,
    /// The password is longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// The salt is empty or longer than [`SALT_BYTES_MAX`].
    #[error("the salt is empty or longer than {SALT_BYTES_MAX} bytes")]
    Salt,
    /// Not between 1 and [`ITERATIONS_MAX`].
    #[error("the iterations are not between 1 and {ITERATIONS_MAX}")]
    Iterations,
}

impl ScramKeys {
    /// Derives the keys of a password. This takes milliseconds by design: 4096 iterations of
    /// SHA-256 about 0.4 ms, of SHA-512 about 1.3 ms.
    ///
    /// # Errors
    /// When the password, the salt or the number of iterations is unusable.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<ScramKeys, KeyError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(KeyError::Salt);
        }
        if !(1..=ITERATIONS_MAX).contains(&iterations) {
            return Err(KeyError::Iterations);
        }
        let password = prep::prepare(password).ok_or(KeyError::Password)?;
        let salted = hash.salted_password(password.as_bytes(), salt, iterations);
        Ok(ScramKeys {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&hash.hmac(&salted, &[b"Client Key"])),
            server_key: hash.hmac(&salted, &[b"Server Key"]),
        })
    }

    /// Keys for an account that does not exist. The same `secret` and `account` always give the
    /// same ones, so that asking twice does not tell (RFC 5802 §9); no password matches them.
    /// `account` is the prepared bare JID, `iterations` those of a new account.
    pub fn fake(secret: &[u8], account: &str, hash: Hash, iterations: u32) -> ScramKeys {
        let part = |label: &str| {
            Hash::Sha512
                .hmac(secret, &[label.as_bytes(), b"\0", hash.as_str().as_bytes(), b"\0", account.as_bytes()])
        };
        let cut = |mut bytes: Vec<u8>, length| {
            bytes.truncate(length);
            bytes
        };
        ScramKeys {
            hash,
            salt: cut(part("salt"), SALT_BYTES),
            iterations,
            stored_key: cut(part("stored"), hash.size()),
            server_key: cut(part("server"), hash.size()),
        }
    }

    /// Whether this is the password, in a time that does not depend on how much of it is right.
    /// It costs as much as [`ScramKeys::derive`].
    pub fn verify_plain(&self, password: &str) -> bool {
        ScramKeys::derive(self.hash, password, &self.salt, self.iterations)
            .is_ok_and(|keys| keys.stored_key.ct_eq(&self.stored_key).into())
    }

    /// Whether sizes and bounds fit: what was read from storage may be damaged.
    pub(super) fn is_sound(&self) -> bool {
        self.stored_key.len() == self.hash.size()
            && self.server_key.len() == self.hash.size()
            && (1..=SALT_BYTES_MAX).contains(&self.salt.len())
            && (1..=ITERATIONS_MAX).contains(&self.iterations)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine};

    /// Computed with Python's hashlib by RFC 5802 §3.
    #[test]
    fn derived_keys() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        for (hash, stored, server) in [
            (Hash::Sha1, "g2pEzX2tMaoibxTD4YfBJkq1y8w=", "ZGkNjsmKwVX5C5z80vGxHZ02jOI="),
            (
                Hash::Sha256,
                "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            ),
            (
                Hash::Sha512,
                "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==",
                "jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==",
            ),
        ] {
            let keys = ScramKeys::derive(hash, "pencil", &salt, 4096).unwrap();
            assert_eq!(BASE64_STANDARD.encode(&keys.stored_key), stored);
            assert_eq!(BASE64_STANDARD.encode(&keys.server_key), server);
            assert!(keys.is_sound());
            assert!(keys.verify_plain("pencil") && keys.verify_plain("pen\u{ad}cil"));
            assert!(!keys.verify_plain("Pencil") && !keys.verify_plain(""));
        }
    }

    #[test]
    fn unusable_input() {
        let derive = |password: &str, salt: &[u8], iterations| {
            ScramKeys::derive(Hash::Sha1, password, salt, iterations).map(|_| ())
        };
        assert_eq!(derive("", b"salt", 1), Err(KeyError::Password));
        assert_eq!(derive("a\u{0}b", b"salt", 1), Err(KeyError::Password));
        assert_eq!(derive(&"x".repeat(1024), b"salt", 1), Err(KeyError::TooLong));
        assert_eq!(derive("x", b"", 1), Err(KeyError::Salt));
        assert_eq!(derive("x", &[0; 257], 1), Err(KeyError::Salt));
        assert_eq!(derive("x", b"salt", 0), Err(KeyError::Iterations));
        assert_eq!(derive("x", b"salt", u32::MAX), Err(KeyError::Iterations));
        assert_eq!(derive("x", b"salt", 1), Ok(()));
    }

    #[test]
    fn fake_keys_are_stable_and_match_nothing() {
        let fake = |secret: &[u8], account| ScramKeys::fake(secret, account, Hash::Sha256, 4096);
        assert_eq!(fake(b"s", "a@b"), fake(b"s", "a@b"));
        assert_ne!(fake(b"s", "a@b").salt, fake(b"s", "b@b").salt);
        assert_ne!(fake(b"s", "a@b").salt, fake(b"t", "a@b").salt);
        assert_ne!(fake(b"s", "a@b").salt, ScramKeys::fake(b"s", "a@b", Hash::Sha1, 4096).salt);
        assert!(fake(b"s", "a@b").is_sound());
        assert!(!fake(b"s", "a@b").verify_plain("pencil"));
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = ScramKeys::derive(Hash::Sha1, "pencil", &[77; 16], 1).unwrap();
        assert_eq!(format!("{keys:?}"), "ScramKeys { hash: Sha1, iterations: 1, .. }");
    }
}
