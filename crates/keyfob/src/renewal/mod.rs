//! Renews an expired login and saves the result: look, take the lease, read again, reserve space, send one request,
//! commit.
//!
//! A refresh token is single-use: if it is used twice, or the response is lost, the provider revokes the login
//! everywhere (RFC 9700 §4.14.2). So there is a single function that uses one, [`spend`](fn@spend), and it requires a
//! [`Lease`](crate::store::Lease).

mod asking;
mod lease;
pub mod order;
mod spend;
mod usable;
pub mod worker;

pub use asking::{Asking, Need};
pub(crate) use lease::busy;
pub use lease::{PATIENCE, wait_for_lease};
pub use spend::{ANSWER, Began, InThread, Spender, spend, without_worker};
pub use usable::{Usable, usable};
