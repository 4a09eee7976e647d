//! The size of the release binary, and of one without the development provider, metrics and the Secret Service.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::stage::{self, Program, Result};

pub(crate) fn run(_: &Program) -> Result<()> {
    // Both are built to the same place: each is weighed before the next one.
    let whole = weight(&stage::built(&[])?)?;
    let lean = weight(&stage::built(&["--no-default-features"])?)?;
    let (all, few) = (crates(&[])?, crates(&["--no-default-features"])?);
    println!("| release binary | {whole:.2} MiB, {all} crates | | |");
    println!(
        "| the same without default features | {lean:.2} MiB, {few} crates | {:.2} × its size | |",
        lean / whole
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "the bytes of a file")]
fn weight(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64 / 1024.0 / 1024.0)
}

/// How many crates are compiled into it, those of this workspace included.
fn crates(features: &[&str]) -> Result<usize> {
    let words = ["tree", "-p", "keyfob-cli", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output =
        Command::new(env!("CARGO")).args(words).args(features).current_dir(stage::root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // A crate that was shown before ends with a mark.
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(|line| line.trim_end_matches(" (*)")).collect::<BTreeSet<_>>().len())
}
