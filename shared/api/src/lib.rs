//! The administration interface: what `waystation ctl` and a node say to each other (gRPC).
//!
//! - [`v1`]: messages, clients and servers, generated from `proto/admin.proto`.
//! - [`token`]: the token that a caller must know.

pub mod token;

/// Generated from `proto/admin.proto`.
#[allow(missing_docs, clippy::all, reason = "generated; the documentation is in the .proto file")]
pub mod v1 {
    tonic::include_proto!("waystation.admin.v1");
}

pub use token::{Bearer, TokenCheck};
