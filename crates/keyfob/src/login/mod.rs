//! All ways to sign in, and the steps they share.

pub mod browser;
pub mod callback;
mod closing_page;
pub mod device_code;
pub(crate) mod establish;
pub(crate) mod id_token;
pub(crate) mod options;
mod paste;
mod peer;
mod ports;
mod question;
pub mod setup_token;
pub(crate) mod signed_in;
mod visit;
