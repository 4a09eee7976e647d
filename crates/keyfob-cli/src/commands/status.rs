//! `keyfob status`: the account, the credential in use, its expiry, and the sources it shadows. Never renews, and uses
//! the network only with `--verify`.

use std::process::ExitCode;

use keyfob::{
    Client, Error, Purpose, Source, Timestamp,
    internals::{
        core::Id,
        core::Kind,
        core::{
            Record,
            login::{identity::Identity, sealed::KeyStore},
        },
        credential::{
            grant::{self, Outcome},
            survey::Survey,
        },
        login::setup_token::Note,
        world::{Clock, system::clock::SystemClock},
    },
};

use crate::{
    args::{Global, Status},
    commands::setup_token,
    output::{
        report::{self, Report, Result},
        terminal::plain,
    },
    session, telemetry,
};

pub(crate) fn run(global: &Global, args: &Status) -> Result {
    let setup = session::setup(global);
    // Only what is asked of the provider needs the way there.
    let refused = setup.routes.check().err();
    let problems: Vec<_> =
        setup.problems.iter().cloned().chain(refused.clone().filter(|_| args.verify)).collect();
    let warnings: Vec<_> = setup.told().filter(|told| !problems.contains(told)).collect();
    let client = session::client(global, setup);
    let purpose = if args.remote { Purpose::Remote } else { Purpose::Api };
    let survey = client.survey(purpose);
    let now = SystemClock.now();
    let verified = (args.verify && refused.is_none()).then(|| {
        telemetry::uses_network();
        client.verify(purpose)
    });
    if global.json {
        Report::json(&json(&client, purpose, &survey, &problems, verified.as_ref()))?;
    } else {
        page(&client, &survey, now)?;
        match &verified {
            Some(Ok(())) => Report::answer("Verified: the provider accepts it.")?,
            Some(Err(error)) => {
                Report::say("");
                Report::tell(error);
            }
            None => {}
        }
        for problem in &problems {
            Report::say(&format!("\n{problem}"));
        }
        warnings.iter().for_each(Report::warn);
    }
    if !problems.is_empty() {
        return Ok(ExitCode::from(3));
    }
    if let Some(error) = &survey.broken {
        return Ok(ExitCode::from(error.exit_code()));
    }
    if let Some(Err(error)) = verified {
        return Ok(ExitCode::from(error.exit_code()));
    }
    Ok(ExitCode::from(match (survey.winner, &survey.obstacle) {
        (None, _) => 1,
        (Some(_), None) => 0,
        // What a program that asks now would get, but for "nobody is signed in", which is 1 here.
        (Some(_), Some(error)) if has_ended(error) => 1,
        (Some(_), Some(error)) => error.exit_code(),
    }))
}

/// Whether somebody has to sign in again.
fn has_ended(error: &Error) -> bool {
    error.id().kind() == Kind::LoginNeeded
}

fn lives(client: &Client, record: &Record, now: Timestamp) -> bool {
    record.access_token.is_some() && client.expires_at(record).is_none_or(|end| now < end)
}

/// Why the login has ended for good, if it has.
fn ended(record: &Record) -> Option<&str> {
    let refusal = record.refused.as_ref().filter(|r| r.generation == record.generation.number())?;
    Some(&refusal.why)
}

fn page(client: &Client, survey: &Survey, now: Timestamp) -> Result<()> {
    let identity = identity(client, survey);
    match (&survey.winner, &survey.record) {
        (None, _) if survey.broken.is_some() => Report::answer("A credential is there but cannot be used.")?,
        (None, _) => Report::answer(&format!(
            "Not signed in (profile `{}`). Run `keyfob login`.",
            client.setup().profile_name()
        ))?,
        (Some(Source::RefreshToken), None) => {
            Report::answer(
                "A login seeded by refresh-token: it is exchanged when a token is first asked for.",
            )?;
        }
        (Some(Source::Login), None) if client.environment().is_ok_and(|e| e.machine.is_some()) => {
            Report::answer("A machine's client: it asks for a token when one is first needed.")?;
        }
        (Some(Source::OauthToken), None) if minted_here(client).is_some() => {
            let note = minted_here(client).map_or(String::new(), |note| setup_token::ends(&note, now));
            Report::answer(&format!("A token that was minted here is used as it is; it {note}."))?;
        }
        (Some(source), None) => {
            Report::answer(&format!("A credential from {source} is used as it is; its expiry is unknown."))?;
        }
        (Some(source), Some(record)) => {
            let who = identity
                .known_name()
                .map_or("Signed in".into(), |name| format!("Signed in as {}", plain(name)));
            let who = match (identity.known_name(), survey.obstacle.as_ref().filter(|error| has_ended(error)))
            {
                (_, None) => who,
                (None, Some(_)) => "No longer signed in".into(),
                (Some(name), Some(_)) => format!("No longer signed in as {}", plain(name)),
            };
            let who = match record.proof {
                Some(_) => format!("A machine's client, `{}`", plain(record.client_id.as_str())),
                None => who,
            };
            Report::answer(&format!(
                "{who} (from {source}: profile `{}` at {}).",
                record.profile, record.issuer
            ))?;
            Report::prose(&until(client, survey, record, now))?;
            if let Some(later) = survey.not_renewed.as_ref().filter(|error| error.id() == Id::CoolingDown) {
                Report::answer(&format!("The provider is not asked again yet: {}.", plain(later.why())))?;
            }
            if let (Source::Login, Some(sealing)) = (source, sealing(client)) {
                Report::answer(&sealing)?;
            }
        }
    }
    if let Some(organization) = &identity.organization_uuid {
        Report::answer(&format!("Organisation {organization}."))?;
    }
    Report::answer("\nSources, in their order:")?;
    for one in &survey.considered {
        let mark = match one.outcome {
            Outcome::Here => "*",
            Outcome::Shadowed => "~",
            Outcome::Broken => "!",
            Outcome::Nothing => " ",
        };
        Report::answer(&format!(
            "  {mark} {:<22} {:<9} {}",
            one.source.name(),
            one.outcome.word(),
            one.reason
        ))?;
    }
    let setup = client.setup();
    if let Some(proxy) = setup.routes.shown() {
        Report::answer(&format!("HTTPS proxy: {}", plain(&proxy)))?;
    }
    for path in setup.routes.certificates() {
        Report::answer(&format!("Certificates: {}", plain(&path.display().to_string())))?;
    }
    if let Some(error) = &survey.broken {
        Report::say("");
        Report::tell(error);
    }
    Ok(())
}

