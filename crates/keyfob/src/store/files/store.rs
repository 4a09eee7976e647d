//! The files of one login, and reading them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob_core::{Error, Id, Result, login::record::Key};
use zeroize::Zeroizing;

use crate::{
    store::{
        Seen,
        sealing::{Opened, Seal},
    },
    world::{Clock, Entropy, Files, World, failure},
};

/// How often a reader looks again at a record that is just being rewritten in place.
const LOOKS: u32 = 50;

/// The files of one login.
#[derive(Clone)]
pub struct FileStore {
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) seal: Seal,
    pub(super) dir: PathBuf,
    /// Whether the directory is keyfob's own. Where a link leads elsewhere, others may at least not write there.
    pub(super) private: bool,
    pub(super) seeded: bool,
    pub(super) federated: bool,
    pub(super) record: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) next: PathBuf,
    /// Where a record goes that cannot be put in its place: beside it, else elsewhere.
    pub(super) recovery: Vec<PathBuf>,
}

impl FileStore {
    /// The store whose record is this file. Touches the disk only to follow a symbolic link.
    ///
    /// # Errors
    /// [`Id::StoreFailed`] when the link leads nowhere sensible.
    pub fn at(world: &World, seal: &Seal, named: &Path, spare: &[PathBuf]) -> Result<Self> {
        let record = world.files.resolve(named).map_err(|e| failed(named, "follow", &e))?;
        let dir = record.parent().unwrap_or(Path::new("/")).to_path_buf();
        let mut recovery = vec![record.with_extension("recovery")];
        recovery.extend(
            spare.iter().filter_map(|dir| Some(dir.join(record.with_extension("recovery").file_name()?))),
        );
        let name = named.file_name().unwrap_or_default();
        Ok(Self {
            files: world.files.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            seal: seal.clone(),
            lock: record.with_extension("lock"),
            next: record.with_extension("next"),
            recovery,
            dir,
            private: record == named,
            federated: name.as_encoded_bytes().starts_with(Key::FEDERATED.as_bytes()),
            seeded: name.as_encoded_bytes().starts_with(Key::SEEDED.as_bytes()),
            record,
        })
    }

    /// The lock file.
    #[must_use]
    pub fn lock_path(&self) -> &Path {
        &self.lock
    }

    /// The directories besides its own that may take a recovery file.
    pub(super) fn spare_dirs(&self) -> impl Iterator<Item = &Path> {
        self.recovery.iter().skip(1).filter_map(|path| path.parent())
    }

    /// Looks without a lock. A record that is being rewritten in place is looked at again for a while.
    pub(super) fn look_for_a_while(&self) -> Result<Seen> {
        match self.files.check_dir(&self.dir, self.private) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Seen::Nothing),
            other => other.map_err(|e| failed(&self.dir, "use", &e))?,
        }
        let mut damage = "is damaged";
        for look in 0..LOOKS {
            if look > 0 {
                self.clock.sleep(Duration::from_millis(2));
            }
            match self.read(&self.record)? {
                Seen::Damaged(why) => damage = why,
                seen => return Ok(seen),
            }
        }
        Ok(Seen::Damaged(damage))
    }

    /// Reads one file as a record. An empty file counts as none: a mount point made with `touch`.
    pub(super) fn read(&self, path: &Path) -> Result<Seen> {
        let Some(bytes) = self.bytes(path)? else { return Ok(Seen::Nothing) };
        Ok(match self.seal.open(path, &bytes)? {
            Opened::Record(record) => Seen::Record(record),
            Opened::Damaged(why) => Seen::Damaged(why),
        })
    }

    pub(super) fn bytes(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let bytes = self.files.read(path).map_err(|error| failed(path, "read", &error))?;
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }
}

/// A system's refusal in three lines.
pub(super) fn failed(path: &Path, act: &str, error: &io::Error) -> Error {
    let what = format!("cannot {act} {}", path.display());
    let id = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Id::StoreReadOnly,
        io::ErrorKind::Unsupported => Id::LocksMissing,
        // Ours say which rule a file breaks; the system's own have a number.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Id::StoreUnsafe,
        io::ErrorKind::PermissionDenied if act != "read" => Id::StoreReadOnly,
        _ => failure::id(error, Id::StoreFailed),
    };
    // An `io::Error` cannot be cloned: the system's own is its number, ours is its kind and its text.
    let cause = error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error);
    Error::caused_by(id, what, cause).maybe_because(failure::cause(error, path))
}
