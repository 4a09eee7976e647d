//! A directory for the files of one program, which goes with it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What its name begins with.
const PREFIX: &str = "exec-";

/// A directory that this user alone can enter. It is removed with this; if this process is killed, by the next one that
/// makes one.
#[derive(Debug)]
pub(super) struct PrivateDir {
    path: PathBuf,
    /// Held as long as this process lives, whatever ends it.
    _lock: File,
}

impl PrivateDir {
    /// One below this directory, which is made if it is not there.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn below(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).to_owned();
        // Between making a directory and locking it, nobody else looks for what is left over.
        let turn = options.open(dir.join("exec.lock"))?;
        turn.lock()?;
        sweep(dir);
        let path = dir.join(format!("{PREFIX}{:016x}", RandomState::new().hash_one(std::process::id())));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::open(&path)?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what those left behind who were killed.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_ours && File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn it_goes_with_its_process_and_what_a_killed_one_left_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("run");
        let one = PrivateDir::below(&below).unwrap();
        assert_eq!(fs::metadata(one.path()).unwrap().mode() & 0o777, 0o700);
        fs::write(one.path().join("TOKEN"), "sesame").unwrap();
        let left = below.join("exec-left-over");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("TOKEN"), "sesame").unwrap();
        fs::create_dir(below.join("others")).unwrap();
        let two = PrivateDir::below(&below).unwrap();
        assert!(one.path().join("TOKEN").exists() && one.path() != two.path() && !left.exists());
        let path = one.path().to_owned();
        drop((one, two));
        assert!(!path.exists() && below.join("others").exists());
    }
}
