//! The laws of the development provider, checked against a real server over real HTTP.

mod api;
mod authorize;
mod common;
mod device_grant;
mod session;
mod tokens;
mod wire;
