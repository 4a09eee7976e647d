//! Where an exploration stands: the world, its processes, and what may still go wrong.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use keyfob::internals::world::simulated::{Act, Machine, Outcome};

use crate::{
    ledger::{Ledger, is_record},
    process::History,
    scenario::Sort,
};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Failing {
    Not,
    Now(Sort),
    Over,
}

#[derive(Clone, Hash)]
pub(crate) enum Phase {
    Ready(Act),
    Asleep(Duration),
    Over,
}

#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) history: Arc<History>,
    pub(crate) digest: u64,
    pub(crate) phase: Phase,
    /// What the record and the locks looked like when it looked at them, since it last slept.
    pub(crate) seen: (Option<u64>, Option<u64>),
    /// The refresh token of the answer it was given, if it was given one.
    pub(crate) answer: Option<String>,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) ledger: Ledger,
    pub(crate) processes: Vec<Process>,
    pub(crate) crashes: u8,
    pub(crate) fates: u8,
    pub(crate) failing: Failing,
    pub(crate) last: Option<usize>,
    pub(crate) interruptions: Option<u8>,
}

pub(crate) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            history: Arc::new(Vec::new()),
            digest: 0,
            phase: Phase::Over,
            seen: (None, None),
            answer: None,
        }
    }

    pub(crate) fn end(&mut self) {
        self.phase = Phase::Over;
        self.history = Arc::new(Vec::new());
        self.digest = 0;
        self.seen = (None, None);
        self.answer = None;
    }

    /// Remembers the token an answer hands it.
    pub(crate) fn answered(&mut self, outcome: &Outcome) {
        let Outcome::Answer(said) = outcome else { return };
        let token = said.body.split('"').find(|part| part.starts_with("refresh-"));
        self.answer = token.map(str::to_owned).or(self.answer.take());
    }
}

impl State {
    /// Whether a process has anything to do now. One that sleeps with a lock in hand is about to try again. One
    /// that sleeps without waits for a change: to look again before there is one would show it the same.
    pub(crate) fn can_go_on(&self, at: usize) -> bool {
        match &self.processes[at].phase {
            Phase::Ready(_) => true,
            Phase::Asleep(_) => {
                self.machine.disk.holds(id(at)) || self.differs_from(at, self.processes[at].seen)
            }
            Phase::Over => false,
        }
    }

    pub(crate) fn interrupts(&self, at: usize) -> bool {
        self.last.is_some_and(|last| last != at && self.can_go_on(last))
    }

    pub(crate) fn crash(&mut self, at: usize) {
        self.machine.disk.crash(id(at));
        self.processes[at].end();
        self.crashes -= 1;
        self.ledger.unanswered += 1;
        self.ledger.troubled = true;
    }

    /// What this process would see while it waits: the record, and which locks others have.
    pub(crate) fn view(&self, at: usize) -> (u64, u64) {
        let disk = &self.machine.disk;
        let records: Vec<_> =
            disk.paths().filter(|path| is_record(path)).map(|path| disk.bytes(path)).collect();
        (digest(&records), digest(&disk.locked_by_others(id(at)).collect::<Vec<_>>()))
    }

    fn differs_from(&self, at: usize, seen: (Option<u64>, Option<u64>)) -> bool {
        let view = self.view(at);
        seen.0.is_some_and(|seen| seen != view.0) || seen.1.is_some_and(|seen| seen != view.1)
    }

    pub(crate) fn key(&self) -> u64 {
        let processes: Vec<_> =
            self.processes.iter().map(|p| (p.digest, &p.phase, p.seen, &p.answer)).collect();
        let budget = (self.crashes, self.fates, self.failing, self.interruptions);
        let last = self.interruptions.and(self.last);
        digest(&(&self.machine, &self.ledger, processes, budget, last))
    }
}

/// Processes count from one.
pub(crate) fn id(at: usize) -> u32 {
    u32::try_from(at).unwrap() + 1
}
