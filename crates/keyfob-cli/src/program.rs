//! Starts this program again as a separate process: to renew, open the browser, or send metrics.

use std::path::PathBuf;

/// Where it is, also when its file has been replaced since it started.
pub(crate) fn own() -> PathBuf {
    let linux = PathBuf::from("/proc/self/exe");
    if linux.exists() { linux } else { std::env::current_exe().unwrap_or_else(|_| "keyfob".into()) }
}
