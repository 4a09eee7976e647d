//! All contact with the outside, as small traits. [`crate::world::system`] implements them for the real system, one
//! file each; [`simulated`] for tests, behind the feature `simulation`.

pub mod breach;
pub mod failure;
mod files;
pub mod headers;
mod http;
mod keys;
#[cfg(feature = "simulation")]
pub mod simulated;
pub mod system;
pub mod waiting;

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use keyfob_core::{Ahead, Id, Record, Timestamp};
use zeroize::Zeroizing;

use crate::world::waiting::Listener;

pub use files::{Files, Held, Lock, Mark};
pub use http::{Answer, Connected, Http, NoAnswer, Request};
pub use keys::{KeyTrouble, Keys, WrappingKey};

/// Wall time and waiting.
pub trait Clock: Send + Sync {
    /// Wall time in milliseconds since 1970. May go backwards; nothing here relies on it blindly.
    fn millis(&self) -> i64;
    /// Wall time in seconds, as the wire counts it.
    fn now(&self) -> Timestamp {
        Timestamp(self.millis().div_euclid(1000))
    }
    /// Time since some moment before this process began; it never goes back, and includes time the machine slept.
    /// Durations are measured with it, by difference: a wait that adds up its pauses misses the time between them.
    fn stopwatch(&self) -> Duration {
        Duration::from_millis(self.millis().try_into().unwrap_or(0))
    }
    /// Waits.
    fn sleep(&self, time: Duration);
    /// A name for the running kernel, whose clock all its processes and containers share. `None` if it is
    /// unknown.
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

/// Changes a small file that others may be changing too: with a lock beside it, which is waited for.
///
/// # Errors
/// The disk's, or the change's own; [`io::ErrorKind::TimedOut`] if the lock stays held.
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

/// The result of a helper command.
#[derive(Debug)]
pub struct Ran {
    /// Its standard output, at most 64 KiB.
    pub output: Zeroizing<Vec<u8>>,
    /// The end of its standard error.
    pub said: String,
    /// How it ended, if not well.
    pub failure: Option<String>,
}

/// What a command reports while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'h> {
    /// It has been running for a second. Reported once.
    Slow,
    /// More of its standard error: of a slow command as it comes, of one that worked at its end.
    Said(&'h [u8]),
}

/// Commands the configuration names.
pub trait Helper: Send + Sync {
    /// Runs a command line with `/bin/sh` in the home directory, without any credential in its environment
    /// and for at most a minute. `hear` is given what the user should know meanwhile.
    ///
    /// # Errors
    /// It cannot be started.
    fn run(&self, command: &str, hear: &mut dyn FnMut(Heard<'_>)) -> io::Result<Ran>;
    /// The value of a variable, for deciding whether a helper's output may be reused.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The world of one process, as values: nothing in this crate bypasses it.
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
    /// Receives a line for the user. The library itself prints nothing.
    pub notice: Arc<dyn Fn(&str) + Send + Sync>,
    /// Is notified of what lasts longer than a second. `None`: there is no listener, and nothing is measured.
    pub progress: Option<Listener>,
    /// Is notified of what may be worth counting. The library itself counts nothing and sends nothing.
    pub observe: Arc<dyn Fn(Event) + Send + Sync>,
}

/// What may be worth counting. What takes time is reported when it begins and when it ends: the observer has its own
/// clock, and ours is not read in the middle of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A refresh token is about to be spent.
    RenewalBegan,
    /// Its outcome is known, and on the disk.
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
