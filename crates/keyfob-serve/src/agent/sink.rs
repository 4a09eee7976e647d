//! A file kept fresh: for programs that read a token from a file, and read it again when it has ended.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
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

/// A file that was put there. It is locked as long as this lives, whatever ends the agent: so another one sees that somebody
/// keeps it fresh.
#[derive(Debug)]
pub(crate) struct Put {
    file: (u64, u64),
    _locked: File,
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
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_surprise());
        let mut file = options.open(&new)?;
        lock(&file)?;
        let meta = file.metadata()?;
        // One that killed itself in the middle left it, or one has put it into its place since it was opened.
        if !fs::symlink_metadata(&new).is_ok_and(|there| identity(&there) == identity(&meta)) {
            return Err(busy());
        }
        let placed = file
            .set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.set_permissions(Permissions::from_mode(self.mode)))
            .and_then(|()| fs::rename(&new, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&new);
        }
        placed.map(|()| Put { file: identity(&meta), _locked: file })
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
        fs::symlink_metadata(&self.path).is_ok_and(|meta| identity(&meta) == put.file)
    }

    /// Takes away what was put there. What somebody else has put there since stays.
    pub(crate) fn take_back(&self, put: &Put) {
        if self.has(put) {
            let _ = fs::remove_file(&self.path);
        }
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

    /// Two agents on one file: the second waits until the first has ended, and they share no unfinished text.
    #[test]
    fn one_agent_keeps_a_file_at_a_time() {
        let (_dir, sink) = sink();
        let first = sink.put(b"one", None).unwrap();
        let refused = sink.put(b"two", None).expect_err("somebody keeps it");
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(fs::read(&sink.path).unwrap(), b"one");
        let first = sink.put(b"one again", Some(&first)).unwrap();
        assert_eq!(fs::read(&sink.path).unwrap(), b"one again");
        drop(first);
        let second = sink.put(b"two", None).unwrap();
        assert!(fs::read(&sink.path).unwrap() == b"two" && sink.has(&second));
        // One is at it: its unfinished text is left to it, and a killed one's is used again.
        let new = sink.path.with_file_name("token.new");
        let unfinished = File::create(&new).unwrap();
        unfinished.lock().unwrap();
        assert!(sink.put(b"three", Some(&second)).is_err());
        assert!(new.exists());
        drop(unfinished);
        let third = sink.put(b"three", Some(&second)).unwrap();
        assert!(!new.exists() && fs::read(&sink.path).unwrap() == b"three");
        sink.take_back(&third);
        assert!(!sink.path.exists());
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
