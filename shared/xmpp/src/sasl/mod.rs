//! SASL mechanisms as state machines (RFC 4422): the server's side.
//!
//! In reading order:
//!
//! - [`mechanism`]: names, and which are offered.
//! - [`exchange`]: what a caller drives; one exchange from `<auth/>` to its outcome.
//! - [`scram`], [`plain`]: the mechanisms.
//! - [`keys`]: what is stored of a password.
//! - [`prep`]: SASLprep of passwords and names.
//!
//! A caller's part is short: [`Policy::check`] the mechanism, [`Exchange::start`] it, and follow
//! [`Next`]. Where that says [`Next::Lookup`], it finds the account's [`ScramKeys`] (or makes
//! [`ScramKeys::fake`] ones) and gives them to [`Lookup::answer`]. Nonces are arguments, and so is
//! what TLS knows ([`Binding`]). None of it depends on how the framing names its elements, so that
//! SASL2 (XEP-0388) can drive the same exchanges.

pub mod exchange;
mod hash;
pub mod keys;
pub mod mechanism;
pub mod plain;
pub mod prep;
pub mod scram;

pub use exchange::{Exchange, Lookup, Next, account, authcid};
pub use hash::Hash;
pub use keys::{KeyError, ScramKeys};
pub use mechanism::{Mechanism, Policy};
pub use scram::{Binding, BindingType};

use crate::error::conditions;
use std::borrow::Cow;
use std::fmt;

/// Largest message of a client, decoded.
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Longest authentication or authorization identity: that of a bare JID's parts.
pub const NAME_BYTES_MAX: usize = 2 * crate::jid::PART_BYTES_MAX + 1;
/// Longest password. RFC 4616 §2 asks for at least 255.
pub const PASSWORD_BYTES_MAX: usize = 1023;
/// Longest nonce of a client.
pub const NONCE_BYTES_MAX: usize = 512;

conditions! {
    /// RFC 6120 §6.5.
    FailureCondition {
        /// §6.5.1
        Aborted = "aborted",
        /// §6.5.2
        AccountDisabled = "account-disabled",
        /// §6.5.3
        CredentialsExpired = "credentials-expired",
        /// §6.5.4
        EncryptionRequired = "encryption-required",
        /// §6.5.5
        IncorrectEncoding = "incorrect-encoding",
        /// §6.5.6
        InvalidAuthzid = "invalid-authzid",
        /// §6.5.7
        InvalidMechanism = "invalid-mechanism",
        /// §6.5.8
        MalformedRequest = "malformed-request",
        /// §6.5.9
        MechanismTooWeak = "mechanism-too-weak",
        /// §6.5.10
        NotAuthorized = "not-authorized",
        /// §6.5.11
        TemporaryAuthFailure = "temporary-auth-failure",
    }
}

/// Why a SASL exchange failed: the content of `<failure/>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The defined condition.
    pub condition: FailureCondition,
    /// Text for a developer or a log, in English; it says nothing of whether an account exists.
    pub text: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failure with a text that says what was wrong.
    pub fn new(condition: FailureCondition, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { condition, text: Some(text.into()) }
    }
}

impl From<FailureCondition> for Failure {
    fn from(condition: FailureCondition) -> Failure {
        Failure { condition, text: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "SASL failure {}: {text}", self.condition),
            None => write!(f, "SASL failure {}", self.condition),
        }
    }
}

/// Shorthand for what most parse errors are.
fn malformed(text: &'static str) -> Failure {
    Failure::new(FailureCondition::MalformedRequest, text)
}

/// A client's message as text, bounded before anything is done with it.
fn text_of(message: &[u8]) -> Result<&str, Failure> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(malformed("the message is too long"));
    }
    std::str::from_utf8(message).map_err(|_| malformed("the message is not UTF-8"))
}

#[cfg(test)]
mod tests;
