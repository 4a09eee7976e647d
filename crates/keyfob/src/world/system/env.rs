//! The environment, read once.

use std::{
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    sync::OnceLock,
};

use keyfob_core::contract::Variables;

/// Everything the environment holds, as it was when this was first called: later calls return the same.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variables() -> &'static Variables {
    static ENVIRONMENT: OnceLock<Variables> = OnceLock::new();
    let read =
        || std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_vec())));
    ENVIRONMENT.get_or_init(|| read().collect())
}

/// The path that a variable names.
#[must_use]
pub fn path(variables: &Variables, name: &str) -> Option<PathBuf> {
    variables.path(name).map(|octets| OsStr::from_bytes(octets).into())
}

/// The working directory, if it still exists.
#[must_use]
pub fn here() -> Option<PathBuf> {
    std::env::current_dir().ok()
}
