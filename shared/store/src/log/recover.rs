//! The start: what an earlier run committed and did not settle becomes tails again.

use super::commit::{Committer, Journal};
use super::journal::JournalFiles;
use super::record::{Batch, Record, decode};
use super::tail::{Entry, Tails};
use super::{Core, LogConfig, LogId, NowMs, sql};
use crate::{Db, StoreError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tokio::sync::Notify;

impl Core {
    pub(super) async fn recover(
        db: Db,
        config: LogConfig,
        now_ms: NowMs,
    ) -> Result<(Core, Committer), StoreError> {
        // First the fence: from here on nobody else settles.
        let (writer, settled) = sql::writer_begin(&db).await?;
        let Db::Sqlite(sqlite) = &db;
        let (files, frames) = JournalFiles::open(&sqlite.dir, settled.commit)?;
        let tails = Tails::new();
        let mut journal = Journal { through: settled.commit, bytes: 0 };
        let mut last_id = settled.last_id;
        for frame in frames {
            journal.through = frame.seq;
            journal.bytes += frame.data.len();
            last_id = last_id.max(replay(&tails, frame.seq, frame.data)?);
        }
        let accounts = tails.accounts();
        // The id of a deleted account is never used again: what is left of it may go.
        for gone in sql::accounts_missing(&db, &accounts).await? {
            tails.forget(gone);
        }
        *tails.batch() = Batch::new(journal.through + 1, last_id);
        let core = Core {
            db,
            config,
            now_ms,
            writer,
            tails,
            committed: AtomicU64::new(journal.through),
            settled: AtomicU64::new(settled.commit),
            journal: Mutex::new(journal),
            work: Notify::new(),
            settling: Arc::default(),
            is_fenced: AtomicBool::new(false),
        };
        Ok((core, Committer::new(files)))
    }
}

/// Repeats the records of one commit; returns the highest id.
fn replay(tails: &Tails, commit: u64, data: Bytes) -> Result<LogId, StoreError> {
    let mut last_id = LogId::MIN;
    for record in decode(data)? {
        match record {
            Record::Append { account, id, flags, peer, stanza } => {
                last_id = id;
                tails.recover(account, Entry { id, commit, flags_at: 0, flags, peer, stanza });
            }
            Record::Delivered { account, id } => tails.recover_delivered(account, id),
        }
    }
    Ok(last_id)
}
