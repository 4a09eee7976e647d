//! Every schedule: a depth-first walk over what may happen next, that remembers where it has been.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use keyfob::internals::{
    core::Id,
    world::simulated::{Act, Disk, Fate, Outcome},
};

use crate::{
    ledger::{Ledger, is_record},
    moves::{Move, moves},
    process::{Actor, Job, Report, Wish},
    scenario::{Figures, Scenario, Sort, Violation},
    state::{Failing, Phase, Process, State, digest, id},
};

pub(crate) struct Search<'s> {
    scenario: &'s Scenario,
    actors: Vec<Actor>,
    wishes: HashMap<(usize, u64), Wish>,
    known: HashMap<u64, u128>,
    settled: HashSet<u64>,
    trail: Vec<String>,
    /// What the process said that came when everything was over.
    report: Option<Report>,
    figures: Figures,
}

type Step<T> = Result<T, String>;

/// Explores a scenario.
pub(crate) fn explore(scenario: &Scenario) -> Result<Figures, Violation> {
    let mut actors = scenario.actors.clone();
    // Whoever comes when everything is over: one for each place from which the record can be seen, and each clock.
    let mut places: Vec<(PathBuf, i64)> = Vec::new();
    for actor in &scenario.actors {
        if !places.contains(&(actor.record.clone(), actor.ahead)) {
            places.push((actor.record.clone(), actor.ahead));
            actors.push(Actor { job: Job::Renew(None), ..actor.clone() });
        }
    }
    let mut search = Search {
        scenario,
        actors,
        wishes: HashMap::new(),
        known: HashMap::new(),
        settled: HashSet::new(),
        trail: Vec::new(),
        report: None,
        figures: Figures::default(),
    };
    let result = search.begin();
    search.figures.states = search.known.len();
    search.figures.runs = search.wishes.len();
    match result {
        Ok(schedules) => Ok(Figures { schedules, ..search.figures }),
        Err(law) => Err(Violation { law, schedule: search.trail }),
    }
}

