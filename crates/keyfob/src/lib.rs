//! Signs a person or a machine in once and hands every program a valid credential, without ever losing the login.
//!
//! Start with [`Client`]. Behind it, [`setup`] reads variables and configuration, [`credential`] chooses a source,
//! [`renewal`] replaces an expired token and saves the new one in a [`store`], and [`login`] and [`logout`] begin and
//! end a login. All I/O goes through the traits in [`mod@world`]; [`world::system`] implements them for the real
//! system.

pub mod client;
pub mod credential;
pub mod doctor;
pub mod login;
pub mod logout;
mod provider;
pub mod remote;
pub mod renewal;
mod session;
pub mod setup;
pub mod store;
pub mod trusted_device;
pub mod world;

pub use client::Client;
pub use credential::grant::Grant;
pub use keyfob_core as core;
pub use keyfob_core::{Error, Id, Kind, ProviderTime, Result, Secret, Source, Timestamp, source::Purpose};

/// The examples of the guide, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
