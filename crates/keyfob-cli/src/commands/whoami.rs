//! `keyfob whoami`: the account in one line, or no output if there is none.

use std::process::ExitCode;

use keyfob::internals::core::login::identity::Identity;
use serde_json::json;

use super::status::{self, found::Found};
use crate::{
    args::Global,
    hand_over::shadows::typed,
    output::{
        manner::Manner,
        report::{self, Report, Result},
        terminal::plain,
    },
};

pub(super) fn run(global: &Global) -> Result {
    let found = Found::look(global, false, false);
    let code = ExitCode::from(found.code());
    let standing = found.survey.standing.as_ref();
    let why = keyfob::Error::all(found.problems.clone())
        .or_else(|| found.survey.nobody.clone().filter(|_| found.lender.is_none()))
        .or_else(|| {
            standing.and_then(|standing| standing.obstacle.clone().or_else(|| standing.ended.clone()))
        });
    let record = found.survey.record.as_deref();
    let known = record.map(|record| record.identity.clone()).unwrap_or_default();
    let identity = known.overlaid(&found.client.setup().settings.presets);
    let lender = found.lender.as_ref();
    if global.json {
        let lent = lender.and_then(|lender| lender.account.as_deref());
        Report::json(&json!({
            "name": identity.known_name().or(lent),
            "email": identity.email,
            "account_uuid": identity.account_uuid,
            "organization_uuid": identity.organization_uuid,
            "source": found.survey.winner.or(lender.map(|_| keyfob::Source::Login)),
            "profile": record.map(|record| &record.profile).or(lender.map(|lender| &lender.profile)),
            "environment": record.map(|record| &record.environment).or(lender.map(|lender| &lender.environment)),
            "issuer": record.map(|record| record.issuer.as_str()),
            "state": found.survey.winner.map(|source| status::state(&found, source)).or(lender.map(|_| status::LENT)),
            "error": why.as_ref().map(report::error_json),
        }))?;
        return Ok(code);
    }
    if let Some(line) = line(&found, &identity) {
        Report::prose(&line)?;
    }
    if let Some(why) = &why {
        Report::tell(why);
    }
    Ok(code)
}

fn line(found: &Found, identity: &Identity) -> Option<String> {
    let manner = Manner::of_answers();
    if let Some(lender) = &found.lender {
        let name = lender.account.as_deref().unwrap_or("somebody whom the agent did not name");
        return Some(format!(
            "{} (profile `{}`, environment `{}`, lent by the agent at {})",
            manner.bold(&plain(name)),
            plain(&lender.profile),
            plain(&lender.environment),
            plain(&lender.socket)
        ));
    }
    let winner = found.survey.winner?;
    let name = identity.known_name().map(|name| manner.bold(&plain(name)));
    Some(match &found.survey.record {
        Some(record) => {
            let name = match &record.proof {
                Some(_) => manner.bold(&format!("client `{}`", plain(record.client_id.as_str()))),
                None => name.unwrap_or_else(|| "somebody whom the provider did not name".into()),
            };
            let (profile, environment) = (plain(&record.profile), plain(&record.environment));
            format!("{name} (profile `{profile}`, environment `{environment}`)")
        }
        // Nobody was asked whose it is, unless somebody said so in a variable.
        None => match name {
            Some(name) => format!("{name} (as the variables say; {} is used)", typed(winner)),
            None => format!("whoever {} belongs to: that is not known here", typed(winner)),
        },
    })
}
