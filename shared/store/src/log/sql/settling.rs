//! The transaction of one settling.

use super::{ROWS, Settled};
use crate::log::LogId;
use crate::log::chunk::Chunk;
use crate::{AccountId, Db, StoreError};
use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};

/// The transaction of one settling. Rows are gathered and written many at a time.
pub(in crate::log) struct Settling {
    tx: Transaction<'static, Sqlite>,
    chunks: Vec<(AccountId, LogId, LogId, Vec<u8>)>,
    peers: Vec<(AccountId, i64, LogId)>,
    pending: Vec<(AccountId, LogId, LogId)>,
    taken: Vec<(AccountId, LogId)>,
}

impl Settling {
    /// Begins, unless this writer is fenced. What follows is all there is up to `settled`.
    pub(in crate::log) async fn begin(
        db: &Db,
        writer: i64,
        settled: Settled,
    ) -> Result<Settling, StoreError> {
        let Db::Sqlite(db) = db;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE writer SET settled = ?2, last_id = max(last_id, ?3) WHERE id = ?1 AND NOT fenced",
        )
        .bind(writer)
        .bind(settled.commit as i64)
        .bind(settled.last_id.0 as i64)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Fenced);
        }
        Ok(Settling { tx, chunks: vec![], peers: vec![], pending: vec![], taken: vec![] })
    }

    /// A chunk. If it is there already, from a settling whose outcome was never heard, it has
    /// no less in it now.
    pub(in crate::log) async fn chunk(&mut self, account: AccountId, chunk: Chunk) -> Result<(), StoreError> {
        self.peers.extend(chunk.peers.iter().map(|peer| (account, *peer, chunk.first_id)));
        if self.peers.len() >= ROWS {
            self.write_peers().await?;
        }
        self.chunks.push((account, chunk.first_id, chunk.last_id, chunk.data));
        if self.chunks.len() >= ROWS { self.write_chunks().await } else { Ok(()) }
    }

    /// An entry in the chunk with this first id that is pending.
    pub(in crate::log) async fn pending(
        &mut self,
        account: AccountId,
        id: LogId,
        chunk: LogId,
    ) -> Result<(), StoreError> {
        self.pending.push((account, id, chunk));
        if self.pending.len() >= ROWS { self.write_pending().await } else { Ok(()) }
    }

    /// An entry, settled before, that is no longer pending.
    pub(in crate::log) async fn taken(&mut self, account: AccountId, id: LogId) -> Result<(), StoreError> {
        self.taken.push((account, id));
        if self.taken.len() >= ROWS { self.write_taken().await } else { Ok(()) }
    }

    /// Ends the transaction: from here on the journal's frames are not needed.
    pub(in crate::log) async fn commit(mut self) -> Result<(), StoreError> {
        self.write_chunks().await?;
        self.write_peers().await?;
        self.write_pending().await?;
        self.write_taken().await?;
        Ok(self.tx.commit().await?)
    }

    async fn write_chunks(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.chunks);
        let into = "INSERT OR REPLACE INTO log_chunk (account, first_id, last_id, data) ";
        insert(&mut self.tx, into, rows, |row, (account, first, last, data)| {
            row.push_bind(account.0).push_bind(first.0 as i64).push_bind(last.0 as i64).push_bind(data);
        })
        .await
    }

    async fn write_peers(&mut self) -> Result<(), StoreError> {
        let mut rows = std::mem::take(&mut self.peers);
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(ROWS));
            let into = "INSERT OR IGNORE INTO log_chunk_peer (account, peer, first_id) ";
            insert(&mut self.tx, into, rows, |row, (account, peer, chunk)| {
                row.push_bind(account.0).push_bind(peer).push_bind(chunk.0 as i64);
            })
            .await?;
            rows = rest;
        }
        Ok(())
    }

    async fn write_pending(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.pending);
        let into = "INSERT OR REPLACE INTO log_pending (account, id, first_id) ";
        insert(&mut self.tx, into, rows, |row, (account, id, chunk)| {
            row.push_bind(account.0).push_bind(id.0 as i64).push_bind(chunk.0 as i64);
        })
        .await
    }

    async fn write_taken(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.taken);
        if rows.is_empty() {
            return Ok(());
        }
        let is_full = rows.len() == ROWS;
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM log_pending WHERE (account, id) IN (");
        query.push_values(rows, |mut row, (account, id)| {
            row.push_bind(account.0).push_bind(id.0 as i64);
        });
        query.push(")");
        query.build().persistent(is_full).execute(&mut *self.tx).await?;
        Ok(())
    }
}

async fn insert<T>(
    conn: &mut SqliteConnection,
    into: &'static str,
    rows: Vec<T>,
    mut bind: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, T),
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    // Only the full length is worth a place in the cache of prepared statements.
    let is_full = rows.len() == ROWS;
    let mut query = QueryBuilder::<Sqlite>::new(into);
    query.push_values(rows, |mut row, values| bind(&mut row, values));
    query.build().persistent(is_full).execute(conn).await?;
    Ok(())
}
