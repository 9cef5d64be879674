//! Why the store did not do what it was asked.

use std::path::PathBuf;

/// A failure of the database or of what is in it. None of them is a peer's fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The data directory or a file in it cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data was written by a version that this one does not understand.
    #[error("the data has {what} that this version does not know: start a newer version")]
    Format {
        /// What is unknown.
        what: String,
    },
    /// The number of partitions is fixed when the data is made.
    #[error("the data was made for {stored} partitions, the configuration says {configured}")]
    Partitions {
        /// What the data says.
        stored: u32,
        /// What the configuration says.
        configured: u32,
    },
    /// Stored bytes do not read back.
    #[error("damaged data: {0}")]
    Corrupt(String),
    /// Another process has taken over: nothing may be written by this one any more (I4).
    #[error("another process has taken over the message log")]
    Fenced,
    /// The database's own error.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("database migration: {0}")]
    Migrate(sqlx::migrate::MigrateError),
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> StoreError {
        match error {
            // A migration that was applied but is not in this binary: a newer version did it.
            sqlx::migrate::MigrateError::VersionMissing(version) => {
                StoreError::Format { what: format!("migration {version}") }
            }
            other => StoreError::Migrate(other),
        }
    }
}

/// A stored address that does not parse is damage, not input.
pub(crate) fn stored_jid(text: &str) -> Result<xmpp::Jid, StoreError> {
    xmpp::Jid::parse(text).map_err(|error| StoreError::Corrupt(format!("address: {error}")))
}
