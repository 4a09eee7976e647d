//! `keyfob status`: the account, the credential in use, its expiry, and upcoming problems. Never renews, and uses the
//! network only with `--verify`.

pub(crate) mod found;
mod page;
mod report;

use std::process::ExitCode;

use keyfob::Verified;

pub(crate) use self::report::{LENT, state, state_of};
use self::{found::Found, page::Page};

use crate::{
    args::{Global, Status},
    output::{
        manner::Manner,
        report::{Report, Result},
        when::Calendar,
    },
    telemetry,
};

pub(crate) fn run(global: &Global, args: &Status) -> Result {
    let found = Found::look(global, args.remote, args.verify);
    let verified = args.verify.then(|| verify(&found)).flatten();
    if global.json {
        found.warnings.iter().for_each(Report::warn);
        Report::json(&report::answer(&found, args.verify, verified.as_ref()))?;
    } else {
        let calendar = Calendar::here();
        Page { found: &found, calendar: &calendar, manner: Manner::of_answers() }.print(args.all)?;
        tell(&found, args.verify, verified.as_ref())?;
    }
    let code = match (found.code(), &verified) {
        (0, Some(Err(error))) => error.exit_code(),
        (code, _) => code,
    };
    Ok(ExitCode::from(code))
}

/// The provider's answer about the credential. `None`: there is none to ask about.
fn verify(found: &Found) -> Option<keyfob::Result<Verified>> {
    let standing = found.survey.standing.as_ref();
    if !found.problems.is_empty() || standing.is_some_and(|standing| !standing.lives) {
        return None;
    }
    found.survey.winner?;
    telemetry::uses_network();
    Some(found.client.verify(found.purpose).map_err(|error| match standing.and_then(|s| s.ended.as_ref()) {
        // The provider said so before: that is why, and signing in again is what helps.
        Some(ended) if error.id() == keyfob::ErrorId::ProviderRefused => ended.clone(),
        _ => error,
    }))
}

fn tell(found: &Found, asked: bool, verified: Option<&keyfob::Result<Verified>>) -> Result<()> {
    let mark = Manner::of_answers().mark(true);
    match verified {
        Some(Ok(Verified::Withheld)) => Report::prose(&format!(
            "{mark}Verified: the provider knows it, but does not tell it whose it is (403), as is usual for a machine's own \
             token or one with other scopes."
        ))?,
        Some(Ok(_)) => Report::prose(&format!("{mark}Verified: the provider accepts it."))?,
        None if asked && found.problems.is_empty() && found.survey.winner.is_some() => {
            Report::prose(
                "Not verified: the access token is over, and `status` renews nothing. A program that asks now gets a new one; \
                 `keyfob token` does that, and then the provider can be asked.",
            )?;
        }
        Some(Err(_)) | None => {}
    }
    for error in found.problems.iter().chain(verified.and_then(|verified| verified.as_ref().err())) {
        Report::say("");
        Report::tell(error);
    }
    found.warnings.iter().for_each(Report::warn);
    Ok(())
}
