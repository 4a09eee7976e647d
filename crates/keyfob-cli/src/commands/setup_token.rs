//! `keyfob setup-token`: a long-lived token, printed or written once.
//!
//! The sign-in URL is printed on stderr, because stdout carries the token.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use keyfob::{
    Client, Error, LoginOptions, Secret,
    internals::{
        core::{Cause, Id, contract::names},
        login::setup_token::{Minted, Note, SOON},
        logout::Revocation,
        world::failure,
    },
};

use crate::{
    advice,
    args::{Global, SetupToken, SetupTokenCommand},
    commands::{browser, login},
    output::{
        report::{Report, Result},
        terminal::{self, plain},
        when::Calendar,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &SetupToken) -> Result {
    let setup = session::setup(global);
    setup.check_network()?;
    let client = session::client(global, setup);
    match &args.command {
        Some(SetupTokenCommand::List) => return list(global, &client.minted()?),
        Some(SetupTokenCommand::Revoke { name }) => return revoke(global, args, &client, name),
        None => {}
    }
    login::can_be_signed_in_to(&client)?;
    let opens = !args.no_browser && !args.paste;
    if opens && let Some(why) = browser::not_possible(client.setup()) {
        login::somebody(&why)?;
    }
    // Before anybody takes the trouble: the name must be free, the file new and writable.
    client.may_mint(args.name.as_deref())?;
    let out = args.out.as_deref().map(create).transpose()?;
    // Or there is somewhere to print it: it is shown once.
    if out.is_none() {
        Report::can_answer()?;
    }
    let minted = mint(global, args, &client, opens);
    let minted = match (minted, &out) {
        (Ok(minted), _) => minted,
        (Err(failure), Some((path, _))) => {
            let _ = std::fs::remove_file(path);
            return Err(failure);
        }
        (Err(failure), None) => return Err(failure),
    };
    let note = Note { name: args.name.clone(), ..minted.note().clone() };
    if let Err(error) = client.remember_minted(note.clone()) {
        Report::warn(&error);
    }
    hand_over(global, minted.token(), &note, out)?;
    let end = note.expires_at.map_or("the provider did not say when it ends".into(), |end| {
        format!("it ends {}", Calendar::here().ahead(end))
    });
    Report::say(&format!(
        "Minted a token for `{}`; {end}. It is not kept here and will not be shown again: put it into {} where it is used.",
        note.scopes,
        names::OAUTH_TOKEN
    ));
    Ok(ExitCode::SUCCESS)
}

fn mint(global: &Global, args: &SetupToken, client: &Client, opens: bool) -> Result<Minted> {
    let lasting = Duration::from_secs(args.days.saturating_mul(24 * 3600));
    let how = LoginOptions::new().paste(args.paste).lasting(lasting).tell(advice::told_error);
    let attempt = client.begin_login(&how)?;
    let environment = client.environment()?;
    if global.json {
        Report::event(&serde_json::json!({ "event": "open", "url": attempt.url() }))?;
    }
    Report::say(&format!(
        "Sign in at {} (environment `{}`) to mint a token. Open this address:\n",
        environment.issuer(),
        environment.name
    ));
    Report::say(attempt.url());
    Report::say("");
    login::show(attempt.url(), "sign in", None);
    if opens && let Err(why) = browser::open(client.setup(), attempt.page()) {
        login::somebody(&why)?;
    }
    let prompt = login::prompt(attempt.listens());
    Report::say(prompt);
    let pasted = terminal::lines();
    let mut mistaken = |error: &Error| {
        Report::tell(error);
        Report::say(&format!("\n{prompt}"));
    };
    Ok(attempt.wait_for_token(Some(&pasted), Duration::from_secs(args.timeout), &mut mistaken)?)
}

/// Revokes a token that its holder supplies.
fn revoke(global: &Global, args: &SetupToken, client: &Client, name: &str) -> Result {
    let token = login::brought("the token", Duration::from_secs(args.timeout))?;
    let revocation = client.revoke_minted(name, token)?;
    let failed = |why: &str| {
        let what = format!("the token named `{}` was not revoked", plain(name));
        let error = Error::new(Id::ProviderRefused, what, why);
        error.hint("until it ends by itself it works for whoever has it: end it at the provider's own page")
    };
    match &revocation {
        Revocation::Confirmed => {}
        Revocation::Failed(why) => return Err(failed(why).into()),
        Revocation::Impossible(why) => return Err(failed(why).into()),
        _ => return Err(failed("the provider did not confirm it").into()),
    }
    if global.json {
        Report::json(&serde_json::json!({ "name": name, "revoked": true }))?;
    } else {
        Report::say(&format!("The provider confirmed: the token named `{}` has ended.", plain(name)));
    }
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path) -> Result<(&Path, std::fs::File)> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let shown = plain(&path.display().to_string());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match (error.kind(), folder) {
            (io::ErrorKind::AlreadyExists, _) => Error::new(
                Id::Usage,
                format!("{shown} is already there, and is not overwritten"),
                "--out makes a new file",
            )
            .because(Cause::Exists { path: path.to_string_lossy().into_owned() }),
            (io::ErrorKind::NotFound, Some(folder)) => Error::new(
                Id::Usage,
                format!("the folder {} does not exist", plain(&folder.display().to_string())),
                "--out makes a new file in a folder that is there",
            )
            .because(Cause::Missing { path: folder.to_string_lossy().into_owned() }),
            _ => failure::failed_at(Id::Usage, format!("{shown} cannot be written"), path, error),
        }
    })?;
    Ok((path, file))
}

