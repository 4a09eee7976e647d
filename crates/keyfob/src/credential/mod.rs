//! From the order of sources to a credential, one file for each kind of source.

pub(crate) mod client_secret;
pub(crate) mod command;
pub mod grant;
pub mod helper;
pub mod look;
pub(crate) mod machine;
pub(crate) mod seed;
pub(crate) mod stored;
