//! Which mechanisms there are and which are offered when.

use super::{Failure, FailureCondition, Hash};
use std::fmt;

/// A SASL mechanism this server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 5802, RFC 7677.
    Scram {
        /// The hash function.
        hash: Hash,
        /// Whether it is bound to the TLS channel.
        plus: bool,
    },
    /// RFC 4616.
    Plain,
}

use Mechanism::{Plain, Scram};

impl Mechanism {
    /// All of them, the strongest first: binding to the channel counts for more than the hash.
    pub const ALL: [Mechanism; 7] = [
        Scram { hash: Hash::Sha512, plus: true },
        Scram { hash: Hash::Sha256, plus: true },
        Scram { hash: Hash::Sha1, plus: true },
        Scram { hash: Hash::Sha512, plus: false },
        Scram { hash: Hash::Sha256, plus: false },
        Scram { hash: Hash::Sha1, plus: false },
        Plain,
    ];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Scram { hash: Hash::Sha512, plus: true } => "SCRAM-SHA-512-PLUS",
            Scram { hash: Hash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Scram { hash: Hash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Scram { hash: Hash::Sha512, plus: false } => "SCRAM-SHA-512",
            Scram { hash: Hash::Sha256, plus: false } => "SCRAM-SHA-256",
            Scram { hash: Hash::Sha1, plus: false } => "SCRAM-SHA-1",
            Plain => "PLAIN",
        }
    }

    /// The mechanism with this name. Names are upper case (RFC 4422 §3.1).
    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.as_str() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What decides which mechanisms a connection may use.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Those the operator allows. `-PLUS` variants come with their plain ones or alone.
    pub allowed: &'a [Mechanism],
    /// Whether TLS gave anything to bind to.
    pub channel_binding: bool,
    /// Whether a password may be sent as it is: under TLS, or because the operator says so.
    pub plaintext: bool,
}

impl Policy<'_> {
    /// What to offer, the strongest first.
    pub fn offered(&self) -> impl Iterator<Item = Mechanism> + '_ {
        Mechanism::ALL.into_iter().filter(|mechanism| self.permits(*mechanism))
    }

    /// Whether any `-PLUS` mechanism is offered: [`super::Binding::offered`].
    pub fn offers_channel_binding(&self) -> bool {
        self.offered().any(|mechanism| matches!(mechanism, Scram { plus: true, .. }))
    }

    /// The mechanism a client asks for, if it may use it.
    ///
    /// # Errors
    /// `encryption-required` for a password in the clear, else `invalid-mechanism`.
    pub fn check(&self, name: &str) -> Result<Mechanism, Failure> {
        match Mechanism::from_name(name) {
            Some(mechanism) if self.permits(mechanism) => Ok(mechanism),
            Some(Plain) if self.allowed.contains(&Plain) => Err(FailureCondition::EncryptionRequired.into()),
            _ => Err(FailureCondition::InvalidMechanism.into()),
        }
    }

    fn permits(&self, mechanism: Mechanism) -> bool {
        self.allowed.contains(&mechanism)
            && match mechanism {
                Scram { plus, .. } => !plus || self.channel_binding,
                Plain => self.plaintext,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.as_str()), Some(mechanism));
        }
        for name in ["", "plain", "SCRAM-SHA-1-PLUS ", "SCRAM-MD5", "ANONYMOUS"] {
            assert_eq!(Mechanism::from_name(name), None);
        }
    }

    #[test]
    fn offers() {
        let offered = |allowed: &[Mechanism], channel_binding, plaintext| {
            let names: Vec<&str> =
                Policy { allowed, channel_binding, plaintext }.offered().map(Mechanism::as_str).collect();
            names.join(" ")
        };
        assert_eq!(
            offered(&Mechanism::ALL, true, true),
            "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"
        );
        assert_eq!(offered(&Mechanism::ALL, false, false), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1");
        assert_eq!(
            offered(&[Plain, Scram { hash: Hash::Sha1, plus: false }], true, true),
            "SCRAM-SHA-1 PLAIN"
        );
        assert_eq!(offered(&[], true, true), "");
    }

    #[test]
    fn checks() {
        let policy = Policy { allowed: &Mechanism::ALL, channel_binding: false, plaintext: false };
        let condition = |name| policy.check(name).map_err(|failure| failure.condition);
        assert_eq!(condition("SCRAM-SHA-1"), Ok(Scram { hash: Hash::Sha1, plus: false }));
        assert_eq!(condition("SCRAM-SHA-1-PLUS"), Err(FailureCondition::InvalidMechanism));
        assert_eq!(condition("PLAIN"), Err(FailureCondition::EncryptionRequired));
        assert_eq!(condition("EXTERNAL"), Err(FailureCondition::InvalidMechanism));
        assert!(!policy.offers_channel_binding());
        let forbidden = Policy { allowed: &Mechanism::ALL[..6], ..policy };
        assert_eq!(forbidden.check("PLAIN"), Err(FailureCondition::InvalidMechanism.into()));
    }
}
