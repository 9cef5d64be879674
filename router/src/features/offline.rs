//! XEP-0160: messages for an account that has nobody to take them wait in the message log.
//!
//! The log, [`crate::feed`] and [`crate::delivery`] do it; this file announces it (XEP-0160 §3).

use super::Feature;

pub(super) const FEATURE: Feature =
    Feature { server: &["msgoffline"], ..Feature::NONE };
