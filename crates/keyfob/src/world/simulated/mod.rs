//! A simulated world for tests: a disk that can lose writes, a strict provider, a clock set by hand.
//!
//! Every contact with the outside is an [`Act`], every result an [`Outcome`], and acts change a [`Machine`]. A machine
//! is a value that is cloned, hashed and compared, so that a test can try one future, go back and try the next. A
//! [`Stage`] connects a [`World`] to a machine: [`Shared`] performs acts at once; the explorer's stage decides which
//! process acts next, and which one dies.
//!
//! Directories always exist and are safe, there are no links, and helpers cannot be run.

mod act;
mod actor;
mod bytes;
mod change;
mod disk;
mod keys;
mod server;

use std::sync::{Arc, Mutex, PoisonError};

use keyfob_core::Timestamp;

pub use act::{Act, Outcome, Said, Stage};
pub use bytes::{Bytes, Torn};
pub use disk::Disk;
pub use keys::Vault;
pub use server::{Fate, Odd, Server, Token};

use crate::world::World;

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
    /// A machine with nothing on its disk at `now`, and a provider without accounts.
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
        keys: Arc::new(Vault::default()),
        notice: Arc::new(|_| {}),
        progress: None,
        observe: Arc::new(|_| {}),
    }
}

/// A machine for several processes whose acts simply happen, in the order in which they come.
///
/// ```
/// use keyfob::{Timestamp, internals::world::simulated::{Machine, Shared}};
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
