//! The protocol: what is asked of a provider, and what its answers mean. One file for each grant or reply.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod id_token;
mod members;
pub mod prompt;
pub mod token_response;
