//! Accounts as an operator handles them.

use super::Admin;
use crate::auth::credentials;
use crate::features;
use bus::ToOwner;
use bus::envelope::{OwnerBody, Receipt};
use store::{AddError, Credential, StoreError};
use xmpp::{Jid, Stanza};

/// Why an operator's wish is not granted.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The text is no address.
    #[error("{0} is no address: {1}")]
    Address(String, xmpp::jid::JidError),
    /// The address is not that of an account.
    #[error("{0} is not of the form user@domain")]
    NotAnAccount(String),
    /// The domain is not served here.
    #[error("{0} is not one of the domains of this service (domains.hosts)")]
    ForeignDomain(String),
    /// The password cannot be one.
    #[error("the password cannot be used: {0}")]
    Password(String),
    /// There is an account with this address.
    #[error("the account {0} exists already")]
    Exists(Jid),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(Jid),
    /// The address has no session.
    #[error("{0} has no session")]
    NoSession(Jid),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl Admin {
    /// Makes an account.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub async fn account_add(&self, jid: &str, password: String) -> Result<Jid, AdminError> {
        let jid = self.account_address(jid)?;
        if !self.settings.hosts.iter().any(|host| host == jid.domain()) {
            return Err(AdminError::ForeignDomain(jid.domain().to_owned()));
        }
        let keys = self.keys(password).await?;
        match self.db.account_add(&jid, &keys, self.clock.now_ms()).await {
            Ok(_) => {}
            Err(AddError::Exists) => return Err(AdminError::Exists(jid)),
            Err(AddError::Store(error)) => return Err(error.into()),
        }
        self.refresh(&jid, false);
        tracing::info!(account = %jid, "an operator made an account");
        Ok(jid)
    }

    /// Sets a new password. Sessions stay.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub async fn password_set(&self, jid: &str, password: String) -> Result<(), AdminError> {
        let jid = self.account_address(jid)?;
        let Some(account) = self.db.account_get(&jid).await? else {
            return Err(AdminError::NoAccount(jid));
        };
        let keys = self.keys(password).await?;
        if !self.db.credentials_set(account.id, &keys).await? {
            return Err(AdminError::NoAccount(jid));
        }
        self.refresh(&jid, false);
        tracing::info!(account = %jid, "an operator set a password");
        Ok(())
    }

    /// Removes an account with all it holds, and ends its sessions.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub async fn account_delete(&self, jid: &str) -> Result<(), AdminError> {
        let jid = self.account_address(jid)?;
        let Some(account) = self.db.account_get(&jid).await? else {
            return Err(AdminError::NoAccount(jid));
        };
        // First nobody can log in any more, then the sessions end, then the rows go: a login in
        // between would hold an account that is gone.
        self.db.account_disable(account.id, true).await?;
        self.refresh(&jid, true);
        let (_, contacts) = self.db.roster(account.id).await?;
        self.db.account_delete(&self.log, account.id).await?;
        self.refresh(&jid, true);
        for contact in &contacts {
            for stanza in features::endings(&jid, contact) {
                self.send(stanza);
            }
        }
        tracing::info!(account = %jid, "an operator removed an account");
        Ok(())
    }

    /// Has the owner of the account look at it anew.
    fn refresh(&self, jid: &Jid, gone: bool) {
        self.bus.to_owner(ToOwner { account: jid.clone(), body: OwnerBody::Refresh { gone } });
    }

    /// Sends a stanza to an account of ours.
    fn send(&self, stanza: Stanza) {
        let Some(to) = stanza.to().filter(|to| self.settings.hosts.iter().any(|host| host == to.domain()))
        else {
            return;
        };
        let account = to.to_bare();
        let body = OwnerBody::Routed { stanza, receipt: Receipt::None };
        self.bus.to_owner(ToOwner { account, body });
    }

    /// The keys of a password, derived on a thread that nobody else waits for.
    async fn keys(&self, password: String) -> Result<Vec<Credential>, AdminError> {
        let failed = |error: &dyn std::fmt::Display| AdminError::Password(error.to_string());
        let _permit = self.hashing.acquire().await.map_err(|error| failed(&error))?;
        let iterations = self.settings.scram_iterations;
        let derived = tokio::task::spawn_blocking(move || credentials(&password, iterations)).await;
        derived.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// The address of an account, prepared.
    fn account_address(&self, text: &str) -> Result<Jid, AdminError> {
        let jid = address(text)?;
        match jid.local().is_some() && jid.resource().is_none() {
            true => Ok(jid),
            false => Err(AdminError::NotAnAccount(text.to_owned())),
        }
    }
}

/// An address, prepared.
pub(super) fn address(text: &str) -> Result<Jid, AdminError> {
    Jid::parse(text).map_err(|error| AdminError::Address(text.to_owned(), error))
}
