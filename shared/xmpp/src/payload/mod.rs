//! Payloads that several features share.

pub mod caps;
pub mod delay;
pub mod disco;
