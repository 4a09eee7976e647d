//! Signs a person or a machine in once and hands every program a valid credential, without ever losing the
//! login.
//!
//! [`Client`] is the door. Behind it: [`setup`] reads what a run is told, [`credential`] walks the order of
//! sources, [`renewal`] turns "expired" into "durable" over a [`store`], [`login`] and [`logout`] begin and end
//! it. Everything that touches the world is a trait in [`mod@world`] with its real half in [`world::system`].

pub mod client;
pub mod credential;
pub mod doctor;
pub mod login;
pub mod logout;
mod provider;
pub mod remote;
pub mod renewal;
pub mod setup;
pub mod store;
pub mod trusted_device;
pub mod world;

pub use client::Client;
pub use credential::grant::Grant;
pub use keyfob_core as core;
pub use keyfob_core::{Error, Id, Kind, Result, Secret, Source, Timestamp, source::Purpose};

/// The examples of the guide, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
