//! One login on the disk. Reading takes no lock and writes nothing; writing needs a [`Lease`].
//!
//! Beside the record `NAME.json` there may be: `NAME.lock`, the lock file, never deleted; `NAME.next`, the
//! room made for the next record, which holds the *intent* to renew until the answer is in; and
//! `NAME.recovery`, a record that could not be put in its place. Whatever a crash leaves of these is sorted
//! out by the next holder of the lease, and by nobody else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob_core::{
    Error, Id, Record, Result, Timestamp,
    record::{Generation, Key, Unreadable},
    refresh,
};
use serde::{Deserialize, Serialize};

use crate::world::{Clock, Files, Held, Lock, World};

/// Room made before a renewal: records larger than this are refused by the reader of replies long before.
const ROOM: usize = 64 * 1024;
/// How an intent begins, and no record.
const INTENT: &[u8] = br#"{"intent""#;
/// How often a failing commit is tried again, and how long it waits before each.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];
/// How often a reader looks again at a record that is just being rewritten in place.
const LOOKS: u32 = 50;

/// The files of one login.
#[derive(Clone)]
pub struct Store {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
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

/// The intent to renew, as it stands in the room made for the answer.
#[derive(Serialize, Deserialize)]
struct Intent {
    intent: Generation,
    /// How many requests with this generation's token went out without an answer, this one included.
    attempt: u32,
    at: Timestamp,
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
            lock: record.with_extension("lock"),
            next: record.with_extension("next"),
            recovery,
            dir,
            private: record == named,
            record,
        })
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
    /// [`Id::StoreUnsafe`], [`Id::StoreNewer`], [`Id::StoreFailed`].
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
        match self.files.read(path) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) if bytes.is_empty() => Ok(None),
            Ok(Some(bytes)) => match Record::decode(&bytes) {
                Ok(record) => Ok(Some(Ok(record))),
                Err(Unreadable::Corrupt(why)) => Ok(Some(Err(why))),
                Err(Unreadable::Newer(version)) => {
                    let why = format!("it is of form {version}, written by a newer keyfob");
                    Err(Error::new(Id::StoreNewer, format!("the login in {}", path.display()), why))
                }
            },
            Err(error) => Err(failed(path, "read", &error)),
        }
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
            Lock::Held(inode) => Ok(Ok(Lease { store: self, lock, inode: Some(inode) })),
            Lock::Absent => Ok(Ok(Lease { store: self, lock, inode: None })),
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

/// The right to write. There is no other way to write, and it ends with this value or with the process.
pub struct Lease<'s> {
    store: &'s Store,
    lock: Box<dyn Held>,
    inode: Option<Box<dyn Held>>,
}

/// What became of a commit that could not be put in its place.
#[derive(Debug)]
pub enum Commit {
    /// In its place and on the disk: a power cut cannot lose it.
    Durable,
    /// In a recovery file that the next holder of the lease adopts.
    Recovered(PathBuf),
}

