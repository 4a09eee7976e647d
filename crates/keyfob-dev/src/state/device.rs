//! Stored trusted devices.

use serde::{Deserialize, Serialize};

use crate::state::credential::Digest;

/// Ninety days.
pub(crate) const DEVICE_LIFE: u64 = 90 * 24 * 3600;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) token: Digest,
    /// The predecessor stays valid until its successor is used: the answer that carried it may have been lost.
    pub(crate) previous: Option<Digest>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
}
