//! Envelopes between gateways and partition owners, and what carries them.
//!
//! A gateway and an owner know of each other only what is written here. Embedded, the bus is a
//! call in the same process; clustered, it is a reliable channel over NATS. Neither side can tell.
//!
//! - [`envelope`]: what is said.
//! - [`partition`]: from a bare JID to the partition that owns it.
//! - [`local`]: the in-process bus.
//! - [`channel`]: the reliable channel between processes.
//! - [`ownership`]: who owns which partition, and for how long.

pub mod channel;
pub mod envelope;
pub mod local;
pub mod ownership;
pub mod partition;

pub use envelope::{ConnId, NodeId, SessionId, ToGateway, ToOwner};
pub use local::LocalBus;

use std::sync::Arc;

/// The owner's side of the bus. `receive` must not block: work that waits is queued by the owner,
/// bounded by the windows of the sessions that sent it (I7).
pub trait OwnerPort: Send + Sync {
    /// Takes one envelope. Envelopes of one session arrive in the order sent.
    fn receive(&self, envelope: ToOwner);
}

/// The gateway's side of the bus. `receive` must neither block nor call back into the bus: it
/// is called with the account's lock held, which is what keeps deliveries in order (I2).
pub trait GatewayPort: Send + Sync {
    /// Takes one envelope. Envelopes for one connection arrive in the order sent.
    fn receive(&self, envelope: ToGateway);
}

/// What carries envelopes. A closed set, so that every caller can see what may happen.
#[derive(Clone)]
pub enum Bus {
    /// Embedded mode: a call in the same process.
    Local(Arc<LocalBus>),
}

impl Bus {
    /// Sends to the owner of `envelope.account`'s partition.
    pub fn to_owner(&self, envelope: ToOwner) {
        match self {
            Bus::Local(bus) => bus.to_owner(envelope),
        }
    }

    /// Sends to the gateway that holds the envelope's connection.
    pub fn to_gateway(&self, envelope: ToGateway) {
        match self {
            Bus::Local(bus) => bus.to_gateway(envelope),
        }
    }
}
