//! Every statement of the message log: here what reads and removes.

mod settling;

pub(super) use settling::Settling;

use super::LogId;
use super::read::Waiting;
use crate::{AccountId, Db, StoreError};
use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite};

/// Rows that one statement inserts or deletes. Each statement costs a switch to SQLite's thread
/// and back; 5 values × 64 stay far below SQLite's limit of 32766.
const ROWS: usize = 64;
/// Writers that are kept for the operator to see.
const WRITERS_KEPT: i64 = 16;

/// Where an earlier run's settling got to.
#[derive(Debug, Clone, Copy)]
pub(in crate::log) struct Settled {
    /// The last commit that is settled.
    pub(in crate::log) commit: u64,
    /// The highest id that is.
    pub(in crate::log) last_id: LogId,
}

/// Fences all earlier writers and begins a new one.
pub(in crate::log) async fn writer_begin(db: &Db) -> Result<(i64, Settled), StoreError> {
    let Db::Sqlite(db) = db;
    let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("UPDATE writer SET fenced = 1 WHERE NOT fenced").execute(&mut *tx).await?;
    let (id, commit, last_id): (i64, i64, i64) = sqlx::query_as(
        "INSERT INTO writer (settled, last_id)
         SELECT coalesce(max(settled), 0), coalesce(max(last_id), 0) FROM writer
         RETURNING id, settled, last_id",
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM writer WHERE id <= ?1").bind(id - WRITERS_KEPT).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok((id, Settled { commit: commit as u64, last_id: LogId(last_id as u64) }))
}

/// Which of these accounts do not exist.
pub(in crate::log) async fn accounts_missing(
    db: &Db,
    accounts: &[AccountId],
) -> Result<Vec<AccountId>, StoreError> {
    let Db::Sqlite(db) = db;
    let mut missing = Vec::new();
    for accounts in accounts.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM account WHERE id IN (");
        let mut ids: Separated<'_, Sqlite, _> = query.separated(", ");
        for account in accounts {
            ids.push_bind(account.0);
        }
        query.push(")");
        let found: Vec<(i64,)> = query.build_query_as().fetch_all(&db.readers).await?;
        missing.extend(accounts.iter().filter(|account| !found.contains(&(account.0,))));
    }
    Ok(missing)
}

/// A row of `log_pending`.
pub(in crate::log) struct PendingRow {
    pub(in crate::log) id: LogId,
    pub(in crate::log) chunk: LogId,
}

/// The first pending entries after an id.
pub(in crate::log) async fn pending(
    db: &Db,
    account: AccountId,
    after: LogId,
    limit: usize,
) -> Result<Vec<PendingRow>, StoreError> {
    let Db::Sqlite(db) = db;
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, first_id FROM log_pending WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )
    .bind(account.0)
    .bind(after.0 as i64)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&db.readers)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, chunk)| PendingRow { id: LogId(id as u64), chunk: LogId(chunk as u64) })
        .collect())
}

/// How many rows of `log_pending` are below an id and not among `taken`, and the oldest.
pub(in crate::log) async fn pending_below(
    db: &Db,
    account: AccountId,
    below: LogId,
    taken: &[LogId],
) -> Result<Waiting, StoreError> {
    let Db::Sqlite(db) = db;
    if taken.is_empty() {
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT count(*), min(id) FROM log_pending WHERE account = ?1 AND id < ?2")
                .bind(account.0)
                .bind(below.0 as i64)
                .fetch_one(&db.readers)
                .await?;
        return Ok(Waiting { count: count as u64, oldest: oldest.map(|id| LogId(id as u64)) });
    }
    // Sessions just took some: there are few rows then, or few of them are left.
    let rows: Vec<(i64,)> =
        sqlx::query_as("SELECT id FROM log_pending WHERE account = ?1 AND id < ?2 ORDER BY id")
            .bind(account.0)
            .bind(below.0 as i64)
            .fetch_all(&db.readers)
            .await?;
    let taken: std::collections::HashSet<u64> = taken.iter().map(|id| id.0).collect();
    let mut left = rows.iter().map(|(id,)| *id as u64).filter(|id| !taken.contains(id)).peekable();
    let oldest = left.peek().copied().map(LogId);
    Ok(Waiting { count: left.count() as u64, oldest })
}

/// The chunk with this first id.
pub(in crate::log) async fn chunk_at(
    db: &Db,
    account: AccountId,
    first_id: LogId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Db::Sqlite(db) = db;
    let row: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT data FROM log_chunk WHERE account = ?1 AND first_id = ?2")
            .bind(account.0)
            .bind(first_id.0 as i64)
            .fetch_optional(&db.readers)
            .await?;
    Ok(row.map(|(data,)| data))
}

/// Which chunks of an account, of those that have messages with a peer.
pub(in crate::log) struct ChunkRange {
    pub(in crate::log) account: AccountId,
    pub(in crate::log) peer: Option<i64>,
    /// Only chunks that begin before this.
    pub(in crate::log) before: LogId,
    /// Where the next step begins.
    pub(in crate::log) from: ChunkFrom,
    pub(in crate::log) backwards: bool,
}

