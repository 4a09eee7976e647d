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
    Error, LoginOptions, Secret,
    internals::{
        core::Id,
        login::setup_token::{Note, SOON},
    },
};

use crate::{
    advice,
    args::{Global, SetupToken},
    commands::login,
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
    if args.command.is_some() {
        return list(global, &client.minted()?);
    }
    // Before anybody takes the trouble: the file must be new and writable.
    let out = args.out.as_deref().map(create).transpose()?;
    // Or there is somewhere to print it: it is shown once.
    if out.is_none() {
        Report::can_answer()?;
    }
    let lasting = Duration::from_secs(args.days.saturating_mul(24 * 3600));
    let how = LoginOptions::new().paste(args.paste).lasting(lasting).tell(advice::told_error);
    let minted = client.begin_login(&how).and_then(|attempt| {
        Report::say("Sign in to mint a token. Open this address:\n");
        Report::say(attempt.url());
        Report::say("");
        login::show(attempt.url(), "sign in", None);
        if !args.no_browser && !args.paste {
            login::open(client.setup(), attempt.page());
        }
        let pasted = terminal::lines();
        let mut mistaken = |error: &Error| {
            Report::tell(error);
            Report::say("");
        };
        attempt.wait_for_token(Some(&pasted), Duration::from_secs(args.timeout), &mut mistaken)
    });
    let minted = match (minted, &out) {
        (Ok(minted), _) => minted,
        (Err(error), Some((path, _))) => {
            let _ = std::fs::remove_file(path);
            return Err(error.into());
        }
        (Err(error), None) => return Err(error.into()),
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
        "Minted a token for `{}`; {end}. It is not kept here and will not be shown again.",
        note.scopes
    ));
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path) -> Result<(&Path, std::fs::File)> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        Error::new(Id::Usage, format!("--out {}", plain(&path.display().to_string())), error.to_string())
            .hint("name a file that does not exist yet")
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
        return written.map_err(|error: io::Error| {
            Error::caused_by(
                Id::StoreFailed,
                format!("the token could not be written to {}", path.display()),
                error,
            )
            .hint("mint another one; this one is lost")
            .into()
        });
    }
    if global.json {
        return Report::json(&serde_json::json!({ "token": token.expose(), "note": json(note) }));
    }
    Report::answer(token.expose())
}

fn json(note: &Note) -> serde_json::Value {
    serde_json::json!({
        "fingerprint": note.fingerprint,
        "name": note.name,
        "issuer": note.issuer,
        "email": note.email,
        "scopes": note.scopes,
        "minted_at": note.minted_at.to_string(),
        "expires_at": note.expires_at.map(|end| end.to_string()),
    })
}

fn list(global: &Global, notes: &[Note]) -> Result {
    if global.json {
        Report::json(&notes.iter().map(json).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let calendar = Calendar::here();
    for note in notes {
        let name = note.name.as_deref().map_or("-".into(), plain);
        Report::answer(&format!(
            "{}  {name:<20} {:<24} {}",
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

/// When a token ends, in words.
pub(crate) fn ends(note: &Note, calendar: &Calendar) -> String {
    match note.expires_at {
        None => "the provider did not say when it ends".into(),
        Some(end) if end <= calendar.now() => format!("ended {}", calendar.ago(end)),
        Some(end) if end.since(calendar.now()) <= SOON => format!("ENDS SOON: {}", calendar.ahead(end)),
        Some(end) => format!("ends {}", calendar.ahead(end)),
    }
}
