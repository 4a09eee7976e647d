//! Environments, built in or configured, completed by provider metadata.

pub mod built_in;
pub mod choice;
pub mod endpoints;
pub mod environment;
pub mod metadata;
#[cfg(test)]
mod tests;

pub use choice::resolve;
pub use endpoints::Endpoints;
pub use environment::{Environment, web_origin};
pub use metadata::{is_metadata, well_known};
