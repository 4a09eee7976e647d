//! Every directory of `tests/cases` is one test: its input, the commands to run, and everything that must result. Each
//! also checks that no secret appears where none is expected.
#![expect(clippy::disallowed_methods, reason = "tests start the real command and read the clock to give up")]

mod blanks;
mod case;
mod child;
mod descriptors;
mod expect;
mod laws;
mod leaks;
mod processes;
mod rejected;
mod stage;

use std::{panic, sync::Mutex, thread, time::Instant};

use crate::case::Case;

/// Most of a case is waiting: more of them than there are processors.
const AT_ONCE: usize = 4;

/// `CASE=part-of-a-name cargo test -p keyfob-tests --test cases every_case` plays some of them.
#[test]
fn every_case_is_as_it_says() {
    play(case::all(), false);
}

/// The vendor's provider takes JSON alone, and an access token only with a flag beside it. What asks nothing of a provider
/// cannot tell it from another.
#[test]
fn every_case_that_asks_a_provider_is_the_same_at_the_vendors() {
    play(case::all().into_iter().filter(Case::asks).collect(), true);
}

#[expect(clippy::print_stdout, reason = "how long each took, for whoever looks for the slow ones")]
fn play(cases: Vec<Case>, vendor: bool) {
    let chosen = std::env::var("CASE").unwrap_or_default();
    let mut cases: Vec<Case> = cases.into_iter().filter(|case| case.name.contains(&chosen)).collect();
    assert!(vendor || !cases.is_empty(), "no case is named so");
    // The last of the list is the first to be played.
    cases.sort_by_key(|case| case.slow);
    let count = cases.len();
    let begun = Instant::now();
    let queue = Mutex::new(cases);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || queue.lock().expect("a queue").pop();
                while let Some(case) = next() {
                    let begun = Instant::now();
                    let problems = panic::catch_unwind(|| stage::play(&case, vendor))
                        .unwrap_or_else(|_| vec!["the runner gave up; see above".into()]);
                    println!("{:6.1} s  {}", begun.elapsed().as_secs_f32(), case.name);
                    if !problems.is_empty() {
                        failures.lock().expect("a list").push((case.name, case.about, problems));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("a list");
    failures.sort();
    let told: String = failures
        .iter()
        .map(|(name, about, problems)| format!("\n{name}: {about}\n    {}\n", problems.join("\n    ")))
        .collect();
    println!("{count} cases in {:?}", begun.elapsed());
    assert!(failures.is_empty(), "{} of {count} cases failed\n{told}", failures.len());
}
