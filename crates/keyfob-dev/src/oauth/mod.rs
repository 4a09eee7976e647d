//! The endpoints that the RFCs define.

pub(crate) mod answer;
pub(crate) mod authorize;
pub(crate) mod client_assertion;
pub(crate) mod client_auth;
pub(crate) mod device_grant;
pub(crate) mod faults;
pub(crate) mod federation;
pub(crate) mod id_token;
pub(crate) mod introspect;
mod manner;
pub(crate) mod metadata;
mod narrow;
pub(crate) mod resource;
pub(crate) mod revoke;
pub(crate) mod token;
pub(crate) mod workload;
