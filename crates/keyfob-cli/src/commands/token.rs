//! `keyfob token`: prints a valid access token on a line.

use std::process::ExitCode;

use serde::Serialize;

use crate::{
    args::{Global, Token},
    commands::{self, formats},
    report::{Report, Result},
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
}

#[expect(clippy::disallowed_methods, reason = "printing it on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Token) -> Result {
    let grant = commands::grant(global, &args.wanted)?;
    if let Some(format) = args.format {
        Report::answer(&formats::write(format, &grant))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !global.json {
        Report::answer(grant.credential.expose())?;
        return Ok(ExitCode::SUCCESS);
    }
    Report::json(&Answer {
        token: grant.credential.expose(),
        source: grant.source.name(),
        fingerprint: grant.credential.fingerprint(),
        expires_at: grant.expires_at.map(|t| t.to_string()),
        login: grant.generation.as_ref().map(|g| g.login.as_str()),
        generation: grant.generation.as_ref().map(|g| g.number),
        profile: grant.profile.as_deref(),
    })?;
    Ok(ExitCode::SUCCESS)
}
