//! All contact with the outside, as small traits. [`crate::world::system`] implements them for the real system, one
//! file each; [`simulated`] for tests, behind the feature `simulation`.

pub mod breach;
pub mod failure;
pub mod headers;
mod keys;
#[cfg(feature = "simulation")]
pub mod simulated;
pub mod system;
pub mod waiting;

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use keyfob_core::{
    Ahead, Cause, Error, Id, Record, Secret, Timestamp,
    oauth::{header::Header, reply::Reply},
};
use zeroize::Zeroizing;

use crate::world::{headers::Headers, waiting::Listener};

pub use keys::{KeyTrouble, Keys, WrappingKey};

/// Wall time and waiting.
pub trait Clock: Send + Sync {
    /// Wall time in milliseconds since 1970. May go backwards; nothing here believes it blindly.
    fn millis(&self) -> i64;
    /// Wall time in seconds, as the wire counts it.
    fn now(&self) -> Timestamp {
        Timestamp(self.millis().div_euclid(1000))
    }
    /// Time since some moment before this process began; it never goes back and counts what the machine slept. What
    /// lasts is measured with it, by difference: a wait that counts its pauses forgets what happened between them.
    fn stopwatch(&self) -> Duration {
        Duration::from_millis(self.millis().try_into().unwrap_or(0))
    }
    /// Waits.
    fn sleep(&self, time: Duration);
    /// A name for the running kernel, whose clock all its processes and containers share. `None` where
    /// nothing tells.
    fn kernel(&self) -> Option<String>;
    /// How far the clock of this record's provider is ahead of this one. The kernel is asked for its name only where the
    /// record knows a difference: not on the way of an ordinary fresh token.
    fn ahead(&self, record: &Record) -> Ahead {
        if record.clocks.is_empty() { Ahead::default() } else { record.ahead(self.kernel().as_deref()) }
    }
}

/// The system's generator of unguessable octets.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// The system has no generator. There is no substitute.
    fn fill(&self, octets: &mut [u8]) -> io::Result<()>;
}

