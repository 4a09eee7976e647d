//! The contract: every environment variable, in one table. Parsing, reports, help and documentation are derived from
//! it.

mod metrics;
pub mod names;
mod reading;
pub mod settings;
mod table;
pub mod values;
mod variable;
mod variables;

pub use reading::{Entry, HOST_REFRESHES, Reading, read, secret_names};
pub use table::{DESCRIBED, REFERENCED, VARIABLES};
pub use variable::{Apply, Kind, State, Variable};
pub use variables::{Value, Variables};

#[cfg(test)]
mod tests;
