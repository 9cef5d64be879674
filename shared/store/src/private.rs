//! Small XML documents that an account keeps here: XEP-0049 private storage, XEP-0054 vcards.

use crate::{AccountId, Db, StoreError};
use bytes::Bytes;

impl Db {
    /// Reads the document with this namespace and element name.
    ///
    /// # Errors
    /// The database's.
    pub async fn private_get(
        &self,
        account: AccountId,
        ns: &str,
        name: &str,
    ) -> Result<Option<Bytes>, StoreError> {
        let Db::Sqlite(db) = self;
        let row: Option<(Vec<u8>,)> =
            sqlx::query_as("SELECT data FROM private_data WHERE account = ?1 AND ns = ?2 AND name = ?3")
                .bind(account.0)
                .bind(ns)
                .bind(name)
                .fetch_optional(&db.readers)
                .await?;
        Ok(row.map(|(data,)| data.into()))
    }

    /// Stores the document with this namespace and element name, or removes it. Its size and how
    /// many there may be is the caller's to limit: see [`Db::private_bytes`].
    ///
    /// # Errors
    /// The database's.
    pub async fn private_set(
        &self,
        account: AccountId,
        ns: &str,
        name: &str,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let Db::Sqlite(db) = self;
        let query = match data {
            Some(data) => sqlx::query(
                "INSERT INTO private_data (account, ns, name, data) SELECT id, ?2, ?3, ?4 FROM account WHERE id = ?1
                 ON CONFLICT (account, ns, name) DO UPDATE SET data = excluded.data",
            )
            .bind(account.0)
            .bind(ns)
            .bind(name)
            .bind(data),
            None => sqlx::query("DELETE FROM private_data WHERE account = ?1 AND ns = ?2 AND name = ?3")
                .bind(account.0)
                .bind(ns)
                .bind(name),
        };
        query.execute(&db.writer).await?;
        Ok(())
    }

    /// How many bytes an account's documents have in all.
    ///
    /// # Errors
    /// The database's.
    pub async fn private_bytes(&self, account: AccountId) -> Result<u64, StoreError> {
        let Db::Sqlite(db) = self;
        let (bytes,): (i64,) =
            sqlx::query_as("SELECT coalesce(sum(length(data)), 0) FROM private_data WHERE account = ?1")
                .bind(account.0)
                .fetch_one(&db.readers)
                .await?;
        Ok(bytes as u64)
    }
}
