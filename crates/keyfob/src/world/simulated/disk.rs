//! An in-memory disk that models what a crash or a power cut may leave.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::world::simulated::{
    Act, Outcome,
    bytes::{Bytes, Torn},
    change::Change,
};

/// What a power cut leaves whole: small, as the files of tests are.
const SECTOR: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Inode {
    /// As running processes see it.
    bytes: Bytes,
    /// As it was when it was last synced.
    durable: Bytes,
}

/// Files, names, locks, and what of them is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    names: BTreeMap<PathBuf, u32>,
    durable: BTreeMap<PathBuf, u32>,
    pending: Vec<Change>,
    inodes: BTreeMap<u32, Inode>,
    locks: BTreeMap<u32, u32>,
    mounts: BTreeSet<u32>,
    /// Every try for a lock succeeds: a filesystem that pretends to lock.
    pub pretends_to_lock: bool,
    /// Syncing does nothing, but reports success.
    pub pretends_to_sync: bool,
}

impl Disk {
    /// Puts a durable file there.
    pub fn put(&mut self, path: &Path, bytes: &[u8]) -> u32 {
        let inode = self.create(Bytes::new(bytes));
        self.names.insert(path.into(), inode);
        self.durable.insert(path.into(), inode);
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.durable = inode.bytes.clone();
        }
        inode
    }

    /// Mounts a file at a path: its name can then neither be replaced nor removed.
    pub fn mount(&mut self, path: &Path, inode: u32) {
        self.names.insert(path.into(), inode);
        self.durable.insert(path.into(), inode);
        self.mounts.insert(inode);
    }

    /// What a reader of this path sees.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<&Bytes> {
        Some(&self.inodes.get(self.names.get(path)?)?.bytes)
    }

    /// What of this path a power cut cannot take any more.
    #[must_use]
    pub fn durable_bytes(&self, path: &Path) -> Option<&Bytes> {
        Some(&self.inodes.get(self.durable.get(path)?)?.durable)
    }

    /// Every name of the file behind this one.
    pub fn names_of(&self, path: &Path) -> impl Iterator<Item = &Path> {
        let inode = self.names.get(path).copied();
        self.names.iter().filter(move |(_, other)| Some(**other) == inode).map(|(path, _)| path.as_path())
    }

    /// All names there are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.names.keys().map(PathBuf::as_path)
    }

    /// The inodes that processes other than this one have locked.
    pub fn locked_by_others(&self, process: u32) -> impl Iterator<Item = u32> {
        self.locks.iter().filter(move |(_, owner)| **owner != process).map(|(inode, _)| *inode)
    }

    /// Whether this process has any lock.
    #[must_use]
    pub fn holds(&self, process: u32) -> bool {
        self.locks.values().any(|owner| *owner == process)
    }

    /// A process has died: its locks are free.
    pub fn crash(&mut self, process: u32) {
        self.locks.retain(|_, owner| *owner != process);
        self.forget();
    }

    /// Performs an act on files, all of it.
    pub fn perform(&mut self, process: u32, act: &Act) -> Outcome {
        let outcome = match act {
            Act::Read(path) => Outcome::Bytes(self.bytes(path).cloned()),
            Act::List(dir) => {
                Outcome::Paths(self.paths().filter(|p| p.parent() == Some(dir)).map(Into::into).collect())
            }
            Act::Lock(path) => {
                let inode = self.open(path);
                self.lock(process, inode)
            }
            Act::LockExisting(path) => match self.names.get(path) {
                Some(inode) => self.lock(process, *inode),
                None => Outcome::Absent,
            },
            Act::Release(inode) => {
                if self.locks.get(inode) == Some(&process) {
                    self.locks.remove(inode);
                }
                Outcome::Done
            }
            Act::Write(path, bytes) => {
                let inode = self.open(path);
                self.fill(inode, bytes.clone());
                Outcome::Done
            }
            Act::Sync(path) => match self.names.get(path).and_then(|inode| self.inodes.get_mut(inode)) {
                Some(inode) if !self.pretends_to_sync => {
                    inode.durable = inode.bytes.clone();
                    Outcome::Done
                }
                Some(_) => Outcome::Done,
                None => Outcome::Failed(ErrorKind::NotFound),
            },
            Act::Rename(from, to) => self.rename(from, to),
            Act::SyncDir(dir) => {
                let (now, later) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition::<Vec<_>, _>(|change| change.dir() == Some(dir));
                self.pending = later;
                now.iter().for_each(|change| change.apply(&mut self.durable));
                Outcome::Done
            }
            Act::Remove(path) => match self.names.get(path) {
                Some(inode) if self.mounts.contains(inode) => Outcome::Failed(ErrorKind::ResourceBusy),
                Some(_) => {
                    self.names.remove(path);
                    self.pending.push(Change::Unlink(path.clone()));
                    Outcome::Done
                }
                None => Outcome::Done,
            },
            Act::Connect | Act::Send(_) | Act::Sleep(_) | Act::Now | Act::Random(_) => {
                Outcome::Failed(ErrorKind::Unsupported)
            }
        };
        self.forget();
        outcome
    }

    /// Lets an act on files fail. A write that fails leaves half of it; of the others nothing happens.
    pub fn fail(&mut self, act: &Act) -> Outcome {
        match act {
            Act::Write(path, bytes) => {
                self.tear(path, bytes, Torn::Quarters(2));
                Outcome::Failed(ErrorKind::StorageFull)
            }
            _ => Outcome::Failed(ErrorKind::Other),
        }
    }

    /// Performs a part of a write. `false`: that part would not differ from nothing or from all.
    pub fn tear(&mut self, path: &Path, new: &Bytes, torn: Torn) -> bool {
        let existed = self.names.contains_key(path);
        let old = self.bytes(path).map_or(Vec::new(), |old| old.text.to_vec());
        let (cut, rest) = match torn {
            Torn::Created if !existed => (0, 0),
            Torn::Quarters(quarters) if new.text.len() > 3 => {
                let cut = new.text.len() * usize::from(quarters.min(4)) / 4;
                (cut, cut)
            }
            Torn::Tail if old.len() > new.text.len() + new.blanks => {
                (new.text.len(), new.text.len() + new.blanks)
            }
            _ => return false,
        };
        let mut bytes = new.text[..cut].to_vec();
        if torn == Torn::Tail {
            bytes.resize(rest, b' ');
        }
        bytes.extend(old.get(rest..).unwrap_or(&[]));
        let inode = self.open(path);
        self.fill(inode, Bytes::new(&bytes));
        true
    }

    /// Every disk a power cut may leave: of the names that were not synced any part, of each content that was
    /// not synced the old, the new, or some sectors of each.
    #[must_use]
    pub fn after_power_cut(&self) -> Vec<Self> {
        let mut disks = Vec::new();
        for part in 0..1_usize << self.pending.len().min(8) {
            let mut disk = self.clone();
            disk.locks.clear();
            disk.names = disk.durable.clone();
            for (at, change) in std::mem::take(&mut disk.pending).iter().enumerate() {
                if part >> at & 1 == 1 {
                    change.apply(&mut disk.names);
                }
            }
            disk.durable = disk.names.clone();
            disk.forget();
            let mut variants = vec![disk];
            for (number, inode) in &self.inodes {
                if inode.bytes == inode.durable || !variants[0].inodes.contains_key(number) {
                    continue;
                }
                let (old, new) = (&inode.durable.text, &inode.bytes.text);
                let half = new.len() / 2 / SECTOR * SECTOR;
                let rest = |of: &[u8]| of.get(half..).unwrap_or(&[]).to_vec();
                let mut before = old[..half.min(old.len())].to_vec();
                before.resize(half, 0);
                let contents = [
                    inode.durable.clone(),
                    inode.bytes.clone(),
                    Bytes::new(&[&new[..half], &rest(old)].concat()),
                    Bytes::new(&[&*before, &rest(new)].concat()),
                ];
                variants = variants
                    .iter()
                    .flat_map(|disk| {
                        contents.each_ref().map(|bytes| {
                            let mut disk = disk.clone();
                            disk.inodes
                                .insert(*number, Inode { bytes: bytes.clone(), durable: bytes.clone() });
                            disk
                        })
                    })
                    .collect();
            }
            for disk in variants {
                if !disks.contains(&disk) {
                    disks.push(disk);
                }
            }
        }
        disks
    }

    fn lock(&mut self, process: u32, inode: u32) -> Outcome {
        if self.pretends_to_lock {
            return Outcome::Held(inode);
        }
        match self.locks.get(&inode) {
            Some(_) => Outcome::Busy,
            None => {
                self.locks.insert(inode, process);
                Outcome::Held(inode)
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Outcome {
        let Some(inode) = self.names.get(from).copied() else { return Outcome::Failed(ErrorKind::NotFound) };
        let mounted = |path| self.names.get(path).is_some_and(|inode| self.mounts.contains(inode));
        if mounted(from) || mounted(to) {
            return Outcome::Failed(ErrorKind::ResourceBusy);
        }
        let change = Change::Rename(from.into(), to.into(), inode);
        change.apply(&mut self.names);
        self.pending.push(change);
        Outcome::Done
    }

    fn open(&mut self, path: &Path) -> u32 {
        if let Some(inode) = self.names.get(path) {
            return *inode;
        }
        let inode = self.create(Bytes::new(b""));
        self.names.insert(path.into(), inode);
        self.pending.push(Change::Link(path.into(), inode));
        inode
    }

    fn create(&mut self, bytes: Bytes) -> u32 {
        let number = (1..).find(|number| !self.inodes.contains_key(number)).unwrap_or(0);
        self.inodes.insert(number, Inode { bytes, durable: Bytes::new(b"") });
        number
    }

    fn fill(&mut self, inode: u32, bytes: Bytes) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.bytes = bytes;
        }
    }

    /// Forgets inodes nothing leads to any more.
    fn forget(&mut self) {
        let Self { names, durable, pending, locks, inodes, .. } = self;
        inodes.retain(|number, _| {
            names.values().chain(durable.values()).any(|inode| inode == number)
                || locks.contains_key(number)
                || pending.iter().any(|change| change.inode() == Some(*number))
        });
    }
}
