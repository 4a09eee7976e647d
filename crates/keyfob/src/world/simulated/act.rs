//! What a process does to the outside, and the result.

use std::{io, path::PathBuf, time::Duration};

use super::bytes::Bytes;

/// One contact with the outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Reads a whole file.
    Read(PathBuf),
    /// Lists a directory.
    List(PathBuf),
    /// Tries for the lock on a file, creating it.
    Lock(PathBuf),
    /// Tries for the lock on a file that must exist.
    LockExisting(PathBuf),
    /// Gives up the lock on an inode: what dropping a lock does.
    Release(u32),
    /// Writes a whole file in its place.
    Write(PathBuf, Bytes),
    /// Waits until a file's content is durable.
    Sync(PathBuf),
    /// Puts one name in the place of another.
    Rename(PathBuf, PathBuf),
    /// Waits until a directory's names are durable.
    SyncDir(PathBuf),
    /// Removes a file.
    Remove(PathBuf),
    /// Connects to the provider.
    Connect,
    /// Asks the provider: the form that was sent.
    Send(String),
    /// Waits.
    Sleep(Duration),
    /// Looks at the clock.
    Now,
    /// Asks for random octets.
    Random(usize),
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Done,
    /// The file's bytes, if it exists.
    Bytes(Option<Bytes>),
    /// The files of a directory.
    Paths(Vec<PathBuf>),
    /// The lock on this inode is ours.
    Held(u32),
    /// The lock is held already.
    Busy,
    /// There is no such file to lock.
    Absent,
    /// The whole answer of the provider, or of what answered in its place.
    Answer(Said),
    /// No answer came to a request that was sent.
    NoAnswer,
    /// The time.
    Millis(i64),
    /// Random octets, all of this value.
    Octet(u8),
    /// The system refused.
    Failed(io::ErrorKind),
}

/// An answer over HTTP, as far as a renewal looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Said {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Date`, if the provider sends its time.
    pub date: Option<String>,
    /// The whole body.
    pub body: String,
}

impl Said {
    pub(super) fn json(status: u16, body: String) -> Outcome {
        Outcome::Answer(Self { status, content_type: "application/json", date: None, body })
    }
}

/// What stands between a process and its machine.
pub trait Stage: Send + Sync {
    /// Has the act performed and returns what came of it.
    fn act(&self, act: Act) -> Outcome;
    /// The name of the kernel the process runs on. Those of one kernel share its clock.
    fn kernel(&self) -> String {
        "fake".into()
    }
}
