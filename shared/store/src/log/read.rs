//! Reading: the tail first, then the chunks. An entry that is settled in between is seen twice
//! and given once.

use super::tail::Entry;
use super::{LogEntry, LogId, MessageLog, chunk, sql};
use crate::{AccountId, StoreError};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use xmpp::Jid;

/// Chunks that the first statement of a page reads; each next one reads twice as many.
const CHUNKS_FIRST: i64 = 4;
const CHUNKS_MAX: i64 = 64;

/// Which part of an account's archive (XEP-0313 §4, XEP-0059).
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<'a> {
    /// Only entries after this one.
    pub after: LogId,
    /// Only entries before this one.
    pub before: LogId,
    /// Only entries with this peer: its bare JID is compared.
    pub with: Option<&'a Jid>,
    /// Most entries.
    pub limit: usize,
    /// Whether the last ones are wanted when there are more than `limit`; otherwise the first.
    pub last: bool,
}

impl Default for PageQuery<'_> {
    fn default() -> Self {
        PageQuery { after: LogId::MIN, before: LogId::MAX, with: None, limit: 50, last: false }
    }
}

/// A part of an account's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The entries, oldest first.
    pub entries: Vec<LogEntry>,
    /// Whether nothing in the range was left out.
    pub complete: bool,
}

/// What waits for an account's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) count: u64,
    pub(crate) oldest: Option<LogId>,
}

/// What the tail knows of an account's pending entries.
struct PendingTail {
    /// Pending, oldest first.
    entries: Vec<LogEntry>,
    /// Settled and taken since.
    taken: HashSet<LogId>,
}

