//! Block lists (XEP-0191): the addresses an account wants nothing from.

use crate::error::stored_jid;
use crate::{AccountId, Db, StoreError};
use xmpp::Jid;

impl Db {
    /// Reads an account's block list.
    ///
    /// # Errors
    /// The database's.
    pub async fn blocklist(&self, account: AccountId) -> Result<Vec<Jid>, StoreError> {
        let Db::Sqlite(db) = self;
        let rows: Vec<(String,)> = sqlx::query_as("SELECT jid FROM blocked WHERE account = ?1")
            .bind(account.0)
            .fetch_all(&db.readers)
            .await?;
        rows.iter().map(|(jid,)| stored_jid(jid)).collect()
    }

    /// Adds addresses (of any kind: XEP-0191 §3.1 matches domains and full JIDs too).
    ///
    /// # Errors
    /// The database's.
    pub async fn block(&self, account: AccountId, jids: &[Jid]) -> Result<(), StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        for jid in jids {
            sqlx::query(
                "INSERT INTO blocked (account, jid) SELECT id, ?2 FROM account WHERE id = ?1
                 ON CONFLICT DO NOTHING",
            )
            .bind(account.0)
            .bind(jid.as_str())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Removes addresses; all of them when none is named (XEP-0191 §3.4).
    ///
    /// # Errors
    /// The database's.
    pub async fn unblock(&self, account: AccountId, jids: &[Jid]) -> Result<(), StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        if jids.is_empty() {
            sqlx::query("DELETE FROM blocked WHERE account = ?1").bind(account.0).execute(&mut *tx).await?;
        }
        for jid in jids {
            sqlx::query("DELETE FROM blocked WHERE account = ?1 AND jid = ?2")
                .bind(account.0)
                .bind(jid.as_str())
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}
