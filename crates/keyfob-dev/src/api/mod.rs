//! The endpoints that accept access tokens.

pub(crate) mod bearer;
pub(crate) mod devices;
pub(crate) mod profile;
pub(crate) mod session;
