//! A file kept fresh: for programs that read a token from a file, and read it again when it has ended.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use keyfob::{Cause, Error, ErrorId, Result};

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
}

/// A file that holds the access token as long as there is one.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
}

/// A file that was put there: its device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Put(u64, u64);

impl Put {
    fn of(meta: &fs::Metadata) -> Self {
        Self(meta.dev(), meta.ino())
    }
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
        Ok(Self { path: path.to_owned(), format })
    }

    /// Puts this in the place of what is there, at once: a reader finds the old or the new text, and never half of one.
    /// Returns what was put there.
    pub(crate) fn put(&self, text: &[u8]) -> io::Result<Put> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let put = file.metadata().map(|meta| Put::of(&meta));
        let placed = file.write_all(text).and_then(|()| fs::rename(&new, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&new);
        }
        placed.and(put)
    }

    /// Whether this is still what is there.
    pub(crate) fn has(&self, put: Put) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|meta| Put::of(&meta) == put)
    }

    /// Takes away what was put there. What somebody else has put there since stays.
    pub(crate) fn take_back(&self, put: Put) {
        if self.has(put) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
