//! The files a person or an administrator writes: the configuration and the approved list.

pub mod agent;
pub mod approved;
mod dialect;
mod endpoints;
mod environment;
mod federation;
mod file;
pub mod keys;
mod mistake;
mod proxy;
#[cfg(test)]
mod tests;

pub use dialect::{RawEntry, RawTable, RawText, Ways};
pub use environment::{Configured, RawEnvironment};
pub use federation::RawFederation;
pub use file::{Config, RawConfig, RawTelemetry, Telemetry, is_name};
pub use mistake::Mistake;
pub use proxy::{ConfiguredProxy, RawProxy};
