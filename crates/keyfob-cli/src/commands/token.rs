//! `keyfob token`: prints a valid access token on a line.

use std::process::ExitCode;

use keyfob::{Error, internals::core::Id};

use crate::{
    args::{Format, Global, Token, Wanted},
    commands::git,
    hand_over::{answer::Answer, formats, grant},
    output::report::{Report, Result},
};

#[expect(clippy::disallowed_methods, reason = "printing it on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Token) -> Result {
    let for_kubernetes = matches!(args.format, Some(Format::Kubernetes));
    if args.id_token && args.format.is_some() && !for_kubernetes {
        let what = "this format is for the access token";
        let why = "the tools that read it send what they get to an API, and an ID token is for whoever asks who signed in";
        return Err(Error::new(Id::Usage, what, why).hint("leave `--id-token` or `--format` out").into());
    }
    if let Some(Format::GitCredential) = args.format {
        return git::answer(global, args.action.as_deref(), &args.wanted);
    }
    if args.action.is_some() {
        let what = "only git names what it wants to have done";
        return Err(Error::new(Id::Usage, what, "another format has no `get`").hint("leave it out").into());
    }
    // kubectl sends the ID token to a cluster that knows the provider (Kubernetes: OpenID Connect tokens).
    let id_token = args.id_token || for_kubernetes && !args.access_token && !args.wanted.remote;
    let wanted = Wanted { id_token, ..args.wanted.clone() };
    let cluster = if for_kubernetes { formats::cluster() } else { None };
    let grant = grant::grant_for(global, &wanted, args.address.as_deref().or(cluster.as_deref()))?;
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
