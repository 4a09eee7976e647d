//! docs/system-calls.md.

use std::{collections::BTreeMap, fmt::Write};

use crate::{errors::ERRORS, judge::Outcome, stage::Act};

/// Row and column of one table.
type Cell = (String, String);

/// What is counted.
#[derive(Default)]
pub(crate) struct Tally {
    /// By act, by call and error, by outcome.
    cells: BTreeMap<Act, BTreeMap<Cell, BTreeMap<Outcome, usize>>>,
    /// By act, by id.
    ids: BTreeMap<Act, BTreeMap<String, usize>>,
    pub(crate) runs: usize,
}

impl Tally {
    pub(crate) fn add(
        &mut self,
        act: Act,
        call: &str,
        error: Option<&str>,
        outcome: Outcome,
        id: Option<String>,
    ) {
        let cell = (call.to_owned(), error.unwrap_or("killed").to_owned());
        let cells = self.cells.entry(act).or_default();
        *cells.entry(cell).or_default().entry(outcome).or_default() += 1;
        if let Some(id) = id {
            *self.ids.entry(act).or_default().entry(id).or_default() += 1;
        }
        self.runs += 1;
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::from(HEAD);
        for (act, cells) in &self.cells {
            let _ = write!(page, "\n## {}\n\n| call | {} | killed |\n|---|", title(*act), ERRORS.join(" | "));
            page.push_str(&"---|".repeat(ERRORS.len() + 1));
            let mut calls: Vec<_> = cells.keys().map(|(call, _)| call).collect();
            calls.dedup();
            for call in calls {
                let _ = write!(page, "\n| `{call}` |");
                for error in ERRORS.iter().chain(&["killed"]) {
                    let found = cells.get(&(call.clone(), (*error).to_owned()));
                    let words: Vec<_> = Outcome::ALL
                        .iter()
                        .filter_map(|outcome| Some(format!("{} {}", found?.get(outcome)?, outcome.word())))
                        .collect();
                    let _ = write!(page, " {} |", words.join(", "));
                }
            }
            page.push('\n');
            if let Some(ids) = self.ids.get(act) {
                let words: Vec<_> = ids.iter().map(|(id, n)| format!("`{id}` {n}")).collect();
                let _ = write!(page, "\nTold as: {}.\n", words.join(", "));
            }
        }
        page
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let all = self.cells.values().flat_map(BTreeMap::values).flatten();
        let mut sums = BTreeMap::new();
        for (outcome, n) in all {
            *sums.entry(outcome).or_insert(0) += n;
        }
        let words: Vec<_> = sums.iter().map(|(outcome, n)| format!("{n} {}", outcome.word())).collect();
        format!("{} runs: {}", self.runs, words.join(", "))
    }
}

fn title(act: Act) -> String {
    let title = act.title();
    title[..1].to_uppercase() + &title[1..]
}

const HEAD: &str = "# System calls that fail

<!-- Printed by: cargo test -p keyfob-tests --features traced --test system_calls -- --all > docs/system-calls.md -->

Each system call of each command fails once, by itself, with each error it can have (the table of those is
`tests/system_calls/errors.rs`), and at each the process is killed once. After each run the next
command is run, and the provider is asked. Each time the home and the login are new. A number says how many places of
that name came to this outcome:

- **done**: it did what it is for, with the failure inside it (an interrupted call is repeated, what is not needed is
  left out).
- **told**: it ended with a documented exit code and three lines. The login is as good as before: the next call proves
  it.
- **kept**: it ended without a word, killed, or ended by the runtime for want of memory. The login is as good as
  before.
- **in flight**: the process was killed, or its connection failed, between the provider's rotation and the disk. The
  provider here is strict; the next call says that the outcome is unknown, or what the provider says then. Only a
  renewal can meet it, only there, and nobody can prevent it ([DESIGN.md](../DESIGN.md#what-cannot-be-prevented)).

Anything else makes the command fail: a login lost, a panic, exit 70, an exit code that is not its id's, a secret in a
word, a wait of more than 25 seconds.

Memory is the runtime's: where `mmap` or `brk` say no, Rust ends the process (SIGABRT), and that is judged as a kill.
Before `main` the loader and the runtime speak for themselves (\"told\" is an exit code of theirs), and nothing of ours
has been touched. strace makes a call fail by not making it, so that an error of `close` cannot be staged: it closes
whatever it answers. It counts for each thread by itself, so that a call of a second thread is met where its number is not
an earlier one's before.
";
