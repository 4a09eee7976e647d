//! The laws of the development provider, checked against a real server over real HTTP.

mod common;
mod tokens;
