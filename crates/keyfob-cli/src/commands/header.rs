//! `keyfob header`: prints one `Name: value` line for each header.

use std::process::ExitCode;

use crate::{
    args::{Global, Header},
    hand_over::{answer::Answer, grant},
    output::report::{Report, Result},
};

#[expect(clippy::disallowed_methods, reason = "printing them on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Header) -> Result {
    let grant = grant::grant(global, &args.wanted)?;
    if global.json {
        Report::json(&Answer::of(&grant))?;
    } else {
        let lines: Vec<_> =
            grant.headers().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
        Report::answer(&lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
