//! XEP-0012: when an account was last active.

use crate::{AccountId, Db, StoreError};

impl Db {
    /// Remembers when the last sessions of accounts ended, and the status they left (XEP-0012 §4),
    /// in one transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_activity_put(
        &self,
        ended: &[(AccountId, u64, Option<String>)],
    ) -> Result<(), StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        for (id, at_ms, status) in ended {
            // SELECT rather than VALUES: an account deleted meanwhile is no error.
            sqlx::query(
                "INSERT INTO last_activity (account, at_ms, status) SELECT id, ?2, ?3 FROM account WHERE id = ?1
                 ON CONFLICT (account) DO UPDATE SET at_ms = excluded.at_ms, status = excluded.status",
            )
            .bind(id.0)
            .bind(*at_ms as i64)
            .bind(status)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// When the account's last session ended, in milliseconds since the Unix epoch, and its status.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_activity_get(
        &self,
        id: AccountId,
    ) -> Result<Option<(u64, Option<String>)>, StoreError> {
        let Db::Sqlite(db) = self;
        let row: Option<(i64, Option<String>)> =
            sqlx::query_as("SELECT at_ms, status FROM last_activity WHERE account = ?1")
                .bind(id.0)
                .fetch_optional(&db.readers)
                .await?;
        Ok(row.map(|(at_ms, status)| (at_ms as u64, status)))
    }
}