impl Search<'_> {
    fn begin(&mut self) -> Step<u128> {
        let mut state = State {
            machine: self.scenario.machine.clone(),
            ledger: Ledger::begin(&self.scenario.machine, self.scenario.containers),
            processes: Vec::new(),
            crashes: self.scenario.crashes,
            fates: self.scenario.fates.0,
            failing: Failing::Not,
            last: None,
            interruptions: self.scenario.interruptions,
        };
        // When a clock is off that nobody knows of, a pause is not what it seems.
        state.ledger.torn = self.actors.iter().any(|actor| actor.ahead != 0);
        for actor in 0..self.scenario.actors.len() {
            state.processes.push(Process::new());
            self.resume(&mut state, actor, actor)?;
        }
        self.walk(&state)
    }

    /// How many schedules there are from here.
    fn walk(&mut self, state: &State) -> Step<u128> {
        let key = state.key();
        if let Some(schedules) = self.known.get(&key) {
            return Ok(*schedules);
        }
        let mut schedules: u128 = 0;
        let moves = moves(self.scenario, state);
        let over = !moves.iter().any(|m| !matches!(m, Move::PowerCut(_)));
        for next in moves {
            let length = self.trail.len();
            let mut after = state.clone();
            if self.carry_out(&mut after, next)? {
                self.figures.moves += 1;
                schedules =
                    schedules.saturating_add(if after.processes.is_empty() { 1 } else { self.walk(&after)? });
            }
            self.trail.truncate(length);
        }
        if over {
            self.settle(state)?;
            schedules = schedules.saturating_add(1);
        }
        self.known.insert(key, schedules);
        Ok(schedules)
    }

    /// Carries a move out. `false`: there is no such move here.
    fn carry_out(&mut self, state: &mut State, next: Move) -> Step<bool> {
        let at = match next {
            Move::PowerCut(disk) => {
                self.trail.push(format!("the power is cut, leaving {}", summary(&disk)));
                let records: Vec<_> = self.actors.iter().map(|actor| actor.record.clone()).collect();
                state.machine.disk = disk;
                state.ledger = state.ledger.power_cut(&state.machine, &records);
                state.processes.clear();
                self.settle(state)?;
                return Ok(true);
            }
            Move::Step(at)
            | Move::Wake(at, _)
            | Move::Crash(at)
            | Move::Tear(at, _)
            | Move::Fate(at, _)
            | Move::Fail(at, _) => at,
        };
        if state.interrupts(at) {
            state.interruptions = state.interruptions.map(|left| left.saturating_sub(1));
        }
        state.last = Some(at);
        let act = match &state.processes[at].phase {
            Phase::Ready(act) => act.clone(),
            Phase::Asleep(time) => Act::Sleep(*time),
            Phase::Over => return Ok(false),
        };
        let name = |what: &str| format!("process {} {what} {act:?}", id(at));
        match next {
            Move::Step(_) => {
                self.trail.push(name("does"));
                self.step(state, at, at, &act, None)?;
            }
            Move::Wake(_, time_passes) => {
                self.trail.push(name("wakes from"));
                if time_passes {
                    state.machine.perform(id(at), &act);
                }
                self.see(state, at, at, act, Outcome::Done)?;
            }
            Move::Crash(_) => {
                self.trail.push(name("dies before"));
                state.crash(at);
            }
            Move::Tear(_, torn) => {
                let Act::Write(path, bytes) = &act else { return Ok(false) };
                if !state.machine.disk.tear(path, bytes, torn) {
                    return Ok(false);
                }
                self.trail.push(name(&format!("dies with {torn:?} of")));
                state.ledger.torn = true;
                state.ledger.may_have_asked = true;
                state.ledger.after(&state.machine, &self.actors[at], &act, &Outcome::Done)?;
                state.crash(at);
            }
            Move::Fate(_, fate) => {
                self.trail.push(name(&format!("meets {fate:?} with")));
                state.fates -= 1;
                state.ledger.troubled = true;
                state.ledger.unanswered += u8::from(matches!(fate, Fate::AnswerLost | Fate::RequestLost));
                state.ledger.provider_ended |= fate == Fate::Ended;
                self.step(state, at, at, &act, Some(fate))?;
            }
            Move::Fail(_, sort) => {
                self.trail.push(name("is refused"));
                // What no place on the disk took is an answer nobody has.
                state.ledger.unanswered += u8::from(state.failing == Failing::Not);
                state.failing = Failing::Now(sort);
                state.ledger.troubled = true;
                state.ledger.torn |= sort == Sort::Write;
                state.ledger.may_have_asked |= sort == Sort::Write;
                let outcome = state.machine.disk.fail(&act);
                state.ledger.after(&state.machine, &self.actors[at], &act, &outcome)?;
                self.see(state, at, at, act, outcome)?;
            }
            Move::PowerCut(_) => {}
        }
        Ok(true)
    }

    /// One act as it should be.
    fn step(
        &mut self,
        state: &mut State,
        at: usize,
        actor: usize,
        act: &Act,
        fate: Option<Fate>,
    ) -> Step<()> {
        if let Failing::Now(sort) = state.failing
            && Sort::of(act) == Some(sort)
        {
            state.failing = Failing::Over;
        }
        let now = state.machine.now();
        let outcome = match (act, fate) {
            (Act::Send(form), fate) => {
                state.ledger.before_sending(&state.machine, &self.actors[actor], form)?;
                state.machine.server.answer(form, now, fate.unwrap_or(Fate::Arrives))
            }
            (Act::Connect, Some(fate)) => state.machine.server.answer("", now, fate),
            _ => state.machine.perform(id(at), act),
        };
        state.ledger.after(&state.machine, &self.actors[actor], act, &outcome)?;
        state.processes[at].answered(&outcome);
        self.see(state, at, actor, act.clone(), outcome)
    }

    /// A process sees what came of its act, and goes on to the next.
    fn see(&mut self, state: &mut State, at: usize, actor: usize, act: Act, outcome: Outcome) -> Step<()> {
        let view = state.view(at);
        let process = &mut state.processes[at];
        match act {
            Act::Read(ref path) if is_record(path) => process.seen.0 = Some(view.0),
            Act::Lock(_) | Act::LockExisting(_) => process.seen.1 = Some(view.1),
            Act::Sleep(_) => process.seen = (None, None),
            _ => {}
        }
        process.digest = digest(&(process.digest, &act, &outcome));
        Arc::make_mut(&mut process.history).push((act, outcome));
        self.resume(state, at, actor)
    }

    /// Where the real code goes from what it has seen. Looking at the clock is no act of its own: time stands
    /// still while anybody can go on.
    fn resume(&mut self, state: &mut State, at: usize, actor: usize) -> Step<()> {
        loop {
            let process = &mut state.processes[at];
            let wish = match self.wishes.get(&(actor, process.digest)) {
                Some(wish) => wish.clone(),
                None => {
                    let wish = self.actors[actor].drive(&process.history);
                    self.wishes.insert((actor, process.digest), wish.clone());
                    wish
                }
            };
            match wish {
                Wish::Act(act @ (Act::Now | Act::Random(_))) => {
                    let outcome = match state.machine.perform(id(at), &act) {
                        Outcome::Millis(now) => Outcome::Millis(now + self.actors[actor].ahead * 1000),
                        outcome => outcome,
                    };
                    process.digest = digest(&(process.digest, &act, &outcome));
                    Arc::make_mut(&mut process.history).push((act, outcome));
                }
                Wish::Act(Act::Sleep(time)) => {
                    process.phase = Phase::Asleep(time);
                    return Ok(());
                }
                Wish::Act(act) => {
                    process.phase = Phase::Ready(act);
                    return Ok(());
                }
                Wish::End(report) => {
                    let answered = process.answer.take();
                    let left = state.machine.disk.holds(id(at)) && !state.machine.disk.pretends_to_lock;
                    process.end();
                    if left {
                        return Err("a process ended with a lock in hand".into());
                    }
                    self.trail.push(format!("process {} ends with {report:?}", id(at)));
                    if state.failing == Failing::Not || actor >= self.scenario.actors.len() {
                        state.ledger.was_kept(&answered)?;
                    }
                    if actor < self.scenario.actors.len() {
                        state.ledger.report(&state.machine, &report)?;
                        return Ok(());
                    }
                    process.digest = digest(&report);
                    process.history = Arc::new(Vec::new());
                    self.report = Some(report);
                    return Ok(());
                }
            }
        }
    }

    /// Everything is over. Whoever comes now is given a working token, and so is whoever comes after that one
    /// has expired; or is told the truth.
    fn settle(&mut self, state: &State) -> Step<()> {
        let key = digest(&(&state.machine, &state.ledger));
        if self.settled.contains(&key) {
            return Ok(());
        }
        for fresh in self.scenario.actors.len()..self.actors.len() {
            let mut state = state.clone();
            state.failing = Failing::Over;
            for hours in [0, 2] {
                state.machine.millis += hours * 3_600_000;
                self.trail.push(format!("{hours} hours later"));
                let mut report = self.fresh(&mut state, fresh)?;
                for _ in 0..3 {
                    if matches!(report, Report::Failed(Id::CoolingDown | Id::OutcomeUnknown)) {
                        state.machine.millis += 61 * 60_000;
                        report = self.fresh(&mut state, fresh)?;
                    }
                }
                state.ledger.settled(&state.machine, &self.actors[fresh], &report)?;
            }
        }
        self.settled.insert(key);
        Ok(())
    }

    fn fresh(&mut self, state: &mut State, actor: usize) -> Step<Report> {
        state.processes = vec![Process::new()];
        self.report = None;
        self.resume(state, 0, actor)?;
        while self.report.is_none() {
            match state.processes[0].phase.clone() {
                Phase::Ready(act) => {
                    self.trail.push(format!("the next process does {act:?}"));
                    self.step(state, 0, actor, &act, None)?;
                }
                Phase::Asleep(time) => {
                    let act = Act::Sleep(time);
                    state.machine.perform(id(0), &act);
                    self.see(state, 0, actor, act, Outcome::Done)?;
                }
                Phase::Over => break,
            }
        }
        Ok(self.report.take().unwrap())
    }
}

fn summary(disk: &Disk) -> String {
    let file = |path: &std::path::Path| format!("{}: {:?}", path.display(), disk.bytes(path));
    disk.paths().map(file).collect::<Vec<_>>().join(", ")
}
