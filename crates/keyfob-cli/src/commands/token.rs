//! `keyfob token`: prints a valid access token on a line.

use std::process::ExitCode;

use keyfob::{
    Error,
    internals::{core::Id, credential::grant::Considered},
};
use serde::Serialize;

use crate::{
    args::{Format, Global, Token},
    commands::git,
    hand_over::{formats, grant, shadows},
    output::report::{Report, Result},
};

#[derive(Serialize)]
struct Answer<'g> {
    token: &'g str,
    source: &'static str,
    fingerprint: String,
    expires_at: Option<String>,
    login: Option<&'g str>,
    generation: Option<u64>,
    profile: Option<&'g str>,
    shadows: Vec<&'static str>,
    considered: &'g [Considered],
}

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
    Report::json(&Answer {
        token: grant.credential().expose(),
        source: grant.source().name(),
        fingerprint: grant.credential().fingerprint(),
        expires_at: grant.expires_at().map(|t| t.to_string()),
        login: grant.generation().map(|g| g.login()),
        generation: grant.generation().map(|g| g.number()),
        profile: grant.profile(),
        shadows: shadows::names(&grant),
        considered: grant.considered(),
    })?;
    Ok(ExitCode::SUCCESS)
}
