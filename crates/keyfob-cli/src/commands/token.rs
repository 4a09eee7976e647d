//! `keyfob token`: prints a valid access token on a line.

use std::process::ExitCode;

use keyfob::{Error, internals::core::Id};

use crate::{
    args::{Format, Global, Token},
    commands::git,
    hand_over::{answer::Answer, formats, grant},
    output::report::{Report, Result},
};

#[expect(clippy::disallowed_methods, reason = "printing it on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Token) -> Result {
    if let Some(Format::GitCredential) = args.format {
        return git::answer(global, args);
    }
    if args.action.is_some() {
        let what = "only git names what it wants to have done";
        return Err(Error::new(Id::Usage, what, "another format has no `get`").hint("leave it out").into());
    }
    let grant = grant::grant(global, &args.wanted)?;
    if let Some(format) = args.format {
        Report::answer(&formats::write(format, &grant)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !global.json {
        Report::answer(grant.credential().expose())?;
        return Ok(ExitCode::SUCCESS);
    }
    Report::json(&Answer::of(&grant))?;
    Ok(ExitCode::SUCCESS)
}
