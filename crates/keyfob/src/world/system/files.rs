//! Files as a store of secrets needs them: created private, opened without following links, checked after opening,
//! replaced atomically, locked by the kernel.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{
    locks::{Locked, try_lock, works},
    owners::{others_may_write, whose},
};
use crate::world::{Clock as _, Files, Lock, Mark, breach::Breach, system::clock::SystemClock};

/// No file of ours is larger; what is larger is not ours. A record holds at most one answer of [`super::http`]: of a mebibyte, with every character escaped in JSON, and that in base64
/// where it is sealed.
pub(crate) const LARGEST: u64 = 4 * super::http::LARGEST;

/// Longer than any step, in milliseconds, in which a local file system counts time.
const STEP: i64 = 100;

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_path_buf();
        for _ in 0..16 {
            match std::fs::read_link(&path) {
                Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                    return Ok(path);
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
        for dir in missing.into_iter().rev() {
            match DirBuilder::new().mode(0o700).create(dir) {
                // A umask may have taken permissions from us.
                Ok(()) => std::fs::set_permissions(dir, Permissions::from_mode(0o700))?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn check_dir(&self, path: &Path, private: bool) -> io::Result<()> {
        let meta = std::fs::symlink_metadata(path)?;
        if meta.file_type().is_symlink() || !meta.is_dir() {
            return Err(Breach::NotADirectory.into());
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Breach::Owner(meta.uid()).into());
        }
        if private && meta.mode() & 0o077 != 0 {
            return Err(Breach::open(&meta).into());
        }
        if others_may_write(&meta) {
            return Err(Breach::writable(&meta).into());
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match open(OpenOptions::new().read(true), path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let length = ours(&file)?;
        // One byte more than it should hold, so that the end is seen in the first read.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn read_trusted(&self, path: &Path, root_only: bool) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Breach::NotAFile.into());
        }
        if root_only && meta.uid() == rustix::process::geteuid().as_raw() && meta.uid() != 0 {
            return Err(Breach::Owner(meta.uid()).into());
        }
        whose(&meta)?;
        if meta.len() > LARGEST {
            return Err(Breach::Other("it is larger than four mebibytes").into());
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn mark(&self, path: &Path) -> Option<Mark> {
        let meta = std::fs::metadata(path).ok()?;
        // A file system counts in steps of some milliseconds, and gives a number anew that has become free.
        let age = SystemClock.millis() - (meta.ctime() * 1000 + meta.ctime_nsec() / 1_000_000);
        let [dev, ino, size] = [meta.dev(), meta.ino(), meta.size()].map(u64::cast_signed);
        (age > STEP).then_some([dev, ino, size, meta.ctime(), meta.ctime_nsec()])
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = open(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)?;
        ours(&file)?;
        if !try_lock(&file)? {
            return Ok(Lock::Busy);
        }
        // A umask may have taken permissions from us, and then it could not be opened again.
        usable(&file)?;
        works(&open(OpenOptions::new().read(true).write(true), path)?)?;
        sign(&file);
        Ok(Lock::Held(Box::new(Locked(file))))
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Lock> {
        // Another process may put another file in this place between opening and locking: then look again.
        for _ in 0..16 {
            // Where flock(2) is emulated (NFS, SMB) an exclusive lock needs a file that is open for writing. What can only be
            // read is locked as it is: a later write will fail and report that.
            let writable = match open(OpenOptions::new().read(true).write(true), path) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                    ) =>
                {
                    open(OpenOptions::new().read(true), path)
                }
                other => other,
            };
            let file = match writable {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lock::Absent),
                Err(error) => return Err(error),
            };
            if !try_lock(&file)? {
                return Ok(Lock::Busy);
            }
            let locked = file.metadata()?;
            match std::fs::symlink_metadata(path) {
                Ok(now) if now.ino() == locked.ino() && now.dev() == locked.dev() => {
                    return Ok(if locked.nlink() == 0 {
                        Lock::Detached
                    } else {
                        Lock::Held(Box::new(Locked(file)))
                    });
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lock::Absent),
                Err(error) => return Err(error),
            }
        }
        Ok(Lock::Busy)
    }

    fn holder(&self, path: &Path) -> Option<String> {
        let bytes = self.read(path).ok()??;
        let text = std::str::from_utf8(&bytes).ok()?.trim();
        (!text.is_empty()).then(|| keyfob_core::error::escape(text))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = open(OpenOptions::new().write(true).create(true).truncate(false), path)?;
        ours(&file)?;
        write_all(&file, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        open(OpenOptions::new().write(true), path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some filesystems cannot sync a directory; they do not need to be asked.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    fn restrict(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        let meta = file.metadata()?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Breach::Owner(meta.uid()).into());
        }
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o700))
    }

    fn protect(&self, path: &Path) -> io::Result<()> {
        let file =
            OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        let meta = file.metadata()?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Breach::Owner(meta.uid()).into());
        }
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o7755))
    }

    fn separate(&self, path: &Path) -> io::Result<bool> {
        let file = open(OpenOptions::new().read(true), path)?;
        let meta = file.metadata()?;
        let is_ours = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || meta.nlink() < 2 || meta.len() > LARGEST {
            return Ok(false);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1));
        file.take(LARGEST).read_to_end(&mut bytes)?;
        self.replace(path, &bytes).map(|()| true)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dir = path.parent().unwrap_or(path);
        self.make_dir(dir)?;
        let next = beside(path)?;
        let put = || {
            let file = open(OpenOptions::new().write(true).create_new(true), &next)?;
            write_all(&file, bytes)?;
            file.sync_all()?;
            self.rename(&next, path)
        };
        put().inspect_err(|_| drop(self.remove(&next)))?;
        self.sync_dir(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Opens without following a link in the last place and without ever waiting, and created files private
/// whatever the umask. The standard library sets close-on-exec and repeats what a signal interrupts.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Checks after opening that a file is regular, this user's, has one name and no permission for others.
/// Its length.
fn ours(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Breach::NotAFile.into());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(Breach::Owner(meta.uid()).into());
    }
    if meta.mode() & 0o077 != 0 {
        return Err(Breach::open(&meta).into());
    }
    if meta.nlink() > 1 {
        return Err(Breach::SecondName.into());
    }
    if meta.len() > LARGEST {
        return Err(Breach::Other("it is larger than four mebibytes").into());
    }
    Ok(meta.len())
}

