//! A file kept fresh: for programs that read a token from a file, and read it again when it has ended.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use keyfob::{Cause, Error, ErrorId, Result};
use rustix::fs::OFlags;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The access token on a line.
    Token,
    /// `Name: value`, a line for each header, as `curl -H @FILE` reads them.
    Header,
    /// The answer of `/v1/token`.
    Json,
    /// The ID token on a line, and nothing else: some readers take the end of the line for a part of it.
    IdToken,
    /// The file of a profile of the vendor's own programs (`credentials/NAME.json`), without a refresh token: they read
    /// it again and renew nothing.
    Credentials,
}

/// A file that holds a token as long as there is one.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    mode: u32,
}

/// A file that was put there, which goes with this. It is locked as long as this lives, whatever ends the agent: so another one
/// sees that somebody keeps it fresh.
#[derive(Debug)]
pub(crate) struct Put {
    path: PathBuf,
    file: (u64, u64),
    _locked: File,
}

impl Drop for Put {
    fn drop(&mut self) {
        // What somebody else has put there since stays.
        if is_at(&self.path, self.file) {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(beside(&self.path, NOTE));
        }
    }
}

/// What the names of our own files beside a kept one end with.
const NEW: &str = ".keyfob-new";
const NOTE: &str = ".keyfob-kept";

/// A hidden file of ours beside that one.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(end);
    path.with_file_name(name)
}

/// Whether this very file is there.
fn is_at(path: &Path, file: (u64, u64)) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| identity(&meta) == file)
}

/// A file as an agent left it, in words: one that was written since, or that has the number of another one, is told from it.
fn noted(meta: &fs::Metadata) -> String {
    format!("{} {} {} {} {}\n", meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len())
}

fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

impl Sink {
    /// A file at this path, 0600, in a directory that nobody else can change.
    ///
    /// # Errors
    /// [`ErrorId::AgentUnsafe`] if others could put another file there; [`ErrorId::Usage`] if there is no such directory.
    pub fn new(path: &Path, format: Format) -> Result<Self> {
        let what = || format!("{} cannot be kept fresh", path.display());
        let Some(dir) = path.parent().filter(|dir| dir.is_absolute() && path.file_name().is_some()) else {
            return Err(Error::new(ErrorId::Usage, what(), "it is not an absolute path of a file"));
        };
        let meta = fs::metadata(dir).map_err(|error| Error::caused_by(ErrorId::Usage, what(), error))?;
        let (at, us) = (dir.display().to_string(), rustix::process::geteuid().as_raw());
        if meta.uid() != us {
            let cause = Cause::OtherOwner { path: at, owner: meta.uid(), us };
            let why = format!("its directory belongs to user {}", meta.uid());
            return Err(Error::new(ErrorId::AgentUnsafe, what(), why).because(cause));
        }
        if meta.mode() & 0o022 != 0 {
            let cause = Cause::WritableByOthers { path: at, mode: meta.mode() & 0o7777 };
            return Err(
                Error::new(ErrorId::AgentUnsafe, what(), "others can write to its directory").because(cause)
            );
        }
        Ok(Self { path: path.to_owned(), format, mode: 0o600 })
    }

