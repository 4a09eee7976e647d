//! The decisions of keyfob, without I/O: what the variables of the contract mean, which credential is used, what is
//! sent to a provider and what its responses mean, when a login is renewed.
//!
//! There is no clock, randomness, file or socket in this crate: time and entropy are arguments. The crate `keyfob`
//! acts on these decisions.
#![no_std]

extern crate alloc;

pub mod cause;
pub mod config;
pub mod contract;
pub mod digest;
pub mod error;
pub mod json;
pub mod login;
pub mod oauth;
pub mod provider;
pub mod secret;
pub mod source;
pub mod time;

pub use cause::Cause;
pub use error::{Error, Id, Kind};
pub use login::record::Record;
pub use secret::Secret;
pub use source::Source;
pub use time::{Ahead, ProviderTime, Timestamp};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = core::result::Result<T, E>;