impl<W: Send + 'static> MessageLog<W> {
    /// The entries after `after` that no session has taken, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending(
        &self,
        account: AccountId,
        after: LogId,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let tail = self.pending_tail(account, after, limit);
        // Entries that were taken have a row until the next settling: read so many more.
        let rows = sql::pending(&self.core.db, account, after, limit + tail.taken.len()).await?;
        let rows: Vec<_> = rows.into_iter().filter(|row| !tail.taken.contains(&row.id)).take(limit).collect();
        let mut entries = Vec::with_capacity(rows.len() + tail.entries.len());
        for rows in rows.chunk_by(|a, b| a.chunk == b.chunk) {
            let Some(data) = sql::chunk_at(&self.core.db, account, rows[0].chunk).await? else {
                // The account is being deleted.
                continue;
            };
            entries
                .extend(chunk::decode(data, |id, _| rows.binary_search_by_key(&id, |row| row.id).is_ok())?);
        }
        // What was settled meanwhile was read from a chunk.
        let settled = entries.last().map_or(after, |entry| entry.id);
        entries.extend(tail.entries.into_iter().filter(|entry| entry.id > settled));
        entries.truncate(limit);
        Ok(entries)
    }

    /// How many entries no session has taken.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending_count(&self, account: AccountId) -> Result<u64, StoreError> {
        Ok(self.waiting(account, 0, true).await?.count)
    }

    /// The last commit that is settled, to be asked before the database is read for
    /// [`MessageLog::waiting`].
    pub(crate) fn settled(&self) -> u64 {
        self.core.settled.load(Ordering::Acquire)
    }

    /// How many entries no session has taken, and the oldest. The caller has just seen whether the
    /// database has pending ones: mostly not, and then memory says it all. If something was
    /// settled since, which may have left memory, the database is asked in the right order.
    pub(crate) async fn waiting(
        &self,
        account: AccountId,
        settled: u64,
        has_pending: bool,
    ) -> Result<Waiting, StoreError> {
        let (waiting, taken) = self.waiting_tail(account);
        if !has_pending && self.settled() == settled {
            return Ok(waiting);
        }
        // Below the first of the tail: what was settled meanwhile is counted once.
        let below = waiting.oldest.unwrap_or(LogId::MAX);
        let rows = sql::pending_below(&self.core.db, account, below, &taken).await?;
        Ok(Waiting { count: rows.count + waiting.count, oldest: rows.oldest.or(waiting.oldest) })
    }

    /// What the tail has of it, and which rows in the database no longer count.
    fn waiting_tail(&self, account: AccountId) -> (Waiting, Vec<LogId>) {
        let shard = self.core.tails.shard(account);
        let Some(tail) = shard.tails.get(&account) else {
            return (Waiting { count: 0, oldest: None }, Vec::new());
        };
        let pending = || tail.entries.iter().filter(|entry| entry.is_pending());
        let oldest = pending().next().map(|entry| entry.id);
        (Waiting { count: pending().count() as u64, oldest }, tail.taken.clone())
    }

    /// A part of the account's archive.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(&self, account: AccountId, query: &PageQuery<'_>) -> Result<LogPage, StoreError> {
        // One more than asked tells whether there are more.
        let limit = query.limit.saturating_add(1);
        let tail = self.page_tail(account, query, limit);
        // The tail is the log's end: all that a chunk has and the tail has not is older.
        let before = tail.first().map_or(query.before, |entry| entry.id);
        let missing = if query.last { limit - tail.len() } else { limit };
        let mut entries = self.page_settled(account, query, before, missing).await?;
        entries.extend(tail);
        let complete = entries.len() <= query.limit;
        if query.last {
            entries.drain(..entries.len().saturating_sub(query.limit));
        } else {
            entries.truncate(query.limit);
        }
        Ok(LogPage { entries, complete })
    }

    fn pending_tail(&self, account: AccountId, after: LogId, limit: usize) -> PendingTail {
        let shard = self.core.tails.shard(account);
        let Some(tail) = shard.tails.get(&account) else {
            return PendingTail { entries: Vec::new(), taken: HashSet::new() };
        };
        let pending = tail.after(after).filter(|entry| entry.is_pending());
        PendingTail {
            entries: pending.take(limit).map(Entry::to_log_entry).collect(),
            taken: tail.taken.iter().copied().collect(),
        }
    }

    /// The tail's part of a page, oldest first.
    fn page_tail(&self, account: AccountId, query: &PageQuery<'_>, limit: usize) -> Vec<LogEntry> {
        let shard = self.core.tails.shard(account);
        let Some(tail) = shard.tails.get(&account) else { return Vec::new() };
        let wanted = |entry: &&Entry| entry.id < query.before && is_with(&entry.peer, query.with);
        let found = tail.after(query.after);
        if query.last {
            let mut entries: Vec<_> =
                found.rev().filter(wanted).take(limit).map(Entry::to_log_entry).collect();
            entries.reverse();
            entries
        } else {
            found.filter(wanted).take(limit).map(Entry::to_log_entry).collect()
        }
    }

    /// The chunks' part of a page, oldest first. Its cost depends on the page, not on the archive.
    async fn page_settled(
        &self,
        account: AccountId,
        query: &PageQuery<'_>,
        before: LogId,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut range = sql::ChunkRange {
            account,
            peer: query.with.map(chunk::peer_hash),
            before,
            from: sql::ChunkFrom::Containing(query.after),
            backwards: query.last,
        };
        let mut count = CHUNKS_FIRST;
        let mut entries = Vec::new();
        while entries.len() < limit {
            let chunks = sql::chunks(&self.core.db, &range, count).await?;
            let is_end = (chunks.len() as i64) < count;
            let Some((reached, _)) = chunks.last() else { break };
            range.advance(*reached);
            for (_, data) in chunks {
                let mut part = chunk::decode(data, |id, peer| {
                    id > query.after && id < before && is_with(peer, query.with)
                })?;
                if query.last {
                    part.reverse();
                }
                entries.extend(part);
                if entries.len() >= limit {
                    break;
                }
            }
            if is_end {
                break;
            }
            count = (count * 2).min(CHUNKS_MAX);
        }
        entries.truncate(limit);
        if query.last {
            entries.reverse();
        }
        Ok(entries)
    }
}

fn is_with(peer: &Jid, with: Option<&Jid>) -> bool {
    with.is_none_or(|with| peer.bare_str() == with.bare_str())
}
