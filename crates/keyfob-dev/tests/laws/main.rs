//! The laws of the development provider, checked against a real server over real HTTP.

mod api;
mod assertions;
mod authorize;
mod common;
mod device_grant;
mod federation;
mod id_token;
mod session;
mod tokens;
mod vendor;
mod wire;
