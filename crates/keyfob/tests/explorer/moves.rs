//! What may happen next.

use keyfob::internals::world::simulated::{Act, Disk, Fate, Torn};

use crate::{
    scenario::{Scenario, Sort},
    state::{Failing, Phase, Process, State, id},
};

/// How far a write may come before its process dies. Nothing and all are the deaths before it and after it.
const TORN: &[Torn] = &[Torn::Created, Torn::Quarters(1), Torn::Quarters(2), Torn::Quarters(3), Torn::Tail];

pub(crate) enum Move {
    Step(usize),
    Wake(usize, bool),
    Crash(usize),
    Tear(usize, Torn),
    Fate(usize, Fate),
    Fail(usize, Sort),
    PowerCut(Disk),
}

/// Everything that may happen next in this state.
pub(crate) fn moves(scenario: &Scenario, state: &State) -> Vec<Move> {
    let mut moves = Vec::new();
    let mut awake = false;
    for at in 0..state.processes.len() {
        let can_go_on = state.can_go_on(at);
        awake |= can_go_on;
        if !can_go_on || state.interrupts(at) && state.interruptions == Some(0) {
            continue;
        }
        match &state.processes[at].phase {
            Phase::Asleep(_) => moves.push(Move::Wake(at, state.machine.disk.holds(id(at)))),
            Phase::Ready(act) => {
                moves.push(Move::Step(at));
                if state.fates > 0 {
                    let here = |fate: &&Fate| match act {
                        Act::Connect => **fate == Fate::NotSent,
                        Act::Send(_) => **fate != Fate::NotSent,
                        _ => false,
                    };
                    moves.extend(scenario.fates.1.iter().filter(here).map(|fate| Move::Fate(at, *fate)));
                }
                if let Some(sort) = Sort::of(act) {
                    match state.failing {
                        Failing::Not if scenario.failing.contains(&sort) => {
                            moves.push(Move::Fail(at, sort));
                        }
                        Failing::Now(same) if same == sort => moves.push(Move::Fail(at, sort)),
                        _ => {}
                    }
                }
                if state.crashes > 0 && matches!(act, Act::Write(..)) {
                    moves.extend(TORN.iter().map(|torn| Move::Tear(at, *torn)));
                }
            }
            Phase::Over => {}
        }
        if state.crashes > 0 {
            moves.push(Move::Crash(at));
        }
    }
    if !awake {
        let asleep = |p: &Process| matches!(p.phase, Phase::Asleep(_));
        moves.extend(
            (0..state.processes.len())
                .filter(|at| asleep(&state.processes[*at]))
                .map(|at| Move::Wake(at, true)),
        );
    }
    if scenario.power {
        moves.extend(state.machine.disk.after_power_cut().into_iter().map(Move::PowerCut));
    }
    moves
}