#[expect(clippy::disallowed_methods, reason = "handing the token over, once, is what this command is for")]
fn hand_over(
    global: &Global,
    token: &Secret,
    note: &Note,
    out: Option<(&Path, std::fs::File)>,
) -> Result<()> {
    if let Some((path, mut file)) = out {
        let written = writeln!(file, "{}", token.expose()).and_then(|()| file.sync_all());
        written.map_err(|error: io::Error| {
            Error::caused_by(
                Id::StoreFailed,
                format!("the token could not be written to {}", path.display()),
                error,
            )
            .hint("mint another one; this one is lost")
        })?;
        if global.json {
            Report::json(
                &serde_json::json!({ "token": null, "out": path.display().to_string(), "note": json(note) }),
            )?;
        }
        return Ok(());
    }
    if global.json {
        return Report::json(
            &serde_json::json!({ "token": token.expose(), "out": null, "note": json(note) }),
        );
    }
    Report::answer(token.expose())
}

fn json(note: &Note) -> serde_json::Value {
    serde_json::json!({
        "fingerprint": note.fingerprint,
        "name": note.name,
        "issuer": note.issuer,
        "email": note.email,
        "account": note.account,
    "scopes": note.scopes.split(' ').filter(|scope| !scope.is_empty()).collect::<Vec<_>>(),
        "minted_at": note.minted_at.to_string(),
        "expires_at": note.expires_at.map(|end| end.to_string()),
    })
}

fn list(global: &Global, notes: &[Note]) -> Result {
    if global.json {
        let tokens: Vec<_> = notes.iter().map(json).collect();
        Report::json(&serde_json::json!({ "tokens": tokens }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let calendar = Calendar::here();
    for note in notes {
        let name = note.name.as_deref().map_or("-".into(), plain);
        let account = note.email.as_deref().or(note.account.as_deref()).map_or("-".into(), plain);
        Report::answer(&format!(
            "{}  {name:<20} {account:<28} {:<24} {}",
            note.fingerprint,
            plain(&note.scopes),
            ends(note, &calendar)
        ))?;
    }
    if notes.is_empty() {
        Report::say("No token was minted here.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The expiry of a token, in words.
pub(crate) fn ends(note: &Note, calendar: &Calendar) -> String {
    match note.expires_at {
        None => "the provider did not say when it ends".into(),
        Some(end) if end <= calendar.now() => format!("ended {}", calendar.ago(end)),
        Some(end) if end.since(calendar.now()) <= SOON => format!("ENDS SOON: {}", calendar.ahead(end)),
        Some(end) => format!("ends {}", calendar.ahead(end)),
    }
}
