//! What every role needs to run as a process.
//!
//! In reading order:
//!
//! - [`config`]: one file per section; the file, the environment and the command line make one
//!   checked [`config::Config`]. Everyone is handed values, never the whole.
//! - [`clock`]: the only source of time, so that tests can set it.
//! - [`lifecycle`]: the only place that spawns tasks; shutdown is a soft signal, then a hard one.
//! - [`listen`]: the one accept loop, with its limits.
//! - [`secret`]: secrets of the data directory.
//! - [`tls`]: certificates, chosen by name and reloadable.
//! - [`metrics`]: the catalogue: every metric of every role, declared once.
//! - [`operations`]: `/metrics`, `/healthz` and `/readyz`.
//! - [`telemetry`]: where logs go and how they look.

pub mod clock;
pub mod config;
pub mod lifecycle;
pub mod listen;
pub mod metrics;
pub mod operations;
pub mod secret;
pub mod telemetry;
pub mod tls;

pub use clock::Clock;
pub use lifecycle::Lifecycle;
