//! The administration API's server side. It sees the database and the session store directly, and
//! tells the owners of partitions over the bus what it changed behind their backs.
//!
//! - [`accounts`]: accounts, without a word of gRPC.
//! - [`grpc`]: the services of `api`, on top.

mod accounts;
mod grpc;

pub use accounts::AdminError;
pub use grpc::serve;

use crate::shared::Ports;
use bus::Bus;
use bus::envelope::Receipt;
use runtime::Clock;
use std::sync::Arc;
use store::log::MessageLog;
use store::{Db, Sessions};
use tokio::sync::Semaphore;

/// Password hashings for administration under way at once: they must not take every core.
const HASHING_MAX: usize = 1;

/// What an operator may ask of this node, whoever carries the question.
pub struct Admin {
    settings: AdminSettings,
    bus: Bus,
    db: Db,
    log: Arc<MessageLog<Receipt>>,
    sessions: Arc<Sessions>,
    clock: Clock,
    hashing: Semaphore,
}

/// What the operator configured, as values.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Domains served here, prepared.
    pub hosts: Vec<String>,
    /// PBKDF2 iterations of new SCRAM keys.
    pub scram_iterations: u32,
    /// Most entries of one page of a list.
    pub page_entries_max: usize,
    /// This process.
    pub node: NodeInfo,
}

/// A process, as others see it.
#[derive(Debug, Clone)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Which run of it this is.
    pub incarnation: u64,
    /// What it runs.
    pub roles: Vec<&'static str>,
    /// The version of the program.
    pub version: &'static str,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
}

impl Admin {
    /// Administration through the same ports that the router is given.
    pub fn new(settings: AdminSettings, ports: &Ports) -> Arc<Admin> {
        Arc::new(Admin {
            settings,
            bus: ports.bus.clone(),
            db: ports.db.clone(),
            log: ports.log.clone(),
            sessions: ports.sessions.clone(),
            clock: ports.clock.clone(),
            hashing: Semaphore::new(HASHING_MAX),
        })
    }

    /// How many entries a page has when so many are asked for.
    fn page_entries(&self, asked: u32) -> usize {
        match asked {
            0 => self.settings.page_entries_max,
            asked => (asked as usize).min(self.settings.page_entries_max),
        }
    }
}