/// A umask may have taken permissions from us, never added any for others.
fn usable(file: &File) -> io::Result<()> {
    match file.metadata()?.mode() & 0o600 {
        0o600 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(0o600)),
    }
}

/// A name beside this one that no other process uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(|error| io::Error::other(error.to_string()))?;
    let word = keyfob_core::digest::hex(&octets);
    Ok(path.with_extension(format!("{word}.next")))
}

/// Writes its holder into a lock file: process number and program, for the messages of processes that wait. It is not
/// trusted, and nothing depends on it being written.
pub(crate) fn sign(file: &File) {
    let named = || std::env::args_os().next().map(PathBuf::from);
    let program = std::env::current_exe().ok().or_else(named).unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let program: String = program.chars().filter(|c| !c.is_control()).take(64).collect();
    let who = match program.as_str() {
        "" => format!("process {}\n", std::process::id()),
        program => format!("process {} ({program})\n", std::process::id()),
    };
    let _ = write_all(file, who.as_bytes());
}

/// Writes these bytes at the beginning of a file, and makes it as long as they are.
fn write_all(file: &File, bytes: &[u8]) -> io::Result<()> {
    usable(file)?;
    file.write_all_at(bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    (&mut &*file).flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{exclusively, system};
    use std::thread;

    /// flock(2), "NFS details": an exclusive lock needs a file that is open for writing.
    #[test]
    fn a_record_is_locked_by_a_descriptor_that_can_write() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("record.json");
        Disk.write(&record, b"{}").unwrap();
        let Lock::Held(held) = Disk.lock_existing(&record).unwrap() else { panic!("nobody else has it") };
        let flags = rustix::fs::fcntl_getfl(held.file().unwrap()).unwrap();
        assert!(flags.contains(OFlags::RDWR), "{flags:?}");
    }

    /// Of several writers the last one wins, none fails, and nothing of theirs is left.
    #[test]
    fn what_is_replaced_is_always_somebodys_whole() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("profile");
        let words = ["w", "personal-account-of-ada", "work"];
        thread::scope(|scope| {
            for word in words.iter().cycle().take(6) {
                scope.spawn(|| (0..50).for_each(|_| Disk.replace(&place, word.as_bytes()).unwrap()));
            }
            for _ in 0..200 {
                let seen = Disk.read(&place).unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                assert!(seen.as_deref().is_none_or(|seen| words.contains(&seen)), "{seen:?}");
            }
        });
        assert_eq!(Disk.list(dir.path()).unwrap(), [place]);
    }

    #[test]
    fn nobodys_change_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("count.json");
        let world = system::world(system::routes::Routes::default());
        let add = || {
            let kept = Disk.read(&place)?.map_or(0, |bytes| bytes.len());
            Disk.replace(&place, &vec![b'x'; kept + 1])
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| exclusively(&world, &place, add).unwrap()));
            }
        });
        assert_eq!(Disk.read(&place).unwrap().unwrap().len(), 40);
    }
}
