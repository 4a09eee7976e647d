//! The environment, read once.

use std::path::PathBuf;

use keyfob_core::contract::Variables;

/// Everything the environment holds, as it was when this was called.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
        .collect()
}

/// The directory one stands in, if it still exists.
#[must_use]
pub fn here() -> Option<PathBuf> {
    std::env::current_dir().ok()
}
