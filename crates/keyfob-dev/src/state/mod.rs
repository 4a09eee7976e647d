//! The provider's state.

pub(crate) mod account;
pub(crate) mod addresses;
pub(crate) mod bounded;
pub(crate) mod client_key;
pub(crate) mod clients;
pub(crate) mod clock;
pub(crate) mod codes;
pub(crate) mod credential;
pub(crate) mod device;
pub(crate) mod faults;
pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod persist;
pub(crate) mod redirect;
pub(crate) mod scope;
pub(crate) mod shared;
pub(crate) mod signing_key;
pub(crate) mod tables;
pub(crate) mod transaction;
