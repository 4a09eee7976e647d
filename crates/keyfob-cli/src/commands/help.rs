//! `keyfob help` and `keyfob version`: the same as `--help` and `--version`, for users who expect a command.

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Arguments, Global},
    output::report::{Failure, Report, Result},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Whether this program brings its C library along.
const STATIC: bool = cfg!(target_feature = "crt-static");
const LIBC: &str = if cfg!(target_env = "musl") {
    "musl"
} else if cfg!(target_env = "gnu") {
    "gnu"
} else {
    "system"
};

/// What kind of program this is, for `doctor`: one that somebody built for themselves works like a packaged one, and starts
/// more slowly. Why is in docs/performance.md.
pub(super) fn kind() -> String {
    let told = if !STATIC {
        "linked to the libraries of this system; the one in packages is static and starts faster"
    } else if cfg!(debug_assertions) {
        "static, for development; the one in packages is optimised"
    } else {
        "static"
    };
    format!("keyfob {VERSION}, {told}")
}

/// The help of a command, or of all of them.
pub(super) fn run(global: &Global, command: &[String]) -> Result {
    let words = ["keyfob"].into_iter().chain(command.iter().map(String::as_str)).chain(["--help"]);
    // The parser's own help is an early end of parsing: there is one text, whichever way it is asked for.
    match Arguments::try_parse_from(words) {
        Err(help) if help.use_stderr() => Err(Failure::Parser(help)),
        Err(help) if global.json => {
            let text = help.to_string();
            Report::json(&serde_json::json!({ "version": VERSION, "help": text.trim_end() }))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(help) => Err(Failure::Parser(help)),
        Ok(_) => Ok(ExitCode::SUCCESS),
    }
}

pub(super) fn version(global: &Global) -> Result {
    if global.json {
        Report::json(
            &serde_json::json!({ "version": VERSION, "build": { "static": STATIC, "libc": LIBC } }),
        )?;
    } else {
        Report::answer(&format!("keyfob {VERSION}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
