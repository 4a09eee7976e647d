//! The rules of ours that a file or directory can break. They are carried in an [`io::Error`] without a number, which
//! distinguishes them from the system's own refusals.

use std::{fmt, fs::Metadata, io, os::unix::fs::MetadataExt, path::Path};

use keyfob_core::Cause;

/// What is wrong with a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It belongs to this user.
    Owner(u32),
    /// Others may read it, by this mode.
    Open {
        /// Its permissions.
        mode: u32,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Others may write to it, by this mode.
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// It is no directory.
    NotADirectory,
    /// It is no regular file.
    NotAFile,
    /// It is reached by a second name.
    SecondName,
    /// Something else.
    Other(&'static str),
}

impl Breach {
    pub(crate) fn open(meta: &Metadata) -> Self {
        Self::Open { mode: meta.mode() & 0o7777, directory: meta.is_dir() }
    }

    pub(crate) fn writable(meta: &Metadata) -> Self {
        Self::Writable { mode: meta.mode() & 0o7777 }
    }

    /// The same as a type, for programs that advise a person.
    pub(crate) fn cause(self, path: &Path) -> Option<Cause> {
        let path = path.to_string_lossy().into_owned();
        Some(match self {
            Self::Owner(owner) => Cause::OtherOwner { path, owner, us: rustix::process::geteuid().as_raw() },
            Self::Open { mode, directory } => Cause::OpenToOthers { path, mode, directory },
            Self::Writable { mode } => Cause::WritableByOthers { path, mode },
            Self::NotADirectory => Cause::NotADirectory { path },
            Self::NotAFile => Cause::NotAFile { path },
            Self::SecondName => Cause::SecondName { path },
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => write!(f, "it belongs to user {owner}"),
            Self::Open { mode, .. } => write!(f, "it is open to others (mode {mode:04o})"),
            Self::Writable { mode } => write!(f, "it is writable by others (mode {mode:04o})"),
            Self::NotADirectory => f.write_str("it is not a directory"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::SecondName => f.write_str("it has a second name (a hard link)"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Breach {}

impl From<Breach> for io::Error {
    fn from(breach: Breach) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, breach)
    }
}