impl Lease<'_> {
    /// The file that carries the lock, to be handed to another process.
    #[must_use]
    pub fn file(&self) -> Option<&std::fs::File> {
        self.lock.file()
    }

    /// Gives the inode's lock back, for the process that is handed the lease: it takes that one itself.
    pub fn release_inode(&mut self) {
        self.inode = None;
    }

    /// The newest record there is, after sorting out what a crash may have left: a finished successor is
    /// adopted, an interrupted renewal is noted as unknown, damage is set aside.
    ///
    /// # Errors
    /// As [`Store::look`].
    pub fn read(&self) -> Result<Found> {
        let store = self.store;
        let (mut record, damaged) = match store.read(&store.record)? {
            None => return self.nothing(),
            Some(Ok(record)) => (Some(record), false),
            Some(Err(_)) => (None, true),
        };
        if let Some(successor) = self.successor(record.as_ref(), &store.next, 0)? {
            // Half-way through the last commit: finish it, without writing the only copy again. Should the
            // disk refuse, the successor is still the truth, and every copy stays where it is.
            if store.files.sync(&store.next).and_then(|()| self.install(&successor.encode())).is_err() {
                return Ok(Found::Record(Box::new(successor)));
            }
            record = Some(successor);
        }
        for path in &store.recovery {
            if let Some(successor) = self.successor(record.as_ref(), path, 1)? {
                if !matches!(self.place(&successor), Ok(Commit::Durable)) {
                    return Ok(Found::Record(Box::new(successor)));
                }
                let _ = store.files.remove(path);
                record = Some(successor);
            } else if record.is_some() {
                let _ = store.files.remove(path);
            }
        }
        match record {
            Some(mut record) => {
                self.note_intent(&mut record)?;
                Ok(Found::Record(Box::new(record)))
            }
            None if damaged => self.set_aside(),
            None => Ok(Found::Nothing),
        }
    }

    /// Nobody is signed in: whatever lies around belongs to a login that was never finished or was ended.
    fn nothing(&self) -> Result<Found> {
        for path in std::iter::once(&self.store.next).chain(&self.store.recovery) {
            self.store.files.remove(path).map_err(|e| failed(path, "remove", &e))?;
        }
        Ok(Found::Nothing)
    }

    /// The record in `path`, if it is of the same login and at least `ahead` generations further. Of a damaged
    /// record any successor is better.
    fn successor(&self, record: Option<&Record>, path: &Path, ahead: u64) -> Result<Option<Record>> {
        let Some(Ok(candidate)) = self.store.read(path)? else { return Ok(None) };
        let follows = record.is_none_or(|record| {
            candidate.generation.login == record.generation.login
                && candidate.generation.number >= record.generation.number.saturating_add(ahead)
        });
        Ok(follows.then_some(candidate))
    }

    /// An intent that is still there was never answered, or its answer never reached the disk.
    fn note_intent(&self, record: &mut Record) -> Result<()> {
        let next = &self.store.next;
        let bytes = self.store.files.read(next).map_err(|e| failed(next, "read", &e))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let now = self.store.clock.now();
        // Behind the intent there may be what a power cut left of the answer.
        match serde_json::Deserializer::from_slice(&bytes).into_iter::<Intent>().next() {
            Some(Ok(intent)) if intent.intent == record.generation => {
                refresh::lost(record, now);
                if let Some(unknown) = &mut record.unknown {
                    unknown.times = unknown.times.max(intent.attempt);
                }
            }
            // Cut short while the answer was written.
            Some(Err(_)) if !bytes.starts_with(INTENT) && Record::decode(&bytes).is_err() => {
                refresh::lost(record, now);
            }
            // Of another generation; or an intent cut short, so that nothing was sent; or a whole record that
            // follows nothing, of a login that has been replaced.
            _ => self.store.files.remove(next).map_err(|e| failed(next, "remove", &e))?,
        }
        Ok(())
    }

    fn set_aside(&self) -> Result<Found> {
        let record = &self.store.record;
        let aside = self.unused_name()?;
        match self.store.files.rename(record, &aside) {
            Ok(()) => {}
            // A mount point cannot be moved away: keep a copy of what it holds, and leave it to the one who
            // died while writing it in place. The whole successor may lie in that one's container.
            Err(error) if is_busy(&error) => {
                let aside = record.with_extension("damaged-in-place");
                let bytes = self.store.files.read(record).map_err(|e| failed(record, "read", &e))?;
                let bytes = bytes.unwrap_or_default();
                self.store.files.write(&aside, &bytes).map_err(|e| failed(&aside, "write", &e))?;
                return Ok(Found::SetAside(aside));
            }
            Err(error) => return Err(failed(record, "set aside", &error)),
        }
        self.store.files.sync_dir(&self.store.dir).map_err(|e| failed(&self.store.dir, "sync", &e))?;
        Ok(Found::SetAside(aside))
    }

    /// A name for a damaged file that no earlier one has: what was set aside is never overwritten.
    fn unused_name(&self) -> Result<PathBuf> {
        let Store { files, record, dir, clock, .. } = self.store;
        let taken = files.list(dir).map_err(|e| failed(dir, "list", &e))?;
        let mut name = record.with_extension(format!("damaged-{}", clock.now().0));
        for n in 1.. {
            if !taken.contains(&name) {
                break;
            }
            name = record.with_extension(format!("damaged-{}-{n}", clock.now().0));
        }
        Ok(name)
    }

    /// Makes room for the answer and records the intent to ask for it. When this returns, the disk has shown
    /// that it accepts writing and a crash will be recognised.
    ///
    /// The room may hold the only copy of the record, and what is known of an earlier intent is only in memory:
    /// so the record is put in its place first, if it is not there as it is.
    ///
    /// # Errors
    /// [`Id::StoreReadOnly`], [`Id::StoreFailed`]: nothing was spent.
    pub fn prepare(&self, record: &Record) -> Result<()> {
        let Store { files, record: path, next, dir, .. } = self.store;
        let bytes = record.encode();
        if files.read(path).map_err(|e| failed(path, "read", &e))?.as_ref() != Some(&bytes) {
            self.put(&bytes).map_err(|error| {
                // Half a record would be taken for half an answer. Where an answer was lost before, that is what
                // must still be known.
                if record.unknown_now().is_none() {
                    let _ = files.remove(next);
                }
                failed(path, "save", &error)
            })?;
        }
        let attempt = record.unknown_now().map_or(0, |unknown| unknown.times).saturating_add(1);
        let intent = Intent { intent: record.generation.clone(), attempt, at: self.store.clock.now() };
        let mut room = serde_json::to_vec(&intent)
            .map_err(|_| Error::new(Id::Bug, "the intent to renew", "it cannot be written as JSON"))?;
        // Blanks are JSON too. They hold the place on the disk that the answer will need.
        room.resize(ROOM.max(2 * bytes.len()), b' ');
        let made =
            files.write(next, &room).and_then(|()| files.sync(next)).and_then(|()| files.sync_dir(dir));
        made.map_err(|error| {
            // Nothing was asked: what stands there now must not look like a request that went out. That an
            // earlier one did stands in the record by now.
            let _ = files.remove(next);
            failed(next, "make room in", &error)
        })
    }

    /// Makes the record durable and gives the lease up. When this returns [`Commit::Durable`], a power cut
    /// cannot lose it. It never goes back to what was there before: what cannot be put in its place is tried
    /// again, and then left in a recovery file.
    ///
    /// # Errors
    /// [`Id::StoreFailed`]: no place at all took it.
    pub fn commit(self, record: &Record) -> Result<Commit> {
        self.place(record)
    }

    fn place(&self, record: &Record) -> Result<Commit> {
        let bytes = record.encode();
        let mut last = match self.put(&bytes) {
            Ok(()) => return Ok(Commit::Durable),
            Err(error) => error,
        };
        for pause in RETRIES {
            self.store.clock.sleep(pause);
            match self.put(&bytes) {
                Ok(()) => return Ok(Commit::Durable),
                Err(error) => last = error,
            }
        }
        for path in &self.store.recovery {
            let files = &self.store.files;
            let parent = path.parent().unwrap_or(Path::new("/"));
            let written = files
                .make_dir(parent)
                .and_then(|()| files.check_dir(parent, false))
                .and_then(|()| files.write(path, &bytes))
                .and_then(|()| files.sync(path))
                .and_then(|()| files.sync_dir(parent));
            if written.is_ok() {
                return Ok(Commit::Recovered(path.clone()));
            }
        }
        Err(failed(&self.store.record, "save", &last))
    }

    /// write, sync, rename, sync the directory.
    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.store.files.write(&self.store.next, bytes)?;
        self.store.files.sync(&self.store.next)?;
        self.install(bytes)
    }

    /// The second half: what is in `NAME.next`, and on the disk, takes its place.
    fn install(&self, bytes: &[u8]) -> io::Result<()> {
        let Store { files, next, record, dir, .. } = self.store;
        match files.rename(next, record) {
            Ok(()) => {}
            Err(error) if is_busy(&error) => {
                // The record is a mount point. The whole successor is on the disk already, so that a crash
                // in the middle of this can be recovered from.
                files.write(record, bytes)?;
                files.sync(record)?;
                files.remove(next)?;
            }
            Err(error) => return Err(error),
        }
        files.sync_dir(dir)
    }

    /// Removes the login and everything around it, and gives the lease up: nothing can bring it back.
    ///
    /// # Errors
    /// [`Id::StoreFailed`], [`Id::StoreReadOnly`].
    pub fn erase(self) -> Result<()> {
        let Store { files, record, dir, .. } = self.store;
        // The record first: a crash after it leaves nothing that a reader would use, and the next holder of
        // the lease removes the rest.
        match files.remove(record) {
            Err(error) if is_busy(&error) => {
                files
                    .write(record, b"")
                    .and_then(|()| files.sync(record))
                    .map_err(|e| failed(record, "empty", &e))?;
            }
            other => other.map_err(|e| failed(record, "remove", &e))?,
        }
        files.sync_dir(dir).map_err(|e| failed(dir, "sync", &e))?;
        self.nothing().map(|_| ())
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
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
        _ => Id::StoreFailed,
    };
    Error::new(id, what, error.to_string())
}
