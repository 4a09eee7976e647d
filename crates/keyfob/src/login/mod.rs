//! Every way to sign in, and what they share: from an answer of the token endpoint to a login on the disk.

pub mod browser;
pub mod callback;
mod closing_page;
pub mod device_code;
pub(crate) mod establish;
pub(crate) mod id_token;
mod paste;
mod peer;
pub mod setup_token;
mod visit;
