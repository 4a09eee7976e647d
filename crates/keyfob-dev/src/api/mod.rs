//! What an access token opens.

pub(crate) mod bearer;
pub(crate) mod devices;
pub(crate) mod profile;
pub(crate) mod session;
