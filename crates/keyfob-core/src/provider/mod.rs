//! Environments, built in or configured, completed by provider metadata.

pub mod built_in;
pub mod choice;
mod dead_refresh_words;
mod dialect_of;
pub mod endpoints;
pub mod environment;
pub mod metadata;
pub mod offer;
#[cfg(test)]
mod tests;

pub use choice::resolve;
pub(crate) use dead_refresh_words::dead_refresh_words;
pub(crate) use dialect_of::dialect_of;
pub use endpoints::Endpoints;
pub use environment::{Environment, web_origin};
pub use metadata::{is_metadata, well_known};
