//! Each system call of each command fails once, and at each the process is killed once: the command succeeds, reports
//! the error, or keeps the login; it never loses one, never panics, and never reports an internal error.
//!
//! `cargo test -p keyfob-tests --features traced --test system_calls` tries a part of them; with `-- --all` it tries
//! all and prints docs/system-calls.md. `--only token` and so on takes the commands whose name has that word, `--told`
//! lists how each error was reported.
#![expect(
    clippy::disallowed_methods,
    reason = "it starts, stops and times real processes: that is what it is about"
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]

mod errors;
mod judge;
mod page;
mod stage;
mod trace;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use judge::{Blow, judge};
use page::Tally;
use stage::{Act, Stage};
use trace::{Place, Trace};

/// One run that is to be made.
struct Try {
    act: Act,
    place: Place,
    error: Option<&'static str>,
    early: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let has = |word: &str| words.iter().any(|found| found == word);
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    let acts = Act::ALL.into_iter().filter(|act| only.is_none_or(|only| act.title().contains(only.as_str())));
    let mut stage = Stage::new();
    let mut tries = Vec::new();
    for act in acts {
        let trace = record(&mut stage, act);
        let (places, early) = if act == Act::Start { (trace.start, true) } else { (trace.own, false) };
        let chosen = if has("--all") { places } else { some_of(places) };
        for place in chosen {
            let kill = if early { None } else { Some(None) };
            let kinds = errors::of(&place.name, &place.words).iter().copied().map(Some).chain(kill);
            tries.extend(kinds.map(|error| Try { act, place: place.clone(), error, early }));
        }
    }
    let (tally, faults) = each_system_call_fails_once(stage, &tries, has("--told"));
    if has("--all") {
        print!("{}", tally.markdown());
    }
    eprintln!("system calls: {}, {} not as promised", tally.summary(), faults.len());
    for fault in &faults {
        eprintln!("  {fault}");
    }
    if faults.is_empty() && tally.runs > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The calls of a run in which nothing fails.
fn record(stage: &mut Stage, act: Act) -> Trace {
    stage.reset(act);
    let came = stage.run(act, &["-f".into()], false);
    assert_eq!(came.ran.code, Some(0), "{act:?}: {came:?}");
    let trace = trace::read(&stage.log(), act.has_threads());
    assert!(
        !trace.own.is_empty() && trace.start.len() > 20,
        "{act:?}: the first call of main is not in the trace"
    );
    trace
}

/// The last place of each name, and every fifth of the others.
fn some_of(places: Vec<Place>) -> Vec<Place> {
    let mut last = BTreeMap::new();
    for place in &places {
        let nth = last.entry(place.name.clone()).or_insert(place.nth);
        *nth = place.nth.max(*nth);
    }
    let mut at = 0;
    let chosen = |place: &Place| {
        at += 1;
        last[&place.name] == place.nth || at % 5 == 0
    };
    places.into_iter().filter(chosen).collect()
}

/// Two at once: a run is mostly waiting.
fn each_system_call_fails_once(stage: Stage, tries: &[Try], tell: bool) -> (Tally, Vec<String>) {
    let (tally, faults, at) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let work = |mut stage: Stage| {
        while let Some(try_) = tries.get(at.fetch_add(1, Ordering::Relaxed)) {
            one(&mut stage, try_, tell, &tally, &faults);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work(stage));
        scope.spawn(|| work(Stage::new()));
    });
    let mut faults = faults.into_inner().expect("whole");
    faults.sort();
    (tally.into_inner().expect("whole"), faults)
}

fn one(stage: &mut Stage, try_: &Try, tell: bool, tally: &Mutex<Tally>, faults: &Mutex<Vec<String>>) {
    let Try { act, place, error, early } = try_;
    let what = error.map_or("signal=SIGKILL".to_owned(), |error| format!("error={error}"));
    let mut words = vec!["-e".to_owned(), format!("inject={}:{what}:when={}", place.name, place.nth)];
    if place.elsewhere {
        words.push("-f".into());
    }
    stage.reset(*act);
    let before = stage.server.grants();
    let came = stage.run(*act, &words, place.elsewhere);
    // What a run does is not the same each time: a place that was not reached is no verdict.
    if error.is_some() && !trace::met(&stage.log()) || error.is_none() && came.signal.is_none() {
        return;
    }
    let blow = Blow { act: *act, place, error: *error, early: *early };
    let verdict = judge(stage, &blow, before, &came);
    let words: String = place.words.chars().take(100).collect();
    let line = format!(
        "{}: {} {} {}: {{}} [{}({words}] {:?} {:?}",
        act.title(),
        place.name,
        place.nth,
        error.unwrap_or("killed"),
        place.name,
        came.ran.out,
        came.ran.err
    );
    match verdict {
        Ok((outcome, id)) => {
            if tell && let Some(id) = &id {
                eprintln!("{}", line.replace("{}", id));
            }
            tally.lock().expect("whole").add(*act, &place.name, *error, outcome, id);
        }
        Err(why) => {
            let fault = line.replace("{}", &why);
            eprintln!("FAULT {fault}");
            faults.lock().expect("whole").push(fault);
        }
    }
}
