//! One file for each login.
//!
//! Beside the record `NAME.json` there may be: `NAME.lock`, the lock file, never deleted; `NAME.next`, the space
//! reserved for the next record, which holds the *intent* to renew until the response has arrived; and
//! `NAME.recovery`, a record that could not be renamed into place. Whatever a crash leaves of these is repaired by the
//! next holder of the lease, and by no other process.

mod examine;
mod lease;
mod logins;
mod names;
mod recovery;
mod store;
#[cfg(all(test, feature = "simulation"))]
mod tests;

use std::{io, path::Path};

use keyfob_core::{Cause, Error, Id, Record, Result, login::sealed::KeyStore};

pub use lease::FileLease;
pub use logins::FileLogins;
pub use names::profiles;
pub use store::FileStore;

use crate::{
    store::{Commit, Found, HandOver, Holder, Lease, Leased, Seen, Store},
    world::{Connected, Held, Lock},
};
use store::failed;

impl Store for FileStore {
    fn path(&self) -> &Path {
        &self.record
    }

    fn name(&self) -> String {
        self.record.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn is_seeded(&self) -> bool {
        self.seeded
    }

    fn is_federated(&self) -> bool {
        self.federated
    }

    fn look(&self) -> Result<Seen> {
        self.look_for_a_while()
    }

    fn sealed_by(&self) -> Result<Option<KeyStore>> {
        Ok(self.bytes(&self.record)?.and_then(|bytes| crate::store::sealing::form_of(&bytes)))
    }

    fn try_lease(&self) -> Result<Leased<'_>> {
        self.files.make_dir(&self.dir).map_err(|e| failed(&self.dir, "create", &e))?;
        self.files.check_dir(&self.dir, self.private).map_err(|e| failed(&self.dir, "use", &e))?;
        match self.files.lock(&self.lock).map_err(|e| failed(&self.lock, "lock", &e))? {
            Lock::Held(lock) => self.resume(lock),
            _ => Ok(Leased::Busy(holder(self))),
        }
    }

    fn resume(&self, lock: Box<dyn Held>) -> Result<Leased<'_>> {
        // Containers that share one mounted record file each have a separate lock file: the lock on the
        // record's inode is the one they share. Where the record is renamed it guards nothing and costs little.
        let inode =
            match self.files.lock_existing(&self.record).map_err(|e| failed(&self.record, "lock", &e))? {
                Lock::Held(inode) => Some(inode),
                Lock::Absent => None,
                Lock::Busy => return Ok(Leased::Busy(holder(self))),
                Lock::Detached => {
                    return Err(Error::new(
                        Id::StoreFailed,
                        format!("the login in {} cannot be changed", self.record.display()),
                        "the file was replaced on the other side of a mount: what is seen here is an old one",
                    )
                    .because(Cause::MountedFile { path: self.record.to_string_lossy().into_owned() }));
                }
            };
        Ok(Leased::Lease(Box::new(FileLease::new(self, lock, inode))))
    }

    fn forget_recovered(&self, path: &Path) {
        if self.recovery.iter().any(|recovery| recovery == path) {
            let _ = self.files.remove(path);
        }
    }
}

fn holder(store: &FileStore) -> Holder {
    Holder(store.files.holder(&store.lock))
}

impl Lease for FileLease<'_> {
    fn read(&self) -> Result<Found> {
        self.newest()
    }

    fn peek(&self) -> Result<Option<Record>> {
        Ok(match self.store.read(&self.store.record)? {
            Seen::Record(record) => Some(*record),
            Seen::Nothing | Seen::Damaged(_) => None,
        })
    }

    fn was_asked(&self, record: &Record) -> Result<bool> {
        self.has_asked(record)
    }

    fn prove(&self) -> Result<()> {
        self.prove_key()?;
        self.prove_room()
    }

    fn prepare(&self, record: &Record) -> Result<Connected> {
        self.make_room(record)
    }

    fn take_back(self: Box<Self>) {
        self.remove_intent();
    }

    fn withdraw(self: Box<Self>, error: &io::Error) -> Error {
        let error = failed(&self.store.next, "note in", error);
        self.remove_intent();
        error
    }

    fn commit(self: Box<Self>, record: &Record) -> Result<Commit> {
        let commit = self.place(record)?;
        if let (true, Commit::Durable) = (self.unread.get(), &commit) {
            // What could not be opened has been replaced: it would stand in the way of every later reading.
            for path in &self.store.recovery {
                let _ = self.store.files.remove(path);
            }
        }
        Ok(commit)
    }

    fn erase(self: Box<Self>) -> Result<()> {
        self.remove_all()
    }

    fn hand_over(&mut self) -> Option<HandOver> {
        let lock = self.lock_file()?;
        Some(HandOver {
            lock,
            record: self.store.record.clone(),
            spare: self.store.spare_dirs().map(Path::to_path_buf).collect(),
            seals_with: self.store.seal.form(),
        })
    }
}
