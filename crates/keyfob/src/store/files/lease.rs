//! The exclusive right to write the files of a login: reserve space, commit, erase.

use std::{cell::Cell, fs::File, io, path::Path, sync::Arc, time::Duration};

use keyfob_core::{Error, Id, Record, Result, Timestamp, login::record::Generation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::store::{FileStore, failed};
use crate::{
    store::Commit,
    world::{Connected, Held},
};

/// Room made before a renewal: records larger than this are refused by the reader of replies long before.
const ROOM: usize = 64 * 1024;
/// How an intent begins, and no record.
pub(super) const INTENT: &[u8] = br#"{"intent""#;
/// How often a failing commit is tried again, and how long it waits before each.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];

/// The intent to renew, as stored in the space reserved for the answer. The third state needs no name: *answered* is
/// when the answer takes its place.
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
    /// There is space for the answer. A process that ends here has spent nothing.
    About,
    /// The connection stands and the request may be on its way. Earlier versions wrote no word, and meant this.
    #[default]
    Asked,
}

/// The right to write the files of one login.
pub struct FileLease<'s> {
    pub(super) store: &'s FileStore,
    lock: Box<dyn Held>,
    inode: Option<Box<dyn Held>>,
    /// Whether the key store was asked for a key to seal with.
    asked: Cell<bool>,
    /// Whether there is something here that could not be opened.
    pub(super) unread: Cell<bool>,
}

impl<'s> FileLease<'s> {
    pub(super) fn new(store: &'s FileStore, lock: Box<dyn Held>, inode: Option<Box<dyn Held>>) -> Self {
        Self { store, lock, inode, asked: Cell::new(false), unread: Cell::new(false) }
    }

    /// The file that carries the lock, to be handed to another process. That one takes the inode's lock itself, so it is
    /// given back here.
    pub(super) fn lock_file(&mut self) -> Option<File> {
        let lock = self.lock.file()?.try_clone().ok()?;
        self.inode = None;
        Some(lock)
    }

    /// Reserves space for the answer and records the intent to ask for it. When this returns, the disk has shown that
    /// it accepts writing.
    ///
    /// That space may hold the only copy of the record, and what is known of an earlier intent is only in memory:
    /// so the record is put in its place first, if it is not there in this form.
    pub(super) fn make_room(&self, record: &Record) -> Result<Connected> {
        let FileStore { files, seal, record: path, next, dir, .. } = self.store;
        self.prove_key()?;
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

    /// Takes back an intent that was not followed.
    pub(super) fn remove_intent(&self) {
        // Should that fail too, it may be taken for a request that went out. That costs a pause and no login.
        let _ = self.store.files.remove(&self.store.next);
    }

    /// Asks for the key to seal with, if there is to be one.
    pub(super) fn prove_key(&self) -> Result<()> {
        let FileStore { files, seal, entropy, dir, .. } = self.store;
        self.asked.set(true);
        seal.prove(dir, &**files, &**entropy)
    }

    /// Writes as much as a record and its successor need to a separate file, and removes it again: the disk is tested
    /// before a person is asked.
    pub(super) fn prove_room(&self) -> Result<()> {
        let files = &self.store.files;
        let probe = self.store.record.with_extension("room");
        let written = files.write(&probe, &vec![b' '; ROOM]);
        // What is left of it is overwritten by the next one, and is never read.
        let _ = files.remove(&probe);
        written.map_err(|error| failed(&probe, "make room in", &error))
    }

    /// The bytes of a record in the form that was chosen.
    fn sealed(&self, record: &Record) -> Result<Zeroizing<Vec<u8>>> {
        let FileStore { seal, entropy, record: path, .. } = self.store;
        if !self.asked.get() {
            // A key that was proven before something was spent is good, even if its key store is silent now.
            self.prove_key().or_else(|error| if seal.is_proven() { Ok(()) } else { Err(error) })?;
        }
        seal.close(record, path, &**entropy)
    }

    /// Makes the record durable. What cannot be put in its place is tried again, and then left in a recovery file.
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
        let FileStore { files, next, record, dir, .. } = self.store;
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

    /// Removes the login and everything around it.
    pub(super) fn remove_all(&self) -> Result<()> {
        let FileStore { files, record, dir, .. } = self.store;
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
        self.clear()
    }

    /// There is no login: any file left belongs to one that was never finished or was ended.
    pub(super) fn clear(&self) -> Result<()> {
        for path in std::iter::once(&self.store.next).chain(&self.store.recovery) {
            // A second place that cannot be used is skipped: what is there no longer belongs to a login.
            let removed = self.store.files.remove(path);
            if path.parent() == Some(&*self.store.dir) {
                removed.map_err(|e| failed(path, "remove", &e))?;
            }
        }
        Ok(())
    }
}

pub(super) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}
