//! The calls of a run, as recorded by strace(1).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// One place at which something can fail: the how-manieth call of a name. strace counts for each thread by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) nth: usize,
    /// The arguments of the call, for the table of errors and for readers of a failure.
    pub(crate) words: String,
    /// Not in the first thread: there each thread that comes so far meets it.
    pub(crate) elsewhere: bool,
}

/// The calls of one run.
#[derive(Default)]
pub(crate) struct Trace {
    /// Those before `main` of ours: the dynamic loader, the C library, the start of Rust.
    pub(crate) start: Vec<Place>,
    /// The others.
    pub(crate) own: Vec<Place>,
}

/// The first call that `main` makes.
const MAIN: &str = "PR_SET_DUMPABLE";
/// A wait is repeated as often as it takes: of these, only the first few.
const WAITS: usize = 3;

/// Reads what `strace -f -o` wrote. `threads`: not of the first alone.
pub(crate) fn read(log: &Path, threads: bool) -> Trace {
    let text = fs::read_to_string(log).expect("a trace");
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut first, mut begun, mut over) = (None, false, false);
    let mut trace = Trace::default();
    let mut others: Vec<Place> = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let Some((name, words)) = call.split_once('(').filter(|(name, _)| !name.contains(' ')) else {
            continue;
        };
        let elsewhere = thread != *first.get_or_insert(thread);
        let nth = counts.entry((thread, name)).or_default();
        *nth += 1;
        // The program's own start is no call of its. What it is replaced by at the end of `exec` is another program.
        if over || elsewhere && !threads || (name, *nth) == ("execve", 1) || name == "futex" && *nth > WAITS {
            continue;
        }
        begun |= words.contains(MAIN);
        let place = Place { name: name.to_owned(), nth: *nth, words: words.to_owned(), elsewhere };
        if elsewhere {
            others.push(place);
        } else if begun {
            trace.own.push(place);
        } else {
            trace.start.push(place);
        }
        over = !elsewhere && name == "execve" && words.contains(" = 0");
    }
    // One that the first thread comes to as well would fail there, and before.
    let mut seen: BTreeSet<_> =
        trace.start.iter().chain(&trace.own).map(|place| (place.name.clone(), place.nth)).collect();
    others.retain(|place| seen.insert((place.name.clone(), place.nth)));
    trace.own.append(&mut others);
    trace
}

/// Whether strace wrote that it tampered with a call.
pub(crate) fn met(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("(INJECTED)"))
}