/// What is known of the token in the variable, if it was minted on this machine.
fn minted_here(client: &Client) -> Option<Note> {
    let fingerprint = client.setup().settings.oauth_token.as_ref()?.fingerprint();
    client.minted().ok()?.into_iter().find(|note| note.fingerprint == fingerprint)
}

/// A time that is left, as a person says it: rounded down, in the largest unit there are two of.
fn span(seconds: i64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(size, _)| seconds >= 2 * size);
    unit.map_or_else(|| format!("{seconds} seconds"), |(size, name)| format!("{} {name}", seconds / size))
}

fn until(client: &Client, survey: &Survey, record: &Record, now: Timestamp) -> String {
    if let Some(why) = ended(record) {
        return format!("It has ended: {}. Run `keyfob login`.", plain(why));
    }
    if let Some(error) =
        survey.obstacle.as_ref().filter(|error| !has_ended(error) && error.id() != Id::CoolingDown)
    {
        return format!("It cannot be used now: {}.", plain(error.why()));
    }
    if record.unknown_now().is_some() {
        return "The outcome of its last renewal is unknown: the token is used until it expires, then it is asked again with growing pauses.".into();
    }
    match client.expires_at(record) {
        None => "The provider never said when it ends.".into(),
        Some(end) if now < end => format!("Valid until {end} ({}), then renewed.", span(end.since(now))),
        Some(end) if record.can_renew() => {
            format!("The access token ended {end}; it is renewed when next asked for.")
        }
        Some(end) => format!("It ended {end} and cannot be renewed. Run `keyfob login`."),
    }
}

/// How the stored login lies there, where that is not the usual plain file, or will not stay as it is.
fn sealing(client: &Client) -> Option<String> {
    let (is, will_be) = client.sealing();
    let name = |form: Option<KeyStore>| {
        form.map_or("not sealed".into(), |key| format!("sealed with a key in {}", key.name()))
    };
    match (is, will_be) {
        (None, None) => None,
        _ if is == will_be => Some(format!("It is {}.", name(is))),
        _ => Some(format!(
            "It is {}; from its next renewal on it is {}, as configured.",
            name(is),
            name(will_be)
        )),
    }
}

fn identity(client: &Client, survey: &Survey) -> Identity {
    let known = survey.record.as_ref().map(|record| record.identity.clone()).unwrap_or_default();
    known.overlaid(&client.setup().settings.presets)
}

fn json(
    client: &Client,
    purpose: Purpose,
    survey: &Survey,
    problems: &[Error],
    verified: Option<&keyfob::Result<()>>,
) -> serde_json::Value {
    let record = survey.record.as_deref();
    let noted = minted_here(client).filter(|_| survey.winner == Some(Source::OauthToken));
    let winner = survey.winner.map(|source| {
        serde_json::json!({
            "source": source,
            "header": grant::header_names(source).join(", "),
            "expires_at": record.map_or_else(|| noted.as_ref().and_then(|n| n.expires_at), |r| client.expires_at(r)).map(|t| t.to_string()),
            "login": record.map(|r| r.generation.login()),
            "generation": record.map(|r| r.generation.number()),
            "profile": record.map(|r| r.profile.as_str()),
            "state": state(client, survey, source),
            "later": survey.not_renewed.as_ref().map(report::error_json),
        })
    });
    let identity = identity(client, survey);
    let (sealed_by, seals_with) = client.sealing();
    let error = Error::all(problems.to_vec()).or_else(|| survey.broken.clone());
    serde_json::json!({
        "purpose": purpose.word(),
        "winner": winner,
        "considered": survey.considered,
        "identity": {
            "account_uuid": identity.account_uuid,
            "organization_uuid": identity.organization_uuid,
            "email": identity.email,
            "name": identity.known_name(),
            "tagged_id": identity.tagged_id(&client.setup().settings.presets),
        },
        "sealed_by": sealed_by,
        "store": seals_with.map_or("file", KeyStore::word),
        "verified": verified.map(std::result::Result::is_ok),
        "error": error.as_ref().map(report::error_json),
    })
}

/// Where a stored login stands, in a word.
fn state(client: &Client, survey: &Survey, source: Source) -> &'static str {
    let Some(record) = &survey.record else {
        return match source {
            Source::Login | Source::RefreshToken => "not-yet-exchanged",
            _ => "as-it-is",
        };
    };
    let now = SystemClock.now();
    let cooling = survey.obstacle.as_ref().is_some_and(|error| error.id() == Id::CoolingDown);
    match (ended(record), record.unknown_now(), lives(client, record, now)) {
        (Some(_), _, _) => "ended",
        _ if cooling => "cooling-down",
        (None, Some(_), _) => "outcome-unknown",
        (None, None, true) => "valid",
        (None, None, false) if record.can_renew() => "renewal-due",
        (None, None, false) => "expired",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_left_is_said_in_the_largest_unit() {
        for (seconds, said) in [
            (1, "1 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(super::span(seconds), said);
        }
    }
}
