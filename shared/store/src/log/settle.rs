//! Settling: entries move from the journal to chunks of their accounts.

use super::tail::Cut;
use super::{Core, Retention, chunk, sql};
use crate::StoreError;
use std::sync::atomic::Ordering;

impl Core {
    /// Moves all that is committed, in one transaction.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let _settling = self.settling.lock().await;
        let journal = *self.journal.lock();
        if journal.bytes == 0 {
            return Ok(());
        }
        let cuts = self.tails.cut(journal.through);
        // After the cut: no id in it is above this one.
        let last_id = self.tails.batch().last_id;
        let settled = sql::Settled { commit: journal.through, last_id };
        let mut settling = sql::Settling::begin(&self.db, self.writer, settled).await?;
        for cut in &cuts {
            self.settle_account(&mut settling, cut).await?;
        }
        settling.commit().await?;
        self.settled.store(journal.through, Ordering::Release);
        self.tails.settled(&cuts);
        self.journal.lock().bytes -= journal.bytes;
        Ok(())
    }

    pub(super) async fn settle_account(
        &self,
        settling: &mut sql::Settling,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        for id in &cut.taken {
            settling.taken(cut.account, *id).await?;
        }
        let pending_only: Vec<_>;
        let mut entries = match self.config.retention {
            Retention::UntilDelivered => {
                pending_only = cut.entries.iter().filter(|entry| entry.is_pending()).cloned().collect();
                &pending_only[..]
            }
            Retention::Days(_) | Retention::Forever => &cut.entries[..],
        };
        while !entries.is_empty() {
            let part = chunk::split(&mut entries);
            let chunk = chunk::encode(part);
            for entry in part.iter().filter(|entry| entry.is_pending()) {
                settling.pending(cut.account, entry.id, chunk.first_id).await?;
            }
            settling.chunk(cut.account, chunk).await?;
        }
        Ok(())
    }
}
