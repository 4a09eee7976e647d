//! `keyfob profiles`: lists the logins of this machine.

use std::process::ExitCode;

use crate::{
    args::{Global, Profiles, ProfilesCommand},
    output::{
        report::{self, Report, Result},
        terminal::plain,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &Profiles) -> Result {
    let client = session::client(global, session::setup(global));
    if let Some(ProfilesCommand::Use { name }) = &args.command {
        client.use_profile(name)?;
        Report::say(&format!("Profile `{name}` counts when none is named."));
        return Ok(ExitCode::SUCCESS);
    }
    let (profiles, problems) = client.profiles()?;
    let current = client.setup().profile_name();
    if global.json {
        let list: Vec<_> = profiles
            .iter()
            .map(|p| {
                let r = &p.record;
                serde_json::json!({
                    "profile": r.profile,
                    "current": r.profile == *current && !p.seeded,
                    "environment": r.environment,
                    "issuer": r.issuer,
                    "client_id": r.client_id.as_str(),
                    "email": r.identity.email,
                    "name": r.identity.known_name(),
                    "expires_at": client.expires_at(r).map(|end| end.to_string()),
                    "seeded": p.seeded,
                    "ended": r.refused.is_some(),
                })
            })
            .collect();
        let problems: Vec<_> = problems.iter().map(report::error_json).collect();
        Report::json(&serde_json::json!({ "current": current, "profiles": list, "problems": problems }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for p in &profiles {
        let r = &p.record;
        let mark = if r.profile == *current && !p.seeded { "*" } else { " " };
        let who = r.identity.known_name().map_or("-".into(), plain);
        let state = match (&r.refused, p.seeded) {
            (Some(_), _) => "ended",
            (None, true) => "seeded by a variable",
            (None, false) => "",
        };
        Report::answer(
            format!("{mark} {:<20} {:<28} {} {state}", plain(&r.profile), who, plain(&r.issuer)).trim_end(),
        )?;
    }
    if profiles.is_empty() {
        Report::say("Nobody has signed in on this machine. Run `keyfob login`.");
    }
    for problem in &problems {
        Report::say(&format!("\n{problem}"));
    }
    Ok(ExitCode::SUCCESS)
}
