//! What a person or a script gets to see, and what a person types.

pub(crate) mod hidden;
pub(crate) mod manner;
pub(crate) mod progress;
mod qr;
pub(crate) mod report;
pub(crate) mod terminal;
pub(crate) mod when;

pub(crate) use self::qr::{Qr, qr};
