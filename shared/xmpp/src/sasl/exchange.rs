//! One exchange, from `<auth/>` to its outcome, whatever the mechanism.

use super::plain::Plain;
use super::scram::{AwaitFinal, ClientFirst};
use super::{Binding, Failure, FailureCondition, Hash, Mechanism, ScramKeys, prep};
use crate::Jid;

/// An exchange that waits for the client's next message.
#[derive(Debug)]
pub enum Exchange {
    /// `<auth/>` came without the initial response, which an empty challenge asks for.
    Initial(Mechanism),
    /// SCRAM, with the server's first message sent.
    Scram {
        /// The account that logs in.
        account: Jid,
        /// What the client has to prove.
        awaited: Box<AwaitFinal>,
    },
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Find the keys of the account and give them to [`Lookup::answer`].
    Lookup(Lookup),
    /// Send this challenge; the response goes to [`Exchange::respond`].
    Challenge(Vec<u8>, Exchange),
    /// The client is who it says it is.
    Success {
        /// The account, a bare JID.
        account: Jid,
        /// Additional data with success.
        data: Option<Vec<u8>>,
    },
}

impl Exchange {
    /// Starts an exchange. An empty initial response (`=`) is not the same as none.
    ///
    /// # Errors
    /// When the initial response does not fit the mechanism.
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Result<Next, Failure> {
        let Some(message) = initial else {
            return Ok(Next::Challenge(Vec::new(), Exchange::Initial(mechanism)));
        };
        Ok(Next::Lookup(match mechanism {
            Mechanism::Plain => Lookup::Plain(Plain::parse(message)?),
            Mechanism::Scram { hash, plus } => Lookup::Scram(ClientFirst::parse(hash, plus, message)?),
        }))
    }

    /// Takes the client's `<response/>`.
    ///
    /// # Errors
    /// When the client did not prove who it is.
    pub fn respond(self, message: &[u8]) -> Result<Next, Failure> {
        match self {
            Exchange::Initial(mechanism) => Exchange::start(mechanism, Some(message)),
            Exchange::Scram { account, awaited } => {
                let data = awaited.finish(message)?;
                Ok(Next::Success { account, data: Some(data) })
            }
        }
    }
}

/// An exchange that waits for an account's keys.
#[derive(Debug)]
pub enum Lookup {
    /// Any of the account's keys will do; the ones with the fewest iterations cost least.
    Plain(Plain),
    /// Those for [`Lookup::hash`].
    Scram(ClientFirst),
}

impl Lookup {
    /// The name as the client sent it.
    pub fn username(&self) -> &str {
        match self {
            Lookup::Plain(plain) => &plain.authcid,
            Lookup::Scram(first) => first.username(),
        }
    }

    /// Whom the client wants to act as.
    pub fn authzid(&self) -> Option<&str> {
        match self {
            Lookup::Plain(plain) => plain.authzid.as_deref(),
            Lookup::Scram(first) => first.authzid(),
        }
    }

    /// The hash function the keys must be for; none when any will do.
    pub fn hash(&self) -> Option<Hash> {
        match self {
            Lookup::Plain(_) => None,
            Lookup::Scram(first) => Some(first.hash()),
        }
    }

    /// The account at `domain` that logs in.
    ///
    /// # Errors
    /// `not-authorized` when the name can be none, `invalid-authzid` when the client wants to act
    /// as anyone else: nobody may.
    pub fn account(&self, domain: &str) -> Result<Jid, Failure> {
        let account = account(self.username(), domain)?;
        // RFC 6120 §6.3.8: the authorization identity is a bare JID.
        match self.authzid().map(Jid::parse) {
            None => Ok(account),
            Some(Ok(authzid)) if authzid == account => Ok(account),
            Some(_) => Err(FailureCondition::InvalidAuthzid.into()),
        }
    }

    /// Goes on with the keys of `account`, which [`Lookup::account`] gave. Where there is no such
    /// account, or none with keys for [`Lookup::hash`], give [`ScramKeys::fake`] ones.
    ///
    /// For PLAIN this derives the keys of the password: milliseconds, so not on a thread that
    /// others wait for.
    ///
    /// # Errors
    /// See [`ClientFirst::challenge`]; `not-authorized` when PLAIN's password is wrong.
    pub fn answer(
        self,
        account: Jid,
        keys: &ScramKeys,
        server_nonce: &str,
        binding: &Binding<'_>,
    ) -> Result<Next, Failure> {
        match self {
            Lookup::Plain(plain) if keys.verify_plain(&plain.password) => {
                Ok(Next::Success { account, data: None })
            }
            Lookup::Plain(_) => Err(FailureCondition::NotAuthorized.into()),
            Lookup::Scram(first) => {
                let (data, awaited) = first.challenge(keys, server_nonce, binding)?;
                Ok(Next::Challenge(data, Exchange::Scram { account, awaited: Box::new(awaited) }))
            }
        }
    }
}

/// The name in an initial response, as sent: from it and [`account`] an edge finds the partition
/// that will judge the exchange. None when the response is malformed.
pub fn authcid(mechanism: &str, initial: &[u8]) -> Option<String> {
    match Exchange::start(Mechanism::from_name(mechanism)?, Some(initial)) {
        Ok(Next::Lookup(lookup)) => Some(lookup.username().to_owned()),
        _ => None,
    }
}

/// The account that a SASL name means at `domain`.
///
/// A name that is a localpart is taken as one, so that whatever could be registered can log in;
/// another gets SASLprep first, which maps more (RFC 5802 §5.1, RFC 4616 §2).
///
/// # Errors
/// `not-authorized`: there can be no such account.
pub fn account(username: &str, domain: &str) -> Result<Jid, Failure> {
    Jid::from_parts(Some(username), domain, None)
        .ok()
        .or_else(|| Jid::from_parts(Some(&*prep::prepare(username)?), domain, None).ok())
        .ok_or_else(|| FailureCondition::NotAuthorized.into())
}