    /// With these permissions. What lets anybody write but its owner, or read but its group, is left out of them.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o640 | 0o400;
        self
    }

    /// Puts this in the place of what is there, at once: a reader finds the old or the new text, and never half of one.
    /// Returns what was put there. `ours` is what was put there before.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] if another agent keeps it fresh; the system's.
    pub(crate) fn put(&self, text: &[u8], ours: Option<&Put>) -> io::Result<Put> {
        if !ours.is_some_and(|ours| self.has(ours)) {
            self.let_be()?;
        }
        let (new, mut file) = self.unfinished()?;
        let meta = file.metadata()?;
        let file_id = identity(&meta);
        let placed = file
            .set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.set_permissions(Permissions::from_mode(self.mode)))
            .and_then(|()| self.note(&file.metadata()?))
            .and_then(|()| fs::rename(&new, &self.path).inspect_err(|_| self.forget()));
        if let Err(error) = placed {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        Ok(Put { path: self.path.clone(), file: file_id, _locked: file })
    }

    /// A new file beside it, locked. One that an agent left there which was killed is removed, whatever its permissions, and
    /// never written to: so nothing gets into a file of somebody else's.
    fn unfinished(&self) -> io::Result<(PathBuf, File)> {
        let new = beside(&self.path, NEW);
        self.remove_unfinished(&new)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(no_surprise());
        let file = options.open(&new).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => busy(),
            _ => error,
        })?;
        lock(&file)?;
        // Another agent has taken it for a dead one's before it was locked.
        if !is_at(&new, identity(&file.metadata()?)) {
            return Err(busy());
        }
        Ok((new, file))
    }

    fn remove_unfinished(&self, new: &Path) -> io::Result<()> {
        let left = match OpenOptions::new().read(true).custom_flags(no_surprise()).open(new) {
            Ok(left) => left,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let meta = left.metadata()?;
        if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.nlink() > 1 {
            let why = format!("{} is there, which is no file of an agent's", new.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        lock(&left)?;
        if is_at(new, identity(&meta)) { fs::remove_file(new) } else { Err(busy()) }
    }

    /// Notes which file is about to be there beside the one that is there, if that was noted: a kill between the two leaves
    /// either.
    fn note(&self, next: &fs::Metadata) -> io::Result<()> {
        let mut text = noted(next);
        if self.is_noted()
            && let Ok(there) = fs::symlink_metadata(&self.path)
        {
            text.push_str(&noted(&there));
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_surprise());
        let mut note = options.open(beside(&self.path, NOTE))?;
        let meta = note.metadata()?;
        if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.nlink() > 1 {
            let why = format!("{} is no file of an agent's", beside(&self.path, NOTE).display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        note.write_all(text.as_bytes())?;
        note.set_len(text.len() as u64)
    }

    /// Removes a note of ours, unless it tells of what is still there.
    fn forget(&self) {
        if !self.is_noted() {
            let _ = fs::remove_file(beside(&self.path, NOTE));
        }
    }

    /// Whether an agent has put there what is there, as far as is noted.
    fn is_noted(&self) -> bool {
        let mut text = String::new();
        let note = OpenOptions::new().read(true).custom_flags(no_surprise()).open(beside(&self.path, NOTE));
        let is_read = note.is_ok_and(|note| note.take(1024).read_to_string(&mut text).is_ok());
        is_read
            && fs::symlink_metadata(&self.path).is_ok_and(|meta| {
                let there = noted(&meta);
                meta.is_file() && text.split_inclusive('\n').any(|line| line == there)
            })
    }

    /// Takes away what an agent put there that was killed, and what it had not finished. What another one keeps fresh, or
    /// somebody else has put there, stays.
    pub(crate) fn take_over(&self) {
        let _ = self.remove_unfinished(&beside(&self.path, NEW));
        if !self.is_noted() {
            return;
        }
        if let Ok(there) = OpenOptions::new().read(true).custom_flags(no_surprise()).open(&self.path)
            && lock(&there).is_ok()
            && self.is_noted()
            && let Ok(meta) = there.metadata()
        {
            drop(Put { path: self.path.clone(), file: identity(&meta), _locked: there });
        }
    }

    /// Fails if another agent that lives has put there what is there.
    fn let_be(&self) -> io::Result<()> {
        match OpenOptions::new().read(true).custom_flags(no_surprise()).open(&self.path) {
            Ok(there) => lock(&there),
            // There is nothing, or what no agent has put there: replacing it fails where it must not be replaced.
            Err(_) => Ok(()),
        }
    }

    /// Whether this is still what is there.
    pub(crate) fn has(&self, put: &Put) -> bool {
        is_at(&self.path, put.file)
    }
}

/// What is opened is this very file: no link is followed, and no pipe waited for.
fn no_surprise() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(busy()),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another agent keeps it fresh")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink() -> (tempfile::TempDir, Sink) {
        let dir = tempfile::tempdir().unwrap();
        let sink = Sink::new(&dir.path().join("token"), Format::Token).unwrap();
        (dir, sink)
    }

    /// What is left of what an agent has put there when it is killed: the kernel gives its lock back, and nothing else happens.
    fn kill(put: Put) {
        let mut put = std::mem::ManuallyDrop::new(put);
        let nothing = File::open("/dev/null").unwrap();
        drop(std::mem::replace(&mut put._locked, nothing));
    }

    /// Two agents on one file: the second waits until the first has ended, and they share no unfinished text.
    #[test]
    fn one_agent_keeps_a_file_at_a_time() {
        let (_dir, sink) = sink();
        let first = sink.put(b"one", None).unwrap();
        let refused = sink.put(b"two", None).expect_err("somebody keeps it");
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(fs::read(&sink.path).unwrap(), b"one");
        let again = sink.put(b"one again", Some(&first)).unwrap();
        drop(first);
        assert_eq!(fs::read(&sink.path).unwrap(), b"one again");
        sink.take_over();
        assert!(sink.path.exists(), "somebody keeps it");
        kill(again);
        let second = sink.put(b"two", None).unwrap();
        assert!(fs::read(&sink.path).unwrap() == b"two" && sink.has(&second));
        // One is at it: its unfinished text is left to it, and a killed one's is replaced, whatever its permissions.
        let new = sink.path.with_file_name(".token.keyfob-new");
        fs::write(&new, "unfinished").unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o400)).unwrap();
        let mut unfinished = File::open(&new).unwrap();
        unfinished.lock().unwrap();
        assert!(sink.put(b"three", Some(&second)).is_err());
        assert!(new.exists());
        unfinished.unlock().unwrap();
        let third = sink.put(b"three", Some(&second)).unwrap();
        assert!(!new.exists() && fs::read(&sink.path).unwrap() == b"three");
        let mut text = String::new();
        unfinished.read_to_string(&mut text).unwrap();
        assert_eq!(text, "unfinished", "another file");
        drop((second, third));
        assert_eq!(fs::read_dir(sink.path.parent().unwrap()).unwrap().count(), 0, "nothing is left");
    }

    /// What the user has beside a kept file is the user's, however it is called.
    #[test]
    fn a_file_of_the_users_own_is_not_written_to() {
        let (dir, sink) = sink();
        let [own, new] = ["token.new", ".token.keyfob-new"].map(|name| dir.path().join(name));
        fs::write(&own, "mine").unwrap();
        let put = sink.put(b"one", None).unwrap();
        for link in [
            |from: &Path, to: &Path| fs::hard_link(from, to),
            |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to),
        ] {
            link(&own, &new).unwrap();
            assert!(sink.put(b"two", Some(&put)).is_err());
            assert_eq!(fs::read(&own).unwrap(), b"mine");
            assert!(fs::symlink_metadata(&new).is_ok());
            fs::remove_file(&new).unwrap();
        }
        let note = dir.path().join(".token.keyfob-kept");
        fs::remove_file(&note).unwrap();
        fs::hard_link(&own, &note).unwrap();
        assert!(sink.put(b"two", Some(&put)).is_err());
        assert!(fs::read(&own).unwrap() == b"mine" && note.exists());
    }

    /// Nobody is signed in any more when the next agent starts: what the killed one left is known for what it is.
    #[test]
    fn what_a_killed_agent_left_is_taken_away() {
        let (dir, sink) = sink();
        let first = sink.put(b"one", None).unwrap();
        let second = sink.put(b"two", Some(&first)).unwrap();
        drop(first);
        kill(second);
        fs::write(beside(&sink.path, NEW), "unfinished").unwrap();
        sink.take_over();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // What somebody has put in its place since is theirs, and so is what they have written into it.
        kill(sink.put(b"one", None).unwrap());
        fs::write(dir.path().join("other"), "mine").unwrap();
        fs::rename(dir.path().join("other"), &sink.path).unwrap();
        sink.take_over();
        assert_eq!(fs::read(&sink.path).unwrap(), b"mine");
        kill(sink.put(b"one", None).unwrap());
        fs::write(&sink.path, "mine now").unwrap();
        sink.take_over();
        assert_eq!(fs::read(&sink.path).unwrap(), b"mine now");
    }

    #[test]
    fn a_file_has_the_permissions_that_were_asked_for_and_no_more() {
        let (_dir, sink) = sink();
        for (asked, is) in [(0o600, 0o600), (0o640, 0o640), (0o440, 0o440), (0o777, 0o640), (0, 0o400)] {
            let sink = sink.clone().mode(asked);
            let put = sink.put(b"x", None).unwrap();
            assert_eq!(fs::metadata(&sink.path).unwrap().mode() & 0o7777, is, "{asked:o}");
            drop(put);
        }
    }
}
