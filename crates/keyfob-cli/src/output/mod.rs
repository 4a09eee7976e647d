//! Output for users and scripts, and input from users.

pub(crate) mod hidden;
pub(crate) mod manner;
pub(crate) mod progress;
mod qr;
pub(crate) mod report;
pub(crate) mod terminal;
pub(crate) mod when;

pub(crate) use self::qr::{Qr, qr, qr_note};