/// Where reading chunks begins.
#[derive(Clone, Copy)]
pub(in crate::log) enum ChunkFrom {
    /// At the chunk that has this id in its range, or the next one.
    Containing(LogId),
    /// At the first one that begins after this.
    After(LogId),
}

impl ChunkRange {
    /// Goes on behind the chunk with this first id, in the direction of reading.
    pub(in crate::log) fn advance(&mut self, reached: LogId) {
        if self.backwards {
            self.before = reached;
        } else {
            self.from = ChunkFrom::After(reached);
        }
    }
}

/// Reads chunks, with their first ids, in the direction of the range.
pub(in crate::log) async fn chunks(
    db: &Db,
    range: &ChunkRange,
    limit: i64,
) -> Result<Vec<(LogId, Vec<u8>)>, StoreError> {
    let Db::Sqlite(db) = db;
    let mut conn = db.readers.acquire().await?;
    let first = match range.from {
        ChunkFrom::After(id) => id.0 as i64 + 1,
        ChunkFrom::Containing(id) => {
            // Of the peer's chunks too it is the last one that begins at or before the id.
            let (first,): (Option<i64>,) = sqlx::query_as(match range.peer {
                None => "SELECT max(first_id) FROM log_chunk WHERE account = ?1 AND first_id <= ?2",
                Some(_) => {
                    "SELECT max(first_id) FROM log_chunk_peer
                     WHERE account = ?1 AND first_id <= ?2 AND peer = ?3"
                }
            })
            .bind(range.account.0)
            .bind(id.0 as i64)
            .bind(range.peer)
            .fetch_one(&mut *conn)
            .await?;
            first.unwrap_or(0)
        }
    };
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(match (range.peer, range.backwards) {
        (None, false) => {
            "SELECT first_id, data FROM log_chunk
             WHERE account = ?1 AND first_id >= ?2 AND first_id < ?3 ORDER BY first_id LIMIT ?4"
        }
        (None, true) => {
            "SELECT first_id, data FROM log_chunk
             WHERE account = ?1 AND first_id >= ?2 AND first_id < ?3 ORDER BY first_id DESC LIMIT ?4"
        }
        (Some(_), false) => {
            "SELECT p.first_id, c.data FROM log_chunk_peer p
             CROSS JOIN log_chunk c ON c.account = p.account AND c.first_id = p.first_id
             WHERE p.account = ?1 AND p.first_id >= ?2 AND p.first_id < ?3 AND p.peer = ?5
             ORDER BY p.first_id LIMIT ?4"
        }
        (Some(_), true) => {
            "SELECT p.first_id, c.data FROM log_chunk_peer p
             CROSS JOIN log_chunk c ON c.account = p.account AND c.first_id = p.first_id
             WHERE p.account = ?1 AND p.first_id >= ?2 AND p.first_id < ?3 AND p.peer = ?5
             ORDER BY p.first_id DESC LIMIT ?4"
        }
    })
    .bind(range.account.0)
    .bind(first)
    .bind(range.before.0 as i64)
    .bind(limit)
    .bind(range.peer)
    .fetch_all(&mut *conn)
    .await?;
    Ok(rows.into_iter().map(|(first_id, data)| (LogId(first_id as u64), data)).collect())
}

/// A chunk that may be too old.
pub(in crate::log) struct OldChunk {
    pub(in crate::log) seq: i64,
    pub(in crate::log) is_pending: bool,
    account: i64,
    first_id: i64,
}

/// The next chunks after this row, in the order they were settled, that end before an id.
pub(in crate::log) async fn chunks_from(
    db: &Db,
    after: i64,
    before: LogId,
    limit: i64,
) -> Result<Vec<OldChunk>, StoreError> {
    let Db::Sqlite(db) = db;
    let rows: Vec<(i64, i64, i64, i64, bool)> = sqlx::query_as(
        "SELECT seq, account, first_id, last_id, EXISTS (
             SELECT 1 FROM log_pending p
             WHERE p.account = c.account AND p.id BETWEEN c.first_id AND c.last_id)
         FROM log_chunk c WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(&db.readers)
    .await?;
    Ok(rows
        .into_iter()
        .take_while(|(_, _, _, last_id, _)| *last_id < before.0 as i64)
        .map(|(seq, account, first_id, _, is_pending)| OldChunk { seq, is_pending, account, first_id })
        .collect())
}

/// The bytes of a chunk.
pub(in crate::log) async fn chunk_data(db: &Db, seq: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let Db::Sqlite(db) = db;
    let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT data FROM log_chunk WHERE seq = ?1")
        .bind(seq)
        .fetch_optional(&db.readers)
        .await?;
    Ok(row.map(|(data,)| data))
}

/// Removes a chunk and what refers to it.
pub(in crate::log) async fn chunk_delete(db: &Db, old: &OldChunk, peers: &[i64]) -> Result<(), StoreError> {
    let Db::Sqlite(db) = db;
    let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
    for peer in peers {
        sqlx::query("DELETE FROM log_chunk_peer WHERE account = ?1 AND peer = ?2 AND first_id = ?3")
            .bind(old.account)
            .bind(peer)
            .bind(old.first_id)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query("DELETE FROM log_chunk WHERE seq = ?1").bind(old.seq).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}
