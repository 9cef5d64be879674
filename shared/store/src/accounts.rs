//! Accounts: who may log in here, and with what.

use crate::error::stored_jid;
use crate::log::{LogId, MessageLog};
use crate::{Db, RosterItem, StoreError};
use sqlx::{FromRow, Row, SqliteConnection};
use std::fmt;
use xmpp::Jid;

/// Names an account in the database. Never given to another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name in the database.
    pub id: AccountId,
    /// Its address, a bare JID.
    pub jid: Jid,
    /// Whether it may not log in.
    pub disabled: bool,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialHash {
    /// SCRAM-SHA-1 (RFC 5802).
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl CredentialHash {
    /// As it is stored and as mechanisms are named.
    pub fn name(self) -> &'static str {
        match self {
            CredentialHash::Sha1 => "SHA-1",
            CredentialHash::Sha256 => "SHA-256",
            CredentialHash::Sha512 => "SHA-512",
        }
    }

    fn from_name(name: &str) -> Result<CredentialHash, StoreError> {
        match name {
            "SHA-1" => Ok(CredentialHash::Sha1),
            "SHA-256" => Ok(CredentialHash::Sha256),
            "SHA-512" => Ok(CredentialHash::Sha512),
            other => Err(StoreError::Format { what: format!("credential hash {other:?}") }),
        }
    }
}

/// What is stored of a password for one hash (RFC 5802 §3): never the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Which hash the keys are of.
    pub hash: CredentialHash,
    /// Salt of the key derivation.
    pub salt: Vec<u8>,
    /// Rounds of the key derivation.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// `ServerKey`.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for Credential {
    /// Without the keys: whoever has them can pose as the server or guess the password offline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, {} iterations)", self.hash.name(), self.iterations)
    }
}

/// Everything an owner needs when it first touches an account.
#[derive(Debug, Clone)]
pub struct LoadedAccount {
    /// The account.
    pub account: Account,
    /// Its credentials, at most one per hash.
    pub credentials: Vec<Credential>,
    /// Version of the roster.
    pub roster_version: u64,
    /// All roster items, also those that are only a stored request ([`RosterItem::in_roster`]).
    pub roster: Vec<RosterItem>,
    /// How many messages no session has taken yet.
    pub pending: u64,
    /// The oldest of them.
    pub pending_oldest: Option<LogId>,
    /// Whether there is a block list to read.
    pub has_blocklist: bool,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// There is one with this address.
    #[error("the account exists")]
    Exists,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AddError {
    fn from(error: sqlx::Error) -> AddError {
        AddError::Store(error.into())
    }
}

type AccountRow = (i64, String, bool, i64);
type CredentialRow = (String, Vec<u8>, u32, Vec<u8>, Vec<u8>);

/// All of an account at once: three statements in a row cost one switch to SQLite's thread and
/// back instead of three. Their rows differ in length.
const LOAD: &str = concat!(
    "SELECT id, jid, disabled, created_ms, roster_version,
            EXISTS (SELECT 1 FROM blocked WHERE blocked.account = account.id),
            EXISTS (SELECT 1 FROM log_pending WHERE log_pending.account = account.id)
     FROM account WHERE jid = ?1;
     SELECT hash, salt, iterations, stored_key, server_key FROM credential
     WHERE account = (SELECT id FROM account WHERE jid = ?1);
     SELECT ",
    crate::roster::item_columns!(),
    " FROM roster_item
     WHERE account = (SELECT id FROM account WHERE jid = ?1)"
);
/// How many the rows of the second statement have.
const CREDENTIAL_COLUMNS: usize = 5;

fn account((id, jid, disabled, created_ms): AccountRow) -> Result<Account, StoreError> {
    Ok(Account { id: AccountId(id), jid: stored_jid(&jid)?, disabled, created_ms: created_ms as u64 })
}

impl Db {
    /// Makes an account for this bare JID.
    ///
    /// # Errors
    /// [`AddError::Exists`], or the database's.
    pub async fn account_add(
        &self,
        jid: &Jid,
        credentials: &[Credential],
        now_ms: u64,
    ) -> Result<AccountId, AddError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let row: Option<(i64,)> = sqlx::query_as(
            "INSERT INTO account (jid, domain, created_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (jid) DO NOTHING RETURNING id",
        )
        .bind(jid.bare_str())
        .bind(jid.domain())
        .bind(now_ms as i64)
        .fetch_optional(&mut *tx)
        .await?;
        let id = AccountId(row.ok_or(AddError::Exists)?.0);
        insert_credentials(&mut tx, id, credentials).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Reads everything about the account of this bare JID; none when there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_load<W: Send + 'static>(
        &self,
        log: &MessageLog<W>,
        jid: &Jid,
    ) -> Result<Option<LoadedAccount>, StoreError> {
        let Db::Sqlite(db) = self;
        let settled = log.settled();
        let rows = sqlx::query(LOAD).bind(jid.bare_str()).fetch_all(&db.readers).await?;
        let mut rows = rows.iter();
        let Some(first) = rows.next() else { return Ok(None) };
        let (id, jid, disabled, created_ms, roster_version, has_blocklist, has_pending) =
            <(i64, String, bool, i64, i64, bool, bool)>::from_row(first)?;
        let account = account((id, jid, disabled, created_ms))?;
        let (mut credentials, mut roster) = (Vec::new(), Vec::new());
        for row in rows {
            match row.len() {
                CREDENTIAL_COLUMNS => credentials.push(credential(CredentialRow::from_row(row)?)?),
                _ => roster.push(crate::roster::item(FromRow::from_row(row)?)?),
            }
        }
        let waiting = log.waiting(account.id, settled, has_pending).await?;
        Ok(Some(LoadedAccount {
            account,
            credentials,
            roster_version: roster_version as u64,
            roster,
            pending: waiting.count,
            pending_oldest: waiting.oldest,
            has_blocklist,
        }))
    }

