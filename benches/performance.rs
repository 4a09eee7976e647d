//! Every figure of docs/performance.md, each as a ratio taken in one run:
//!
//! ```text
//! cargo bench -p keyfob-bench                  # all of them
//! cargo bench -p keyfob-bench -- token storm   # some
//! ```
//!
//! Alternatives run in turns (A B C A B C …), so that other load on the machine affects all of them equally. Nothing is
//! asserted about times: a benchmark must not fail because the machine is busy.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock, starts what it measures and prints what it found"
)]

mod agent;
mod federation;
mod memory;
mod provider;
mod proxy;
mod renewal;
mod size;
mod stage;
mod statistics;
mod storm;
mod token;

use stage::{Program, Result};

/// A benchmark: its name, and the function that prints its rows.
type Benchmark = (&'static str, fn(&Program) -> Result<()>);

const ALL: [Benchmark; 9] = [
    ("token", token::run),
    ("memory", memory::run),
    ("renewal", renewal::run),
    ("storm", storm::run),
    ("federation", federation::run),
    ("provider", provider::run),
    ("agent", agent::run),
    ("proxy", proxy::run),
    // Last: it builds another one in the place of the first.
    ("size", size::run),
];

fn main() -> Result<()> {
    // Cargo adds words of its own, such as `--bench`.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|word| !ALL.iter().any(|(name, _)| name == word)) {
        return Err(format!("there is no benchmark `{unknown}`").into());
    }
    let program = Program::build()?;
    println!("{}\n", stage::machine());
    println!("| measurement | figure | ratio | target |\n|---|---|---|---|");
    for (name, run) in ALL {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run(&program)?;
        }
    }
    Ok(())
}
