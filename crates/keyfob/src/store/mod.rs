//! One login on disk. Reading takes no lock and writes nothing; writing requires a [`Lease`].
//!
//! Beside the record `NAME.json` there may be: `NAME.lock`, the lock file, never deleted; `NAME.next`, the space
//! reserved for the next record, which holds the *intent* to renew until the response has arrived; and
//! `NAME.recovery`, a record that could not be renamed into place. Whatever a crash leaves of these is repaired by the
//! next holder of the lease, and by no other process.

mod lease;
mod recovery;
pub mod sealing;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob_core::{
    Error, Id, Record, Result,
    login::{record::Key, sealed::KeyStore},
};
use zeroize::Zeroizing;

pub use lease::{Commit, Lease};

use crate::world::failure;
use crate::{
    store::sealing::Seal,
    world::{Clock, Entropy, Files, Held, Lock, World},
};

/// How often a reader looks again at a record that is just being rewritten in place.
const LOOKS: u32 = 50;

/// The files of one login.
#[derive(Clone)]
pub struct Store {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    seal: Seal,
    dir: PathBuf,
    /// Whether the directory is keyfob's own. Where a link leads elsewhere, others may at least not write there.
    private: bool,
    record: PathBuf,
    lock: PathBuf,
    next: PathBuf,
    /// Where a record goes that cannot be put in its place: beside it, else elsewhere.
    recovery: Vec<PathBuf>,
}

/// What a look without a lock shows.
#[derive(Debug)]
pub enum Seen {
    /// Nobody signed in here.
    Nothing,
    /// A whole record.
    Record(Box<Record>),
    /// Bytes that are no whole record, and stay so. Only the holder of the lease may judge them.
    Damaged(&'static str),
}

/// What was found under the lease.
#[derive(Debug)]
pub enum Found {
    /// Nobody signed in here.
    Nothing,
    /// The newest record there is.
    Record(Box<Record>),
    /// The file was damaged beyond repair and has been set aside under this name.
    SetAside(PathBuf),
}

/// Who has the lease.
#[derive(Clone, Debug, Default)]
pub struct Holder(pub Option<String>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("another process"))
    }
}

impl Store {
    /// The store of one login below `dir`. Touches the disk only to follow a symbolic link.
    ///
    /// # Errors
    /// [`Id::StoreFailed`] when the link leads nowhere sensible.
    pub fn new(world: &World, dir: &Path, key: &Key, spare: &[PathBuf]) -> Result<Self> {
        Self::at(world, &dir.join(format!("{}.json", key.stem())), spare)
    }

    /// The store whose record is this file.
    ///
    /// # Errors
    /// As [`Store::new`].
    pub fn at(world: &World, record: &Path, spare: &[PathBuf]) -> Result<Self> {
        let named = record;
        let record = world.files.resolve(named).map_err(|e| failed(named, "follow", &e))?;
        let dir = record.parent().unwrap_or(Path::new("/")).to_path_buf();
        let mut recovery = vec![record.with_extension("recovery")];
        recovery.extend(
            spare.iter().filter_map(|dir| Some(dir.join(record.with_extension("recovery").file_name()?))),
        );
        Ok(Self {
            files: world.files.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            seal: world.seal.clone(),
            lock: record.with_extension("lock"),
            next: record.with_extension("next"),
            recovery,
            dir,
            private: record == named,
            record,
        })
    }

    /// Which key store has the key that it seals with, from the next commit on.
    #[must_use]
    pub fn seals_with(&self) -> Option<KeyStore> {
        self.seal.form()
    }

    /// Where the record lies, or would lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.record
    }

    /// The lock file.
    #[must_use]
    pub fn lock_path(&self) -> &Path {
        &self.lock
    }

    /// The directories besides its own that may take a recovery file.
    pub fn spare_dirs(&self) -> impl Iterator<Item = &Path> {
        self.recovery.iter().skip(1).filter_map(|path| path.parent())
    }

    /// Looks without a lock. A record that is being rewritten in place is looked at again for a while.
    ///
    /// # Errors
    /// [`Id::StoreUnsafe`], [`Id::StoreNewer`], [`Id::StoreFailed`]; [`Id::KeyStoreUnavailable`] when it is sealed
    /// and its key cannot be had.
    pub fn look(&self) -> Result<Seen> {
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
                None => return Ok(Seen::Nothing),
                Some(Ok(record)) => return Ok(Seen::Record(Box::new(record))),
                Some(Err(why)) => damage = why,
            }
        }
        Ok(Seen::Damaged(damage))
    }

    /// Reads one file as a record. An empty file is nothing: a mount point somebody made with `touch`.
    fn read(&self, path: &Path) -> Result<Option<Result<Record, &'static str>>> {
        let Some(bytes) = self.bytes(path)? else { return Ok(None) };
        self.seal.open(path, &bytes).map(Some)
    }

    fn bytes(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let bytes = self.files.read(path).map_err(|error| failed(path, "read", &error))?;
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }

    /// Which key store has the key of the record as it lies there. `None`: it is not sealed, or not there.
    ///
    /// # Errors
    /// As [`Store::look`].
    pub fn sealed_by(&self) -> Result<Option<KeyStore>> {
        Ok(self.bytes(&self.record)?.and_then(|bytes| sealing::form_of(&bytes)))
    }

    /// Tries to take the lease: alone on this machine, and the directory accepts writing. Never waits.
    ///
    /// # Errors
    /// [`Id::LocksMissing`], [`Id::StoreReadOnly`], [`Id::StoreUnsafe`], [`Id::StoreFailed`].
    pub fn try_lease(&self) -> Result<Result<Lease<'_>, Holder>> {
        self.files.make_dir(&self.dir).map_err(|e| failed(&self.dir, "create", &e))?;
        self.files.check_dir(&self.dir, self.private).map_err(|e| failed(&self.dir, "use", &e))?;
        match self.files.lock(&self.lock).map_err(|e| failed(&self.lock, "lock", &e))? {
            Lock::Held(lock) => self.lease(lock),
            _ => Ok(Err(self.holder())),
        }
    }

    /// The lease of a process that already has the lock: the other half of handing it over.
    ///
    /// # Errors
    /// As [`Store::try_lease`].
    pub fn lease(&self, lock: Box<dyn Held>) -> Result<Result<Lease<'_>, Holder>> {
        // Containers that share one mounted record file each have a lock file of their own: the lock on the
        // record's inode is the one they share. Where the record is renamed it guards nothing and costs little.
        match self.files.lock_existing(&self.record).map_err(|e| failed(&self.record, "lock", &e))? {
            Lock::Held(inode) => Ok(Ok(Lease::new(self, lock, Some(inode)))),
            Lock::Absent => Ok(Ok(Lease::new(self, lock, None))),
            Lock::Busy => Ok(Err(self.holder())),
            Lock::Detached => Err(Error::new(
                Id::StoreFailed,
                format!("the login in {}", self.record.display()),
                "the file was replaced on the other side of a mount: what is seen here is an old one",
            )
            .hint("mount the directory instead of the single file")),
        }
    }

    fn holder(&self) -> Holder {
        Holder(self.files.holder(&self.lock))
    }
}

/// A system's refusal in three lines.
fn failed(path: &Path, act: &str, error: &io::Error) -> Error {
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
    Error::caused_by(id, what, cause)
}
