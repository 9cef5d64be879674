//! The session store: which sessions there are and which connection holds each.
//!
//! It is an index, never the truth: the owners of the sessions hold that and write it here again
//! when it is lost (I6). So a write is fire-and-forget and a plain call. Writes for one bare JID
//! take effect in the order they are made. Reads are `async`.

mod memory;

pub use memory::MemorySessions;

use crate::StoreError;
use std::net::SocketAddr;
use xmpp::Jid;

/// Where sessions are listed.
#[derive(Debug)]
pub enum Sessions {
    /// In this process: the embedded mode.
    Memory(MemorySessions),
}

/// A session as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its name for its whole life.
    pub session: u128,
    /// The full JID.
    pub jid: Jid,
    /// Which connection holds it.
    pub attachment: Attachment,
    /// Bits that the router gives a meaning.
    pub flags: u8,
    /// The client's address.
    pub address: Option<SocketAddr>,
}

/// Whether a session has a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// It has this one.
    Attached {
        /// The gateway's incarnation.
        gateway: u64,
        /// The connection's place there.
        slot: u32,
        /// How often the place was used before.
        generation: u32,
    },
    /// It waits for a resumption.
    Detached {
        /// Since when, in milliseconds since the Unix epoch.
        since_ms: u64,
    },
}

/// In whose name a write is made: the partition's owner with this epoch (I4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The partition of the bare JID.
    pub partition: u32,
    /// The owner's epoch.
    pub epoch: u64,
}

/// A write was refused: the partition has a newer owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the partition has a newer owner, of epoch {newest}")]
pub struct StaleEpoch {
    /// The newest epoch seen.
    pub newest: u64,
}

impl Sessions {
    /// A store in this process for so many partitions.
    pub fn memory(partitions: u32) -> Sessions {
        Sessions::Memory(MemorySessions::new(partitions))
    }

    /// Adds or replaces the session with this full JID.
    ///
    /// # Errors
    /// [`StaleEpoch`] as far as this process knows at once.
    pub fn put(&self, fence: Fence, record: SessionRecord) -> Result<(), StaleEpoch> {
        match self {
            Sessions::Memory(memory) => memory.put(fence, record),
        }
    }

    /// Removes the session if it still has this full JID; a later one with the same JID stays.
    ///
    /// # Errors
    /// [`StaleEpoch`] as far as this process knows at once.
    pub fn remove(&self, fence: Fence, jid: &Jid, session: u128) -> Result<(), StaleEpoch> {
        match self {
            Sessions::Memory(memory) => memory.remove(fence, jid, session),
        }
    }

    /// The sessions of a bare JID.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self, bare: &Jid) -> Result<Vec<SessionRecord>, StoreError> {
        match self {
            Sessions::Memory(memory) => Ok(memory.load(bare)),
        }
    }

    /// Up to `limit` sessions, in a fixed but arbitrary order, starting after this full JID. A
    /// session that stays is listed exactly once over all pages.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, after: Option<&Jid>, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        match self {
            Sessions::Memory(memory) => Ok(memory.list(after, limit)),
        }
    }

    /// How many sessions there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self) -> Result<u64, StoreError> {
        match self {
            Sessions::Memory(memory) => Ok(memory.count()),
        }
    }
}