/// One HTTP request. Redirects are never followed and no body larger than a mebibyte is read.
pub struct Request<'r> {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL: https, or http on loopback.
    pub url: &'r str,
    /// Credentials to send as headers.
    pub headers: Vec<Header>,
    /// The body and its type.
    pub body: Option<(&'static str, Secret)>,
    /// An upper bound for the whole exchange.
    pub timeout: Duration,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// No whole answer came.
#[derive(Debug)]
pub struct NoAnswer {
    /// Whether the request may have reached the other side. `false` only when it certainly did not.
    pub sent: bool,
    /// What happened, without any part of the request's body or headers.
    pub why: String,
    /// The same as a type, where it is clear.
    pub cause: Option<Box<Cause>>,
    /// What had come when the line broke, [`Reply::cut`] and all. Only for whoever looks for the one thing in it that
    /// cannot be asked for again.
    pub part: Option<Box<Reply>>,
    /// Whether it failed on this machine, for want of a thread, a descriptor or memory: then it says nothing about the
    /// network, and nobody else has to wait.
    pub system: bool,
}

impl NoAnswer {
    /// It certainly did not reach the other side.
    pub(crate) fn not_sent(why: impl Into<String>) -> Self {
        Self { sent: false, why: why.into(), cause: None, part: None, system: false }
    }
}

/// Called once there is a connection (proxy and TLS included) and before the first byte of the request. When it fails,
/// the request is not sent.
pub type Connected = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Requests and whole answers.
pub trait Http: Send + Sync {
    /// Whether requests can be made at all. Whoever is about to spend something for one asks first.
    ///
    /// # Errors
    /// What is wrong with the proxies and certificates that were named: then every request fails, unsent.
    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// [`NoAnswer`] unless a complete answer came (RFC 9112 §8: an incomplete one is no result).
    fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        self.send_when(request, Arc::new(|| Ok(())))
    }
    /// The same for a request whose being sent has to be written down first: `connected` is called exactly where
    /// [`NoAnswer::sent`] becomes true.
    ///
    /// # Errors
    /// As [`Http::send`]; also when `connected` fails, and then nothing was sent.
    fn send_when(&self, request: &Request<'_>, connected: Connected) -> Result<Answer, NoAnswer>;
}

/// An answer: what the token endpoint's reader wants, and the headers others want.
#[derive(Debug)]
pub struct Answer {
    /// Status, type, times and body.
    pub reply: Reply,
    /// Every header.
    pub headers: Headers,
}

/// A lock that is given up when this is dropped, or by the kernel when its process dies.
pub trait Held: Send {
    /// The open file that carries the lock, for handing it to another process.
    fn file(&self) -> Option<&std::fs::File>;
}

/// What came of trying for a lock.
pub enum Lock {
    /// It is ours.
    Held(Box<dyn Held>),
    /// Somebody has it.
    Busy,
    /// There is no such file.
    Absent,
    /// The file at this path has been replaced behind a mount: what we see is no longer the real one.
    Detached,
}

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
    /// A whole file of at most four mebibytes that is regular, this user's and nobody else's. `None`: not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] with the reason when it is somebody's else too; the system's.
    fn read(&self, path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>>;
    /// A file that decides something: any size up to four mebibytes, this user's or root's (with `root_only` only
    /// root's), writable by nobody else. Links are followed. `None`: not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] with the reason; the system's.
    fn read_trusted(&self, path: &Path, root_only: bool) -> io::Result<Option<Vec<u8>>>;
    /// The files in a directory, sorted. A directory that is not there has none.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, path: &Path) -> io::Result<Vec<std::path::PathBuf>>;
    /// Tries for the lock on a file of its own, creating it 0600 if need be. Never waits.
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
    /// they are. Other than that the file keeps its place on the disk, so that this needs no new room.
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
    /// [`io::ErrorKind::PermissionDenied`] when it is somebody else's; the system's.
    fn restrict(&self, path: &Path) -> io::Result<()>;
    /// Takes the permission of others to write away from a file or directory of this user's, and no other.
    ///
    /// # Errors
    /// As [`Files::restrict`].
    fn protect(&self, path: &Path) -> io::Result<()> {
        self.restrict(path)
    }
    /// Gives a file of this user's that has several names (a backup made of hard links) a place of its own under this one.
    /// Whether it had several.
    ///
    /// # Errors
    /// The system's.
    fn separate(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }
    /// Puts new content in a small file's place at once, or leaves the old: written beside it, synced, renamed. Of several
    /// writers the last one wins, and each is whole. Whoever reads first to change what is there holds a lock meanwhile
    /// (`exclusively`); a login has its own store.
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

/// Changes a small file that others may be changing too: with a lock beside it, which is waited for.
///
/// # Errors
/// The disk's, or the change's own; [`io::ErrorKind::TimedOut`] when somebody keeps the lock.
pub(crate) fn exclusively<T, E: From<io::Error>>(
    world: &World,
    path: &Path,
    change: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if let Some(dir) = path.parent() {
        world.files.make_dir(dir)?;
    }
    let lock = path.with_extension("lock");
    for _ in 0..LOCK_LOOKS {
        if let Lock::Held(_held) = world.files.lock(&lock)? {
            return change();
        }
        world.clock.sleep(LOCK_PAUSE);
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "somebody else has been changing it").into())
}

/// Such a change takes milliseconds.
const LOCK_LOOKS: u32 = 2000;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What a helper command came to.
#[derive(Debug)]
pub struct Ran {
    /// Its standard output, at most 64 KiB.
    pub output: Zeroizing<Vec<u8>>,
    /// The end of its standard error.
    pub said: String,
    /// How it ended, if not well.
    pub failure: Option<String>,
}

/// What is heard of a command while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'h> {
    /// It has been running for a second. Told once.
    Slow,
    /// More of its standard error: of a slow command as it comes, of one that worked at its end.
    Said(&'h [u8]),
}

/// Commands the configuration names.
pub trait Helper: Send + Sync {
    /// Runs a command line with `/bin/sh` in the home directory, without any credential in its environment
    /// and for at most a minute. `hear` is told of what the person in front of it should know.
    ///
    /// # Errors
    /// It cannot be started.
    fn run(&self, command: &str, hear: &mut dyn FnMut(Heard<'_>)) -> io::Result<Ran>;
    /// The value of a variable, for telling whether a helper's output may be reused.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The world of one process, as values: nothing in this crate reaches around it.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The network.
    pub http: Arc<dyn Http>,
    /// The disk.
    pub files: Arc<dyn Files>,
    /// Commands the configuration names.
    pub helper: Arc<dyn Helper>,
    /// The key stores, for logins that are sealed.
    pub keys: Arc<dyn Keys>,
    /// Takes a line for the person in front of it. The library itself prints nothing.
    pub notice: Arc<dyn Fn(&str) + Send + Sync>,
    /// Is told what lasts longer than a second. `None`: nobody listens, and nothing is measured.
    pub progress: Option<Listener>,
    /// Is told what may be worth counting. The library itself counts nothing and sends nothing.
    pub observe: Arc<dyn Fn(Event) + Send + Sync>,
}

/// What may be worth counting. What takes time is told when it begins and when it ends: whoever measures it has a
/// clock, and nothing is asked of ours in the middle of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A refresh token is about to be spent.
    RenewalBegan,
    /// It is known, and on the disk, what came of it.
    RenewalEnded {
        /// Why there is no new token, if there is none.
        failed: Option<Id>,
    },
    /// The configured helper is about to run.
    HelperBegan,
    /// It has.
    HelperEnded {
        /// Why there is no key, if there is none.
        failed: Option<Id>,
    },
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}
