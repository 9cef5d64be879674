//! What outlives a process, and the session store.
//!
//! In reading order:
//!
//! - [`db`]: [`Db`], the port to the database, and how one is opened.
//! - [`accounts`], `last_activity`, [`roster`], [`private`], [`blocklist`]: one file per noun, each with the
//!   functions that [`Db`] has for it.
//! - [`log`]: the message log. A message is written once per account; what no session has taken
//!   yet is the offline queue, all of it is the archive. Durability is by group commit.
//! - [`sessions`]: [`Sessions`], which sessions there are and where. Rebuildable at any time.
//!
//! Ports are enums: a closed set of engines, each function matches on them. The embedded variants
//! (SQLite, memory) are real and double as the fakes of tests.

pub mod accounts;
pub mod blocklist;
pub mod db;
mod error;
mod last_activity;
pub mod log;
pub mod private;
pub mod roster;
pub mod sessions;

pub use accounts::{Account, AccountId, AddError, Credential, CredentialHash, LoadedAccount};
pub use db::Db;
pub use error::StoreError;
pub use log::{Append, Appended, LogConfig, LogEntry, LogId, LogPage, MessageLog, PageQuery, Retention};
pub use roster::{RosterChange, RosterItem, Subscription};
pub use sessions::{Attachment, Fence, SessionRecord, Sessions, StaleEpoch};
