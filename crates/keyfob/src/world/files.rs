//! The operations on files and locks that a store needs, as a trait.

use std::{io, path::Path};

use zeroize::Zeroizing;

/// A lock that is given up when this is dropped, or by the kernel when its process dies.
pub trait Held: Send {
    /// The open file that carries the lock, for handing it to another process.
    fn file(&self) -> Option<&std::fs::File>;
}

/// What came of trying for a lock.
pub enum Lock {
    /// It is ours.
    Held(Box<dyn Held>),
    /// It is held already.
    Busy,
    /// There is no such file.
    Absent,
    /// The file at this path has been replaced behind a mount: what we see is no longer the real one.
    Detached,
}

/// What a file is known by as long as it stays as it is.
pub type Mark = [i64; 5];

/// The few acts on files that a store is made of. Each is one step that either happened or did not; the order
/// of them, and what a crash between two of them means, is decided in `crate::store`.
pub trait Files: Send + Sync {
    /// Where `path` leads when it is a symbolic link; itself otherwise, also when it does not exist.
    ///
    /// # Errors
    /// A loop of links, or a directory that cannot be searched.
    fn resolve(&self, path: &Path) -> io::Result<std::path::PathBuf>;
    /// Creates a directory and its parents, 0700. An existing one is left as it is.
    ///
    /// # Errors
    /// The system's.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Refuses a directory that is not this user's or that others may write; with `private`, also one that
    /// others may enter or list.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] with the reason; the system's.
    fn check_dir(&self, path: &Path, private: bool) -> io::Result<()>;
    /// A whole file of at most four mebibytes that is regular and this user's alone. `None`: not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] with the reason if it is not this user's alone; the system's.
    fn read(&self, path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>>;
    /// A file that decides something: any size up to four mebibytes, this user's or root's (with `root_only` only
    /// root's), not writable by other users. Links are followed. `None`: not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] with the reason; the system's.
    fn read_trusted(&self, path: &Path, root_only: bool) -> io::Result<Option<Vec<u8>>>;
    /// Numbers that are others whenever the file is written or another one is in its place: a look that neither opens nor reads
    /// it. `None`: it is not there, was changed so lately that the next change could have the same ones, or nothing is known.
    fn mark(&self, path: &Path) -> Option<Mark> {
        let _ = path;
        None
    }
    /// The files in a directory, sorted. A directory that is not there has none.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, path: &Path) -> io::Result<Vec<std::path::PathBuf>>;
    /// Tries to take the lock on a separate file, creating it 0600 if need be. Never waits.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where locks do not work; the system's.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    /// Tries for the lock on an existing file, as it is now. Never waits, never creates.
    ///
    /// # Errors
    /// As [`Files::lock`].
    fn lock_existing(&self, path: &Path) -> io::Result<Lock>;
    /// What the holder of a lock file wrote about itself: for messages only.
    fn holder(&self, path: &Path) -> Option<String>;
    /// Writes bytes at the beginning of a file, 0600, creating it if it is not there, and makes it as long as
    /// they are. Other than that the file keeps its place on the disk, so that this needs no new space.
    ///
    /// # Errors
    /// The system's; the file may then hold anything.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the file's content is on the disk.
    ///
    /// # Errors
    /// The system's; then the content may be lost.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Puts one name in the place of another, at once.
    ///
    /// # Errors
    /// The system's; then nothing changed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until names in the directory are on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes every permission of others away from a file or directory of this user's.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if it is another user's; the system's.
    fn restrict(&self, path: &Path) -> io::Result<()>;
    /// Takes the permission of others to write away from a file or directory of this user's, and no other.
    ///
    /// # Errors
    /// As [`Files::restrict`].
    fn protect(&self, path: &Path) -> io::Result<()> {
        self.restrict(path)
    }
    /// Makes a separate copy under this name of a file of this user's that has several names (a backup made of hard
    /// links). Returns whether it had several.
    ///
    /// # Errors
    /// The system's.
    fn separate(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }
    /// Puts new content in a small file's place at once, or leaves the old: written beside it, synced, renamed. Of several
    /// writers the last one wins, and each is whole. A caller that reads first to change what is there holds a lock
    /// meanwhile (`exclusively`); a login has its own store.
    ///
    /// # Errors
    /// The system's.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dir = path.parent().unwrap_or(path);
        let next = path.with_extension("next");
        self.make_dir(dir)?;
        self.write(&next, bytes)?;
        self.sync(&next)?;
        self.rename(&next, path)?;
        self.sync_dir(dir)
    }
    /// Removes a file. It not being there is success.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
}
