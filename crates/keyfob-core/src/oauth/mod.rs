//! The OAuth protocol: requests and responses, one file for each grant or kind of response.

mod authorization_answer;
pub mod authorization_code;
pub mod client_assertion;
pub mod client_auth;
pub mod client_credentials;
pub mod device_code;
pub mod dialect;
pub mod exchange;
pub mod federation;
pub mod header;
pub mod id_token;
pub mod identity_token;
pub mod jwk;
pub mod jwt;
mod members;
mod narrowed;
pub mod prompt;
pub mod refusal;
pub mod reply;
pub mod sent;
pub mod token_request;
pub mod token_response;
