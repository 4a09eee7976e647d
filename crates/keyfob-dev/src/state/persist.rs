//! The state file, with which logins survive a restart. It contains digests of tokens, never tokens.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::state::tables::Tables;

/// Reads the state file; a missing one is an empty state.
pub(crate) fn load(path: &Path) -> io::Result<Tables> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tables::default()),
        Err(error) => Err(error),
    }
}

/// Replaces the state file: readers and a crash find the old one or the new one, whole.
pub(crate) fn save(path: &Path, tables: &Tables) -> io::Result<()> {
    let text = serde_json::to_vec(tables)?;
    let temporary = beside(path);
    // A leftover of a crash is not reused: it may have another mode, or be a link.
    let _ = fs::remove_file(&temporary);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(&text)?;
    file.sync_data()?;
    fs::rename(&temporary, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
