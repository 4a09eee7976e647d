//! A simulated world for tests: a disk that can lose writes, a strict provider, a clock set by hand.
//!
//! Every contact with the outside is an [`Act`], every result an [`Outcome`], and acts change a [`Machine`]. A machine
//! is a value that is cloned, hashed and compared, so that a test can try one future, go back and try the next. A
//! [`Stage`] connects a [`World`] to a machine: [`Shared`] performs acts at once; the explorer's stage decides which
//! process acts next, and which one dies.
//!
//! Directories always exist and are safe, there are no links, and helpers cannot be run.

mod actor;
mod bytes;
mod change;
mod disk;
mod keys;
mod server;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyfob_core::Timestamp;

pub use bytes::{Bytes, Torn};
pub use disk::Disk;
pub use keys::Vault;
pub use server::{Fate, Odd, Said, Server, Token};

use crate::{store::sealing::Seal, world::World};

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
    /// Somebody has the lock.
    Busy,
    /// There is no such file to lock.
    Absent,
    /// The provider's whole answer, or that of whoever answered in its place.
    Answer(Said),
    /// No answer came to a request that was sent.
    NoAnswer,
    /// The time.
    Millis(i64),
    /// Random octets, all the same.
    Octet(u8),
    /// The system refused.
    Failed(io::ErrorKind),
}

/// One machine and the provider it talks to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// Its disk, and the locks on it.
    pub disk: Disk,
    /// The provider.
    pub server: Server,
    /// Wall time in milliseconds.
    pub millis: i64,
    /// What the next random octets are.
    pub random: u8,
}

impl Machine {
    /// A machine with nothing on its disk at `now`, and a provider that knows nobody.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { disk: Disk::default(), server: Server::default(), millis: now.0 * 1000, random: 0 }
    }

    /// Wall time in seconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.millis.div_euclid(1000))
    }

    /// Performs an act of a process: all of it, at once. Sleeping moves the clock.
    pub fn perform(&mut self, process: u32, act: &Act) -> Outcome {
        match act {
            Act::Send(form) => self.server.answer(form, self.now(), Fate::Arrives),
            Act::Connect => Outcome::Done,
            Act::Now => Outcome::Millis(self.millis),
            Act::Sleep(time) => {
                self.millis += i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                Outcome::Done
            }
            Act::Random(_) => {
                self.random = self.random.wrapping_add(1);
                Outcome::Octet(self.random)
            }
            _ => self.disk.perform(process, act),
        }
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

/// The world of one process on this stage.
#[must_use]
pub fn world(stage: &Arc<dyn Stage>) -> World {
    let actor = Arc::new(actor::Actor(stage.clone()));
    World {
        clock: actor.clone(),
        entropy: actor.clone(),
        http: actor.clone(),
        files: actor.clone(),
        helper: actor,
        seal: Seal::new(Arc::new(Vault::default())),
        notice: Arc::new(|_| {}),
        observe: Arc::new(|_| {}),
    }
}

/// A machine for several processes whose acts simply happen, in the order in which they come.
///
/// ```
/// use keyfob::{Timestamp, world::simulated::{Machine, Shared}};
///
/// let machine = Shared::new(Machine::new(Timestamp(1_000_000)));
/// let world = machine.process(1);
/// world.clock.sleep(std::time::Duration::from_secs(5));
/// assert_eq!(machine.look(|m| m.now()), Timestamp(1_000_005));
/// ```
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    /// Shares a machine.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// The world of one of its processes. Locks belong to processes.
    #[must_use]
    pub fn process(&self, id: u32) -> World {
        world(&(Arc::new(Process { machine: self.clone(), id }) as Arc<dyn Stage>))
    }

    /// Looks at the machine, or changes it, between two acts.
    pub fn look<T>(&self, at: impl FnOnce(&mut Machine) -> T) -> T {
        at(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Process {
    machine: Shared,
    id: u32,
}

impl Stage for Process {
    fn act(&self, act: Act) -> Outcome {
        self.machine.look(|machine| machine.perform(self.id, &act))
    }
}
