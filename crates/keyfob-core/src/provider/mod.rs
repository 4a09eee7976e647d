//! Which provider: the built-in environments, the configured ones, and what a provider's metadata adds.

pub mod built_in;
pub mod choice;
pub mod endpoints;
pub mod environment;
pub mod metadata;
#[cfg(test)]
mod tests;

pub use choice::resolve;
pub use endpoints::Endpoints;
pub use environment::Environment;
pub use metadata::{is_metadata, well_known};
