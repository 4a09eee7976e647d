//! Where logins are kept.
//!
//! The rest of the crate knows three traits: [`Logins`] finds logins, a [`Store`] is the place of one of them, and a
//! [`Lease`] is the right to write there. [`files`] implements them with one file for each login. Another kind of
//! storage would implement the same three, with a crash protocol suited to it.

pub mod files;
mod logins;
pub mod sealing;

pub use logins::{Commit, Fix, Found, HandOver, Holder, Lease, Leased, Listed, Logins, Seen, Store};
