//! A login: what is kept of it, whose it is, when it is renewed, and the form it is sealed in.

pub mod identity;
pub mod record;
pub mod refresh;
pub mod sealed;
