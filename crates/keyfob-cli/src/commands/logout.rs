//! `keyfob logout`: revokes at the provider, then removes locally in any case, and reports both results.

use std::process::ExitCode;

use keyfob::{
    Error, Revocation, SignedOut,
    internals::core::{Cause, Id},
};

use crate::{
    args::{Global, Logout},
    output::{
        report::{self, Report, Result},
        terminal,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &Logout) -> Result {
    let setup = session::setup(global);
    // Signing out always runs. What is wrong elsewhere is told, and does not stop it.
    for problem in setup.problems.iter().cloned().chain(setup.told()) {
        Report::warn(&problem);
    }
    let client = session::client(global, setup);
    let (ended, failed) =
        if args.all { client.logout_all()? } else { (client.logout()?.into_iter().collect(), Vec::new()) };
    if ended.is_empty() && failed.is_empty() {
        Report::say(&format!("Nobody was signed in to profile `{}`.", client.setup().profile_name()));
    }
    tell(global, &ended, &failed)
}

/// The result for each login.
pub(super) fn tell(global: &Global, ended: &[SignedOut], failed: &[Error]) -> Result {
    for one in ended {
        let place = format!("profile `{}` at {}", one.profile(), one.issuer());
        match one.revocation() {
            Revocation::Confirmed => {
                Report::say(&format!("Signed out of {place}: revoked at the provider and removed here."));
            }
            Revocation::Failed(why) => {
                let what = format!("{place} was removed here but not revoked at the provider");
                Report::warn(
                    &Error::new(Id::Unreachable, what, terminal::plain(why)).because(Cause::NotRevoked {}),
                );
            }
            other => {
                let why = other.reason().unwrap_or("it was not revoked");
                Report::say(&format!("Signed out of {place}: removed here; {why}."));
            }
        }
    }
    for error in failed {
        Report::warn(error);
    }
    if global.json {
        let logins: Vec<_> = ended.iter().map(json).collect();
        let error = Error::all(failed.to_vec());
        Report::json(&serde_json::json!({
            "logged_out": logins,
            "error": error.as_ref().map(report::error_json),
        }))?;
    }
    Ok(failed.first().map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code())))
}

fn json(one: &SignedOut) -> serde_json::Value {
    serde_json::json!({
        "profile": one.profile(),
        "issuer": one.issuer(),
        "revocation": one.revocation().word(),
        "reason": one.revocation().reason(),
    })
}
