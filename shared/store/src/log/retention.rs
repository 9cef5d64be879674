//! Removing what is old.

use super::{Core, LogId, MessageLog, Retention, chunk, sql};
use crate::StoreError;

/// Chunks that one statement looks at.
const STEP: i64 = 200;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl<W: Send + 'static> MessageLog<W> {
    /// Removes settled entries that are older than the retention says and not pending. This takes
    /// place by itself every hour.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire(&self) -> Result<(), StoreError> {
        self.core.expire().await
    }
}

impl Core {
    /// Whether anything is ever removed.
    pub(super) fn expires(&self) -> bool {
        self.config.retention != Retention::Forever
    }

    pub(super) async fn expire(&self) -> Result<(), StoreError> {
        let now_ms = (self.now_ms)();
        let before = match self.config.retention {
            Retention::Forever => return Ok(()),
            Retention::UntilDelivered => LogId::at_ms(now_ms),
            Retention::Days(days) => LogId::at_ms(now_ms.saturating_sub(u64::from(days) * DAY_MS)),
        };
        // Chunks stand in the order of time: the first one that is young enough ends it. Those
        // that are kept because something in them is pending are passed again the next time.
        let mut after = 0;
        loop {
            let chunks = sql::chunks_from(&self.db, after, before, STEP).await?;
            let Some(last) = chunks.last() else { return Ok(()) };
            after = last.seq;
            for old in chunks.iter().filter(|chunk| !chunk.is_pending) {
                let Some(data) = sql::chunk_data(&self.db, old.seq).await? else { continue };
                let peers = chunk::decode_peers(data)?;
                sql::chunk_delete(&self.db, old, &peers).await?;
            }
        }
    }
}
