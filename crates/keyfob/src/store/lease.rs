//! The exclusive right to write a login: reserve space, commit, erase.

use std::{
    cell::Cell,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob_core::{Error, Id, Record, Result, Timestamp, login::record::Generation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Store, failed};
use crate::world::{Connected, Held};

/// Room made before a renewal: records larger than this are refused by the reader of replies long before.
const ROOM: usize = 64 * 1024;
/// How an intent begins, and no record.
pub(super) const INTENT: &[u8] = br#"{"intent""#;
/// How often a failing commit is tried again, and how long it waits before each.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];

/// The intent to renew, as it stands in the room made for the answer. The third state needs no word: *answered* is when
/// the answer takes its place.
///
/// Both words are of one length, in the file's first few octets: to turn one into the other is one sector.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) intent: Generation,
    #[serde(default)]
    pub(super) state: Stage,
    /// How many requests with this generation's token went out without an answer, this one included.
    pub(super) attempt: u32,
    pub(super) at: Timestamp,
}

impl Intent {
    /// It, and blanks behind it. They are JSON too, and hold the place on the disk that the answer will need.
    fn in_room_of(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut room = vec![b' '; size];
        serde_json::to_writer(&mut *room, self)?;
        Ok(room)
    }
}

/// How far a renewal came before its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// There is room for the answer. Whatever ends here has spent nothing.
    About,
    /// The connection stands and the request may be on its way. Earlier versions wrote no word, and meant this.
    #[default]
    Asked,
}

/// The right to write. There is no other way to write, and it ends with this value or with the process.
pub struct Lease<'s> {
    pub(super) store: &'s Store,
    lock: Box<dyn Held>,
    inode: Option<Box<dyn Held>>,
    /// Whether the key store was asked for a key to seal with.
    asked: Cell<bool>,
    /// Whether there is something here that could not be opened.
    pub(super) unread: Cell<bool>,
}

/// What became of a commit that could not be put in its place.
#[derive(Debug)]
pub enum Commit {
    /// In its place and on the disk: a power cut cannot lose it.
    Durable,
    /// In a recovery file that the next holder of the lease adopts.
    Recovered(PathBuf),
}

impl<'s> Lease<'s> {
    pub(super) fn new(store: &'s Store, lock: Box<dyn Held>, inode: Option<Box<dyn Held>>) -> Self {
        Self { store, lock, inode, asked: Cell::new(false), unread: Cell::new(false) }
    }

    /// The file that carries the lock, to be handed to another process.
    #[must_use]
    pub fn file(&self) -> Option<&std::fs::File> {
        self.lock.file()
    }

    /// Gives the inode's lock back, for the process that is handed the lease: it takes that one itself.
    pub fn release_inode(&mut self) {
        self.inode = None;
    }

    /// Makes room for the answer and records the intent to ask for it. When this returns, the disk has shown
    /// that it accepts writing, and a crash has spent nothing until what it returns has been called: that notes
    /// durably that the provider was asked, and belongs between the connection and the first byte of the request.
    ///
    /// The room may hold the only copy of the record, and what is known of an earlier intent is only in memory:
    /// so the record is put in its place first, if it is not there as it is.
    ///
    /// # Errors
    /// [`Id::StoreReadOnly`], [`Id::StoreFailed`], [`Id::KeyStoreUnavailable`]: nothing was spent.
    pub fn prepare(&self, record: &Record) -> Result<Connected> {
        let Store { files, seal, record: path, next, dir, .. } = self.store;
        self.prove()?;
        let bytes = self.sealed(record)?;
        let there = files.read(path).map_err(|e| failed(path, "read", &e))?;
        if !there.is_some_and(|there| seal.is_as_it_would_be(record, path, &there)) {
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
        let (intent, at) = (record.generation.clone(), self.store.clock.now());
        let about = Intent { intent, state: Stage::About, attempt, at };
        let size = ROOM.max(2 * bytes.len());
        let asked = Intent { state: Stage::Asked, ..about.clone() };
        let about = about
            .in_room_of(size)
            .map_err(|_| Error::new(Id::Bug, "the intent to renew", "it cannot be written as JSON"))?;
        let made =
            files.write(next, &about).and_then(|()| files.sync(next)).and_then(|()| files.sync_dir(dir));
        made.map_err(|error| {
            // What stands there now may be half of it, and must not look like half an answer. That an earlier
            // request went out stands in the record by now.
            let _ = files.remove(next);
            failed(next, "make room in", &error)
        })?;
        let (files, next) = (files.clone(), next.clone());
        Ok(Arc::new(move || files.write(&next, &asked.in_room_of(size)?).and_then(|()| files.sync(&next))))
    }

    /// Takes back an intent that was not followed. Nothing was asked.
    pub fn take_back(self) {
        // Should that fail too, it may be taken for a request that went out. That costs a pause and no login.
        let _ = self.store.files.remove(&self.store.next);
    }

    /// The same for one that could not be noted: why.
    pub fn withdraw(self, error: &io::Error) -> Error {
        let error = failed(&self.store.next, "note in", error);
        self.take_back();
        error
    }

    /// Sees to it that what is committed under this lease can be sealed, if it is to be, without asking anybody
    /// again.
    ///
    /// # Errors
    /// [`Id::KeyStoreUnavailable`].
    pub fn prove(&self) -> Result<()> {
        let Store { files, seal, entropy, dir, .. } = self.store;
        self.asked.set(true);
        seal.prove(dir, &**files, &**entropy)
    }

    /// The bytes of a record in the form that was chosen.
    fn sealed(&self, record: &Record) -> Result<Zeroizing<Vec<u8>>> {
        let Store { seal, entropy, record: path, .. } = self.store;
        if !self.asked.get() {
            // A key that was proven before something was spent is good, even if its key store is silent now.
            self.prove().or_else(|error| if seal.is_proven() { Ok(()) } else { Err(error) })?;
        }
        seal.close(record, path, &**entropy)
    }

    /// Makes the record durable and gives the lease up. When this returns [`Commit::Durable`], a power cut
    /// cannot lose it. It never goes back to what was there before: what cannot be put in its place is tried
    /// again, and then left in a recovery file.
    ///
    /// # Errors
    /// [`Id::StoreFailed`]: no place at all took it. [`Id::KeyStoreUnavailable`]: it was to be sealed, and there
    /// is no key; [`Lease::prove`] finds that out before anything is spent.
    pub fn commit(self, record: &Record) -> Result<Commit> {
        let commit = self.place(record)?;
        if let (true, Commit::Durable) = (self.unread.get(), &commit) {
            // What nobody could open has been replaced: it would stand in the way of every later reading.
            for path in &self.store.recovery {
                let _ = self.store.files.remove(path);
            }
        }
        Ok(commit)
    }

    pub(super) fn place(&self, record: &Record) -> Result<Commit> {
        let bytes = self.sealed(record)?;
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
    pub(super) fn install(&self, bytes: &[u8]) -> io::Result<()> {
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

pub(super) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}
