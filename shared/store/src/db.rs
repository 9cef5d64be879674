//! The port to the database. SQLite is what the embedded mode uses.
//!
//! SQLite has one writer at a time: all writes go through one connection, so that they queue here
//! and never meet a busy database. Reads use connections of their own and do not wait for writes.

use crate::StoreError;
use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The version of what is stored, next to the migrations: it covers the encodings inside blobs.
const FORMAT: u32 = 1;
/// Page cache of a reading connection, as SQLite wants it: KiB, negative. What it reads is mostly read
/// once, and the system caches the file.
const READER_CACHE: &str = "-256";
/// Connections that read. Reads are short; more would only cost memory.
const READERS: u32 = 3;
/// How long a statement waits for a lock that something else (a backup, the sqlite3 shell) holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of the write-ahead log before it is copied into the database: 32 MiB. A page that changed
/// several times meanwhile is copied once.
const CHECKPOINT_PAGES: &str = "2048";
/// Size of a page. Chunks of messages are most of what is written; with pages of 4 KiB each byte
/// of them cost nearly twice the CPU.
const PAGE_BYTES: u32 = 16 * 1024;

/// The database. Cloning is cheap and names the same one.
#[derive(Debug, Clone)]
pub enum Db {
    /// One file in the data directory.
    Sqlite(SqliteDb),
}

/// An open SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteDb {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    /// The data directory.
    pub(crate) dir: PathBuf,
    /// Held as long as anyone uses the database.
    _lock: Arc<File>,
}

impl Db {
    /// Opens the database in this directory, which is made where it is missing (mode 0700, files
    /// 0600). `partitions` must be what the data was made with.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Format`] when a newer
    /// version wrote it; [`StoreError::Partitions`]; and what the system and the database say.
    pub async fn open_sqlite(dir: &Path, partitions: u32) -> Result<Db, StoreError> {
        let lock = lock_directory(dir)?;
        let file = dir.join("waystation.db");
        // SQLite gives its other files the mode of this one.
        private_file(&file).map_err(|source| StoreError::Io { path: file.clone(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let writer = pool(1, options.clone().pragma("wal_autocheckpoint", CHECKPOINT_PAGES)).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        check_meta(&writer, "format", FORMAT)
            .await?
            .map_or(Ok(()), |stored| Err(StoreError::Format { what: format!("format version {stored}") }))?;
        check_meta(&writer, "partitions", partitions)
            .await?
            .map_or(Ok(()), |stored| Err(StoreError::Partitions { stored, configured: partitions }))?;
        let readers = pool(READERS, options.pragma("cache_size", READER_CACHE)).await?;
        Ok(Db::Sqlite(SqliteDb { writer, readers, dir: dir.into(), _lock: Arc::new(lock) }))
    }

    /// Closes all connections; SQLite then folds its write-ahead log into the database.
    pub async fn close(&self) {
        let Db::Sqlite(db) = self;
        db.readers.close().await;
        db.writer.close().await;
    }
}

/// A pool without timers of its own, so that an idle process sleeps.
async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection to a file cannot go stale; the test costs a thread switch.
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

/// Takes the lock that keeps a second process out. The system drops it when the process ends.
fn lock_directory(dir: &Path) -> Result<File, StoreError> {
    let io = |path: &Path| {
        let path: PathBuf = path.into();
        move |source| StoreError::Io { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    let path = dir.join("waystation.lock");
    let lock = private_file(&path).map_err(io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.into())),
        Err(TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
    }
}

/// Opens a file that only this user may read, making it where it is missing.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Stores a value that must never change, or returns the stored one when it differs.
async fn check_meta(writer: &SqlitePool, key: &str, value: u32) -> Result<Option<u32>, StoreError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(key)
        .bind(value.to_string())
        .execute(writer)
        .await?;
    let (stored,): (String,) =
        sqlx::query_as("SELECT value FROM meta WHERE key = ?1").bind(key).fetch_one(writer).await?;
    let stored: u32 = stored.parse().map_err(|_| StoreError::Corrupt(format!("meta {key}")))?;
    Ok((stored != value).then_some(stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn files_are_private_and_a_second_process_is_kept_out() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("data");
        let db = Db::open_sqlite(&dir, 1024).await.unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("waystation.db")), 0o600);
        assert_eq!(mode(&dir.join("waystation.db-wal")), 0o600);
        // flock is per open file, so this process can play the second one.
        let error = Db::open_sqlite(&dir, 1024).await.unwrap_err();
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        db.close().await;
        drop(db);
        Db::open_sqlite(&dir, 1024).await.unwrap();
    }

    #[tokio::test]
    async fn the_number_of_partitions_is_fixed() {
        let dir = tempfile::tempdir().unwrap();
        Db::open_sqlite(dir.path(), 1024).await.unwrap().close().await;
        let error = Db::open_sqlite(dir.path(), 512).await.unwrap_err();
        assert!(matches!(error, StoreError::Partitions { stored: 1024, configured: 512 }), "{error}");
    }

    #[tokio::test]
    async fn data_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(dir.path(), 1024).await.unwrap();
        let Db::Sqlite(sqlite) = &db;
        sqlx::query("UPDATE meta SET value = '2' WHERE key = 'format'")
            .execute(&sqlite.writer)
            .await
            .unwrap();
        db.close().await;
        drop(db);
        let error = Db::open_sqlite(dir.path(), 1024).await.unwrap_err();
        assert!(matches!(error, StoreError::Format { .. }), "{error}");
    }

    #[tokio::test]
    async fn commits_reach_the_disk_and_foreign_keys_hold() {
        let dir = tempfile::tempdir().unwrap();
        let Db::Sqlite(db) = Db::open_sqlite(dir.path(), 1024).await.unwrap();
        let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&db.writer).await.unwrap();
        let (sync,): (i64,) = sqlx::query_as("PRAGMA synchronous").fetch_one(&db.writer).await.unwrap();
        let (keys,): (i64,) = sqlx::query_as("PRAGMA foreign_keys").fetch_one(&db.writer).await.unwrap();
        assert_eq!((mode.as_str(), sync, keys), ("wal", 2, 1));
    }
}
