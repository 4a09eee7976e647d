//! Prints the candidates for the end of an incomplete command line, for the scripts of `keyfob completions`.
//!
//! The words arrive on standard input, each terminated by a NUL, not as arguments, which other users could read.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::ExitCode,
};

use crate::{
    completion::{self, Dialect, Line},
    output::report::{Report, Result},
};

/// More than any user types.
const LONGEST: u64 = 1024 * 1024;

pub(super) fn run(words: &[OsString]) -> Result {
    let dialect = words.first().and_then(|word| word.to_str()).and_then(Dialect::of);
    let mut sent = Vec::new();
    // Whatever is wrong, the answer is that nothing fits: an error would stand in the middle of a prompt.
    let _ = io::stdin().lock().take(LONGEST).read_to_end(&mut sent);
    let sent = sent.strip_suffix(b"\0").unwrap_or(&sent);
    let sent = sent.split(|octet| *octet == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    if let Some(line) = dialect.and_then(|dialect| Line::of(dialect, sent.collect())) {
        Report::answer(completion::answer(&line).trim_end_matches('\n'))?;
    }
    Ok(ExitCode::SUCCESS)
}
