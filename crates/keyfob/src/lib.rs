//! Signs a person or a machine in once and hands every program a valid credential, without ever losing the login.
//!
//! A program that sends one request with the credential its user has:
//!
//! ```no_run
#![doc = include_str!("../examples/bearer_header.rs")]
//! ```
//!
//! (It needs an account, so it is compiled here and not run. The tests of this workspace run it against a provider, and the
//! examples `after_a_401.rs` and `detached_renewal.rs` too.)
//!
//! - [`Client::grant`] returns a [`Grant`]: headers to send, where the credential came from, and when it ends. Call it
//!   before every request; while the access token is fresh that is one read of a file.
//! - [`Client::rejected`] is for a 401. It renews only what was rejected, and only once, however many processes ask.
//! - [`Client::begin_login`], [`Client::begin_device_login`] and [`Client::login_with`] sign in, [`Client::logout`] signs
//!   out.
//! - [`Client::renewing_in`] runs renewals in a process that outlives the program: see [`Detached`].
//! - An [`Error`] says what failed and why; its [id](ErrorId) is stable.
//!
//! Every call blocks; nothing is printed, no thread is left behind, and the process is never exited. From async code, call
//! inside `spawn_blocking`.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `secret-service`: logins can be sealed with a key in the Secret Service of a Linux desktop. Brings a D-Bus client.
//!   Without it that key store is reported as missing.
//! - `simulation`: the module `testing`, a machine and a provider in memory for the tests of a host. No dependencies.
//! - `at-start`: a constructor that runs before `main` and records which descriptors the process was started with, before
//!   the Rust runtime opens any. For a program that takes credentials on descriptors; a library should not switch it on.

#![warn(unnameable_types)]

mod client;
mod credential;
mod doctor;
mod finding;
#[doc(hidden)]
pub mod internals;
mod lasting;
mod login;
mod logout;
mod profiles;
mod provider;
mod remote;
mod renewal;
mod session;
mod setup;
mod store;
#[cfg(feature = "simulation")]
pub mod testing;
mod trusted_device;
mod world;

pub use client::Client;
pub use credential::{
    grant::{Considered, Grant, Outcome},
    verify::Verified,
};
pub use keyfob_core::{
    Cause, Error, Id as ErrorId, Kind as ErrorKind, Result, Secret, Source, Timestamp,
    login::record::Generation,
    secret::Unfit,
    source::{Purpose, UnknownSource},
};
pub use login::{
    browser::{Attempt, Confirm, SignedIn, TokenKind},
    device_code::DeviceAttempt,
    options::LoginOptions,
    setup_token::Minted,
};
pub use logout::{Revocation, SignedOut};
pub use remote::{Ended, Handshake, Stream, ended};
pub use renewal::{Need, worker::Detached};
pub use setup::Choices;
pub use world::waiting::{Progress, Waiting};

/// The example of the README, compiled with the tests. `tests/public_surface.rs` holds the two texts together.
///
/// ```no_run
/// use keyfob::{Client, Purpose};
///
/// fn main() -> keyfob::Result<()> {
///     let client = Client::from_env()?;
///     let grant = client.grant(Purpose::Api)?;
///     for (name, value) in grant.headers() {
///         // Hand both to the HTTP client of your choice.
///         let _ = (name, value);
///     }
///     Ok(())
/// }
/// ```
#[cfg(doctest)]
pub struct Readme;

/// The examples of the how-to guide, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/how-to/programs.md")]
pub struct Guide;
