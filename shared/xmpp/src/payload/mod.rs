//! Payloads that several features share.
