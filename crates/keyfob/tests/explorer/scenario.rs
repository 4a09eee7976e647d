//! What is explored, and what came of it.

use keyfob::internals::world::simulated::{Act, Fate, Machine};

use crate::process::Actor;

/// What one exploration is about.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) machine: Machine,
    pub(crate) actors: Vec<Actor>,
    /// How many processes may die, anywhere.
    pub(crate) crashes: u8,
    /// Whether the power may be cut, once, anywhere.
    pub(crate) power: bool,
    /// What may become of requests, and of how many.
    pub(crate) fates: (u8, &'static [Fate]),
    /// Which sorts of acts may begin to fail, for as long as it is worst.
    pub(crate) failing: &'static [Sort],
    /// How often a process may be interrupted that could go on. `None`: always.
    pub(crate) interruptions: Option<u8>,
    /// Processes share the record and nothing else.
    pub(crate) containers: bool,
}

/// Sorts of acts that a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    Write,
    Sync,
    Rename,
    SyncDir,
    Remove,
}

impl Sort {
    /// What sort an act is of.
    pub(crate) fn of(act: &Act) -> Option<Self> {
        match act {
            Act::Write(..) => Some(Self::Write),
            Act::Sync(_) => Some(Self::Sync),
            Act::Rename(..) => Some(Self::Rename),
            Act::SyncDir(_) => Some(Self::SyncDir),
            Act::Remove(_) => Some(Self::Remove),
            _ => None,
        }
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Different schedules from beginning to end. Each was judged; those with a common state share its future.
    pub(crate) schedules: u128,
    /// Different states of the world and of what its processes have seen.
    pub(crate) states: usize,
    /// Acts, crashes and power cuts carried out.
    pub(crate) moves: u64,
    /// Times the real code ran.
    pub(crate) runs: usize,
}

/// A broken law and how to get there.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) law: String,
    pub(crate) schedule: Vec<String>,
}
