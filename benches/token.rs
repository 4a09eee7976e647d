//! `keyfob token` with a fresh login: the whole process, compared with `cat` of the record and with the smallest
//! program that opens, reads and prints it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    stage::{Program, Result, Stage, install},
    statistics::{median, ms, quantile, ratio},
};

const ROUNDS: usize = 2000;

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, None)?;
    let login = stage.sign_in("default")?;
    let (_dir, installed) = floor(program)?;
    // Elsewhere: inside of a repository that holds the home as well, keyfob would rightly refuse.
    let repository = tempfile::tempdir()?;
    let inside = repository.path().join("some/where");
    fs::create_dir_all(repository.path().join(".git"))?;
    fs::create_dir_all(&inside)?;
    let mut within = stage.command(&["token"]);
    within.current_dir(&inside);
    let reading = |program: PathBuf| {
        let mut command = Command::new(program);
        command.arg(&login.path).env_clear().stdin(Stdio::null()).current_dir("/");
        command
    };
    let mut runs = [
        ("keyfob token", stage.command(&["token"]), Vec::new()),
        ("keyfob token in a repository", within, Vec::new()),
        ("cat", reading("/bin/cat".into()), Vec::new()),
        ("floor", reading(installed), Vec::new()),
    ];
    for (name, command, _) in &mut runs {
        let output = command.output()?;
        if !output.status.success() || output.stdout.is_empty() {
            return Err(format!("{name} does not do what it is measured for").into());
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    for round in 0..ROUNDS {
        // Whoever comes first in a round must not always be the same.
        for turn in 0..runs.len() {
            let turn = (turn + round) % runs.len();
            let (_, command, times) = &mut runs[turn];
            let begin = Instant::now();
            let status = command.spawn()?.wait()?;
            times.push(begin.elapsed());
            if !status.success() {
                return Err("a measured program failed".into());
            }
        }
    }
    let [token, within, cat, floor] = runs.map(|(_, _, times)| times);
    let quiet = |times: &[Duration]| ms(quantile(times, 10));
    println!(
        "| `keyfob token`, fresh login | {} (10th percentile {}) | **{:.2} × `cat`**, {:.2} × floor | 1 × `cat` |",
        ms(median(&token)),
        quiet(&token),
        ratio(median(&token), median(&cat)),
        ratio(median(&token), median(&floor))
    );
    println!(
        "| the same inside a repository | {} (10th percentile {}) | {:.2} × `cat`, {:.2} × floor | 1 × `cat` |",
        ms(median(&within)),
        quiet(&within),
        ratio(median(&within), median(&cat)),
        ratio(median(&within), median(&floor))
    );
    println!("| `cat` of the record | {} (10th percentile {}) | | |", ms(median(&cat)), quiet(&cat));
    println!(
        "| floor: static open, read, write | {} (10th percentile {}) | | |",
        ms(median(&floor)),
        quiet(&floor)
    );
    Ok(())
}

/// Compiles the floor, and installs it like the command.
fn floor(program: &Program) -> Result<(tempfile::TempDir, PathBuf)> {
    let dir = program.directory()?;
    let (built, installed) = (dir.path().join("built"), dir.path().join("floor"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/floor.c");
    let status = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&built).arg(source).status()?;
    if !status.success() {
        return Err("the floor could not be compiled".into());
    }
    install(&built, &installed)?;
    Ok((dir, installed))
}
