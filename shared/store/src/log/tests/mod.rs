//! Tests of the log as a whole, on real files. A crash is played by copying the files while the
//! log is at work and opening the copy: what `kill -9` leaves behind.

mod commit;
mod crash;
mod journal;
mod model;
mod read;

use super::*;
use crate::Credential;
use std::path::Path;
use tempfile::TempDir;

pub(super) const NOW_MS: u64 = 1_700_000_000_000;

/// A log in a directory of its own.
pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) db: Db,
    pub(super) log: Arc<MessageLog<u32>>,
    pub(super) now_ms: Arc<AtomicU64>,
    /// Whom the sink was given.
    pub(super) told: Arc<Mutex<Vec<u32>>>,
}

impl World {
    pub(super) async fn new() -> World {
        World::with(tempfile::tempdir().unwrap(), LogConfig::default()).await
    }

    pub(super) async fn with(dir: TempDir, config: LogConfig) -> World {
        let db = Db::open_sqlite(dir.path(), 64).await.unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let now_ms = Arc::new(AtomicU64::new(NOW_MS));
        let (sink_told, clock) = (told.clone(), now_ms.clone());
        let log = MessageLog::open(
            db.clone(),
            config,
            Arc::new(move || clock.load(Ordering::Relaxed)),
            Box::new(move |waiters| sink_told.lock().extend(waiters)),
        )
        .await
        .unwrap();
        World { dir, db, log: Arc::new(log), now_ms, told }
    }

    /// What is found after the process was killed now.
    pub(super) async fn crash(&self) -> World {
        let dir = tempfile::tempdir().unwrap();
        for name in ["waystation.db", "waystation.db-wal", "journal-0", "journal-1"] {
            copy_if_there(&self.dir.path().join(name), &dir.path().join(name));
        }
        World::with(dir, self.log.core.config.clone()).await
    }

    pub(super) async fn account(&self, name: &str) -> AccountId {
        let none: [Credential; 0] = [];
        self.db.account_add(&jid(name), &none, NOW_MS).await.unwrap()
    }

    pub(super) fn append(&self, account: AccountId, peer: &str, stanza: &str) -> LogId {
        self.log.append(account, incoming(peer, stanza)).id
    }

    pub(super) async fn settle(&self) {
        self.log.core.settle().await.unwrap();
    }

    pub(super) async fn pending(&self, account: AccountId) -> Vec<String> {
        texts(&self.log.pending(account, LogId::MIN, 1000).await.unwrap())
    }

    pub(super) async fn execute(&self, statement: &'static str) {
        let Db::Sqlite(db) = &self.db;
        sqlx::query(statement).execute(&db.writer).await.unwrap();
    }

    pub(super) async fn rows(&self, count: &'static str) -> i64 {
        let Db::Sqlite(db) = &self.db;
        sqlx::query_as::<_, (i64,)>(count).fetch_one(&db.readers).await.unwrap().0
    }
}

fn copy_if_there(from: &Path, to: &Path) {
    if from.exists() {
        std::fs::copy(from, to).unwrap();
    }
}

pub(super) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

pub(super) fn incoming(peer: &str, stanza: &str) -> Append {
    Append {
        peer: jid(peer),
        stanza: Bytes::copy_from_slice(stanza.as_bytes()),
        pending: true,
        outgoing: false,
    }
}

pub(super) fn texts(entries: &[LogEntry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8(entry.stanza.to_vec()).unwrap()).collect()
}