    /// Reads the account of this bare JID, without what belongs to it.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_get(&self, jid: &Jid) -> Result<Option<Account>, StoreError> {
        let Db::Sqlite(db) = self;
        let row: Option<AccountRow> =
            sqlx::query_as("SELECT id, jid, disabled, created_ms FROM account WHERE jid = ?1")
                .bind(jid.bare_str())
                .fetch_optional(&db.readers)
                .await?;
        row.map(account).transpose()
    }

    /// Reads the credentials of an account.
    ///
    /// # Errors
    /// The database's.
    pub async fn credentials_get(&self, id: AccountId) -> Result<Vec<Credential>, StoreError> {
        let Db::Sqlite(db) = self;
        credentials(&mut *db.readers.acquire().await?, id).await
    }

    /// Replaces all credentials of an account: a new password. False when there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn credentials_set(&self, id: AccountId, new: &[Credential]) -> Result<bool, StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let exists: Option<(i64,)> = sqlx::query_as("SELECT id FROM account WHERE id = ?1")
            .bind(id.0)
            .fetch_optional(&mut *tx)
            .await?;
        if exists.is_none() {
            return Ok(false);
        }
        sqlx::query("DELETE FROM credential WHERE account = ?1").bind(id.0).execute(&mut *tx).await?;
        insert_credentials(&mut tx, id, new).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes an account with everything that belongs to it, its messages too. False when there
    /// was none. End its sessions first: what is appended for it from now on is dropped.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_delete<W: Send + 'static>(
        &self,
        log: &MessageLog<W>,
        id: AccountId,
    ) -> Result<bool, StoreError> {
        let Db::Sqlite(db) = self;
        // The log stops settling meanwhile, and forgets the account before its rows go.
        let _settling = log.forget(id).await;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        for statement in [
            "DELETE FROM log_pending WHERE account = ?1",
            "DELETE FROM log_chunk_peer WHERE account = ?1",
            "DELETE FROM log_chunk WHERE account = ?1",
        ] {
            sqlx::query(statement).bind(id.0).execute(&mut *tx).await?;
        }
        let gone = sqlx::query("DELETE FROM account WHERE id = ?1").bind(id.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Lists accounts in the order of their addresses, of one domain or of all, starting after an
    /// address.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_list(
        &self,
        domain: Option<&str>,
        after: Option<&Jid>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let Db::Sqlite(db) = self;
        let after = after.map_or("", Jid::bare_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<AccountRow> = match domain {
            Some(domain) => sqlx::query_as(
                "SELECT id, jid, disabled, created_ms FROM account
                 WHERE jid > ?1 AND domain = ?3 ORDER BY jid LIMIT ?2",
            )
            .bind(after)
            .bind(limit)
            .bind(domain),
            None => sqlx::query_as(
                "SELECT id, jid, disabled, created_ms FROM account
                 WHERE jid > ?1 ORDER BY jid LIMIT ?2",
            )
            .bind(after)
            .bind(limit),
        }
        .fetch_all(&db.readers)
        .await?;
        rows.into_iter().map(account).collect()
    }

    /// Forbids or allows logging in. False when there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_disable(&self, id: AccountId, disabled: bool) -> Result<bool, StoreError> {
        let Db::Sqlite(db) = self;
        let done = sqlx::query("UPDATE account SET disabled = ?2 WHERE id = ?1")
            .bind(id.0)
            .bind(disabled)
            .execute(&db.writer)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

async fn insert_credentials(
    conn: &mut SqliteConnection,
    id: AccountId,
    credentials: &[Credential],
) -> Result<(), sqlx::Error> {
    for credential in credentials {
        sqlx::query(
            "INSERT INTO credential (account, hash, salt, iterations, stored_key, server_key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(id.0)
        .bind(credential.hash.name())
        .bind(&credential.salt[..])
        .bind(credential.iterations)
        .bind(&credential.stored_key[..])
        .bind(&credential.server_key[..])
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn credentials(conn: &mut SqliteConnection, id: AccountId) -> Result<Vec<Credential>, StoreError> {
    let rows: Vec<CredentialRow> = sqlx::query_as(
        "SELECT hash, salt, iterations, stored_key, server_key FROM credential WHERE account = ?1",
    )
    .bind(id.0)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(credential).collect()
}

fn credential(
    (hash, salt, iterations, stored_key, server_key): CredentialRow,
) -> Result<Credential, StoreError> {
    let hash = CredentialHash::from_name(&hash)?;
    Ok(Credential { hash, salt, iterations, stored_key, server_key })
}
