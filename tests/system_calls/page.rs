//! Generates docs/system-calls.md.

use std::{collections::BTreeMap, fmt::Write};

use crate::{errors::ERRORS, judge::Outcome, stage::Act};

/// Row and column of one table.
type Cell = (String, String);

/// The counts.
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

Every system call of every command below fails once, alone, with each error it can have (`tests/system_calls/errors.rs`),
and at every call the process is killed once. Each run has a new home and a new login. After it the next command is run,
and the provider is asked. The command that prints this page takes some minutes on two cores and fails when a login was
lost, or at a panic, exit code 70, an exit code that is not its id's, a message that does not say why, a secret in a
message, or a wait of more than 25 seconds. CI runs a part of it.

A number is how many calls of that name had this outcome:

- **done**: the command did what it is for. What was interrupted (`EINTR`) is repeated, what is not needed is left out.
- **told**: it ended with a documented exit code and three lines that hold the system's own words. The login is as good as
  before: the next command shows it.
- **kept**: it ended without a word, because it was killed, or because the runtime ends a process that gets no memory
  (`mmap`, `brk`: SIGABRT, the same as a kill). The login is as good as before.
- **in flight**: the process was killed, or its connection failed, after the provider had rotated the token and before the
  answer was on the disk. The provider here is strict, so the login ends; it is reported as an unknown outcome. Only a
  renewal can come to this, and no client can prevent it ([DESIGN.md](../DESIGN.md#what-cannot-be-prevented)).

What the page does not cover:

- Before `main` the loader and the runtime report errors in their own words; \"told\" there is any exit code.
- strace makes a call fail by leaving it out. So the errors of `close` are not here: it closes whatever it answers.
- Nor are those of `futex`: which of its calls wakes another thread is a matter of timing, and a wake-up cannot fail.
- strace counts calls for each thread. A call of another thread is met where the first thread makes fewer of that name.
";
