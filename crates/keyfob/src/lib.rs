//! Signs a person or a machine in once and hands every program a valid credential, without ever losing the
//! login.
//!
//! [`Client`] is the door. Behind it: [`setup`] reads what a run is told, [`resolve`] walks the order of
//! sources, [`renew`] turns "expired" into "durable" over a [`store`], [`login`] and [`logout`] begin and end
//! it. Everything that touches the world is a trait in [`mod@world`] with its real half in [`real`].

mod acquire;
pub mod client;
mod client_credentials;
pub mod device;
pub mod device_login;
mod discovery;
pub mod doctor;
mod establish;
#[cfg(feature = "fake")]
pub mod fake;
pub mod grant;
pub mod helper;
pub mod login;
pub mod logout;
pub mod profiles;
pub mod real;
pub mod remote;
pub mod renew;
pub mod resolve;
mod seed;
pub mod setup;
pub mod setup_token;
pub mod store;
pub mod world;

pub use client::Client;
pub use grant::Grant;
pub use keyfob_core as core;
pub use keyfob_core::{Error, Id, Kind, Result, Secret, Source, Timestamp, source::Purpose};

/// The examples of the guide, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
