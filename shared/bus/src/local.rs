//! The in-process bus: a call. An envelope is moved, never encoded or copied.

use crate::{GatewayPort, OwnerPort, ToGateway, ToOwner};
use std::sync::{Arc, OnceLock};

/// Both ends of the bus in one process. They are attached once, at start, before any listener
/// accepts; an envelope sent before that has no reader and is dropped.
#[derive(Default)]
pub struct LocalBus {
    owner: OnceLock<Arc<dyn OwnerPort>>,
    gateway: OnceLock<Arc<dyn GatewayPort>>,
}

impl LocalBus {
    /// Attaches the owner of all partitions. Only the first call has an effect.
    pub fn attach_owner(&self, port: Arc<dyn OwnerPort>) {
        let _ = self.owner.set(port);
    }

    /// Attaches the gateway. Only the first call has an effect.
    pub fn attach_gateway(&self, port: Arc<dyn GatewayPort>) {
        let _ = self.gateway.set(port);
    }

    pub(crate) fn to_owner(&self, envelope: ToOwner) {
        if let Some(port) = self.owner.get() {
            port.receive(envelope);
        }
    }

    pub(crate) fn to_gateway(&self, envelope: ToGateway) {
        if let Some(port) = self.gateway.get() {
            port.receive(envelope);
        }
    }
}
