//! `keyfob profiles` and `keyfob switch`: lists the logins of this machine, and chooses, renames and removes profiles.

use std::{collections::BTreeSet, process::ExitCode};

use keyfob::{
    Client, Error,
    internals::{
        core::{Id, Record},
        profiles::Profile,
        world::system::env,
    },
};

use super::{logout, status};
use crate::{
    advice,
    args::{Global, Profiles, ProfilesCommand},
    output::{
        manner::Manner,
        report::{self, Report, Result},
        terminal::plain,
        when::Calendar,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &Profiles) -> Result {
    match &args.command {
        None | Some(ProfilesCommand::List) => list(global),
        Some(ProfilesCommand::Use(switch)) => self::switch(global, &switch.name),
        Some(ProfilesCommand::Rename { from, to }) => rename(global, from, to),
        Some(ProfilesCommand::Remove { name }) => remove(global, name),
    }
}

fn list(global: &Global) -> Result {
    let client = session::client(global, session::setup(global));
    let (profiles, problems) = client.profiles()?;
    let counts = client.store().map(|store| store.path().to_path_buf()).ok();
    let counts = |profile: &Profile| !profile.seeded && counts.as_deref() == Some(&*profile.path);
    let current = client.setup().profile_name();
    if global.json {
        let list: Vec<_> = profiles.iter().map(|profile| json(&client, profile, counts(profile))).collect();
        let problems: Vec<_> = problems.iter().map(report::error_json).collect();
        Report::json(&serde_json::json!({ "current": current, "profiles": list, "problems": problems }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if profiles.is_empty() && problems.is_empty() {
        Report::say("Nobody has signed in on this machine yet; `keyfob status` says how to.");
        return Ok(ExitCode::SUCCESS);
    }
    let calendar = Calendar::here();
    let mut rows: Vec<_> =
        profiles.iter().map(|profile| row(&client, &calendar, profile, counts(profile))).collect();
    // The one that counts is shown where nobody has signed in to it either: what a program gets is nothing.
    if !profiles.iter().any(counts) && client.setup().profile().is_ok() {
        let environment = client.setup().environment.as_ref();
        let place = environment.map_or("-".into(), |e| format!("{} ({})", e.name, e.issuer()));
        let client_id = environment.and_then(|e| e.client_id.as_ref()).map_or("-", |id| id.as_str());
        let cells = ["*", current, "-", &place, client_id, "-", "not signed in"];
        rows.insert(0, cells.map(str::to_owned));
    }
    table(rows)?;
    for problem in &problems {
        Report::say("");
        Report::tell(problem);
    }
    Ok(ExitCode::SUCCESS)
}

fn json(client: &Client, profile: &Profile, counts: bool) -> serde_json::Value {
    let record = &profile.record;
    let standing = client.standing(record);
    serde_json::json!({
        "profile": record.profile,
        "current": counts,
        "environment": record.environment,
        "issuer": record.issuer,
        "client_id": record.client_id.as_str(),
        "email": record.identity.email,
        "name": record.identity.known_name(),
        "expires_at": standing.expires_at.map(|end| end.to_string()),
        "state": status::state_of(record, &standing),
        "seeded": profile.seeded,
        "federated": profile.federated,
    })
}

/// Mark, profile, account, environment, client, expiry, state.
type Row = [String; 7];

fn row(client: &Client, calendar: &Calendar, profile: &Profile, counts: bool) -> Row {
    let record = &profile.record;
    let standing = client.standing(record);
    let state = match (status::state_of(record, &standing), profile.seeded) {
        (state, false) => state.replace('-', " "),
        (state, true) => format!("{}, from a variable", state.replace('-', " ")),
    };
    let account = match record.identity.known_name() {
        None if record.proof.is_some() => "the client itself",
        None if profile.federated => "this machine",
        name => name.unwrap_or("-"),
    };
    [
        if counts { "*" } else { " " }.to_owned(),
        plain(&record.profile),
        plain(account),
        format!("{} ({})", plain(&record.environment), plain(&record.issuer)),
        plain(record.client_id.as_str()),
        standing.expires_at.map_or("-".into(), |end| calendar.moment(end)),
        state,
    ]
}

/// Pads columns to the necessary width.
fn table(rows: Vec<Row>) -> Result<()> {
    let manner = Manner::of_answers();
    let title = ["", "PROFILE", "ACCOUNT", "ENVIRONMENT", "CLIENT", "EXPIRES", "STATE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(title).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..7).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        Report::answer(&if row[0] == "*" { manner.bold(line) } else { line.to_owned() })?;
    }
    Ok(())
}

/// Selects a profile. One without a login is treated as a typing error.
pub(crate) fn switch(global: &Global, name: &str) -> Result {
    let client = session::client(global, session::setup(global));
    // Where nothing was chosen yet, this one counts.
    if name != "default" {
        must_exist(&client, name)?;
    }
    client.use_profile(name)?;
    let (profiles, _) = client.profiles()?;
    let of_it = || profiles.iter().filter(|one| one.record.profile == name && !one.seeded);
    let environment = client.setup().environment.as_ref().map(|environment| environment.name.as_str());
    let here =
        of_it().find(|one| Some(one.record.environment.as_str()) == environment).map(|one| &one.record);
    let account = here.and_then(|record| record.identity.known_name());
    let named = env::variables().text("KEYFOB_PROFILE").filter(|named| *named != name);
    let outranked = named.map(|named| {
        let what = "KEYFOB_PROFILE still counts before this choice";
        let why = format!("it names the profile `{}`", plain(named));
        Error::new(Id::Usage, what, why).hint("unset KEYFOB_PROFILE")
    });
    if global.json {
        outranked.iter().for_each(Report::warn);
        Report::json(&serde_json::json!({
            "current": name,
            "environment": environment,
            "name": account,
            "signed_in": here.is_some(),
        }))?;
    } else {
        Report::say(&format!(
            "{}Now using `{name}`{}.",
            Manner::of_messages().mark(true),
            told(here, environment)
        ));
        if let (None, Some(there)) = (here, of_it().next()) {
            let other = format!("`{}`", plain(&there.record.environment));
            Report::say(&format!(
                "It is signed in to environment {other}{}.",
                told(Some(&there.record), None)
            ));
        }
    }
    if !global.json {
        outranked.iter().for_each(Report::warn);
    }
    Ok(ExitCode::SUCCESS)
}

/// ` (ada@example.com)`, or a note that no user has signed in.
fn told(record: Option<&Record>, environment: Option<&str>) -> String {
    match (record, environment) {
        (Some(record), _) => {
            record.identity.known_name().map_or(String::new(), |name| format!(" ({})", plain(name)))
        }
        (None, Some(environment)) => format!(" (nobody has signed in to it in environment `{environment}`)"),
        (None, None) => String::new(),
    }
}

fn rename(global: &Global, from: &str, to: &str) -> Result {
    let client = session::client(global, session::setup(global));
    must_exist(&client, from)?;
    if from == to {
        let error = Error::new(Id::Usage, "nothing is renamed", "both names are the same");
        return Err(error.hint("give another name: `keyfob profiles rename OLD NEW`").into());
    }
    let moved = client.rename_profile(from, to).map_err(|error| match error.id() {
        Id::Usage if error.cause().is_none() => error
            .hint(format!("choose another name, or remove that one first: `keyfob profiles remove {to}`")),
        _ => error,
    })?;
    if global.json {
        Report::json(&serde_json::json!({ "from": from, "to": to, "logins": moved }))?;
    } else {
        let mark = Manner::of_messages().mark(true);
        Report::say(&format!("{mark}Profile `{from}` is now called `{to}`; it stays signed in."));
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(global: &Global, name: &str) -> Result {
    let setup = session::setup(global);
    // As for `logout`: what is wrong elsewhere is told, and does not stop it.
    for problem in setup.problems.iter().cloned().chain(setup.told()) {
        Report::warn(&problem);
    }
    let client = session::client(global, setup);
    must_exist(&client, name)?;
    crate::telemetry::uses_network();
    let (ended, failed) = client.remove_profile(name)?;
    logout::tell(global, &ended, &failed)
}

/// Refuses the name of a profile that does not exist.
fn must_exist(client: &Client, name: &str) -> Result<()> {
    if client.has_profile(name)? {
        return Ok(());
    }
    let (profiles, _) = client.profiles()?;
    let known: BTreeSet<_> =
        profiles.iter().filter(|one| !one.seeded).map(|one| one.record.profile.as_str()).collect();
    let why = if known.is_empty() {
        "nobody has signed in on this machine".to_owned()
    } else {
        format!("you have: {}", known.iter().copied().collect::<Vec<_>>().join(", "))
    };
    let error = Error::new(Id::Usage, format!("there is no profile `{}`", plain(name)), why);
    let hint = match advice::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? `keyfob profiles` lists them all"),
        None => format!("sign in to it first: `keyfob login --profile {}`", advice::quoted(name)),
    };
    Err(error.hint(hint).into())
}
