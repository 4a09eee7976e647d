//! `keyfob inspect`: what a JWT on standard input says, and who vouches for it.

use std::{
    io::{self, Read},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use keyfob::{
    Client, Error, Secret, Timestamp,
    internals::{
        core::{Cause, Id, contract::values, oauth::jwt::Jwt},
        credential::signed,
        world::{
            Files, failure,
            system::{files::Disk, shown},
        },
    },
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    args::{Global, Inspect},
    output::{
        hidden,
        manner::Manner,
        report::{self, Report, Result},
        terminal::{self, plain},
        when::Calendar,
    },
    session, telemetry,
};

/// No token is longer.
const LONGEST: u64 = 1024 * 1024;
/// How long a person may take to paste one.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether the issuer vouches for it.
enum Verdict {
    /// It is signed with one of the keys from there.
    Verified { by: String },
    /// Nobody knows, for this reason.
    NotVerified { why: String },
    /// It is not to be relied on.
    Failed(Error),
}

pub(crate) fn run(global: &Global, args: &Inspect) -> Result {
    if !args.typed.is_empty() {
        let why = "other users can read the arguments of a program";
        return Err(Error::new(Id::Usage, "a token is not taken as an argument", why)
            .hint("give it on standard input, and replace that one: it may have been seen")
            .into());
    }
    let token = token()?;
    let calendar = Calendar::here();
    let Some(jwt) = Jwt::read(&token) else {
        if global.json {
            Report::json(&json!({ "jwt": false, "fingerprint": token.fingerprint() }))?;
        } else {
            Report::prose(
                "An opaque token, not a JWT: it says nothing about itself. Only its provider can say what it is.",
            )?;
            Report::prose(&format!("Fingerprint: {}", token.fingerprint()))?;
        }
        return Ok(ExitCode::from(1));
    };
    let verdict = verdict(global, args, &token, &jwt)?;
    let verdict = judged_by_time(verdict, &jwt, calendar.now());
    if global.json {
        Report::json(&answer(&token, &jwt, &verdict, calendar.now()))?;
    } else {
        page(&jwt, &verdict, &calendar)?;
    }
    Ok(match verdict {
        Verdict::Failed(error) => {
            if !global.json {
                Report::say("");
                Report::tell(&error);
            }
            ExitCode::from(error.exit_code())
        }
        Verdict::Verified { .. } | Verdict::NotVerified { .. } => ExitCode::SUCCESS,
    })
}

/// The token: the only thing on standard input, with or without the name of a header and scheme before it.
fn token() -> Result<Secret, Error> {
    let wrong = |why: &str| {
        Error::new(Id::Usage, "there is no token on standard input", why)
            .hint("give it one: `keyfob inspect < FILE`")
    };
    let text = if terminal::has_person() {
        hidden::ask("Paste the token and press Enter. It is not shown: ", PATIENCE)?
    } else {
        let mut text = Zeroizing::new(String::new());
        let read = io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
        read.map_err(|error| wrong(&error.to_string()))?;
        text
    };
    if text.len() as u64 > LONGEST {
        return Err(wrong("what is there is longer than a mebibyte"));
    }
    let mut text = text.trim();
    for before in ["Authorization:", "Bearer "] {
        let begins = text.get(..before.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(before));
        text = if begins { text[before.len()..].trim_start() } else { text };
    }
    Secret::visible(text).map_err(|why| wrong(&format!("what is there {}", why.as_str())))
}

/// Who vouches for it. Keys that were named must be had; those of an issuer that is known here are asked for.
fn verdict(global: &Global, args: &Inspect, token: &Secret, jwt: &Jwt) -> Result<Verdict, Error> {
    let setup = session::setup(global);
    let (keys, from) = match &args.jwks {
        Some(named) if named.starts_with("https://") || named.starts_with("http://") => {
            values::url(named).map_err(|why| {
                Error::new(Id::Usage, "--jwks is no address", why)
                    .hint("name a file, or an address with https://")
            })?;
            setup.routes.check()?;
            let client = session::client(global, setup);
            telemetry::uses_network();
            (client.fetch_keys(named)?, plain(named))
        }
        Some(file) => {
            let path = Path::new(file);
            let what = || format!("the keys in {} cannot be read", shown(path));
            let bytes = Disk.read_trusted(path, false);
            let bytes = bytes.map_err(|error| failure::failed_at(Id::Usage, what(), path, error))?;
            let missing = || {
                let cause = Cause::Missing { path: shown(path) };
                Error::new(Id::Usage, what(), "there is no such file").because(cause)
            };
            (bytes.ok_or_else(missing)?, shown(path))
        }
        None => {
            let Some(issuer) = jwt.claims().get("iss").and_then(Value::as_str) else {
                return Ok(Verdict::NotVerified { why: "it does not say who issued it (`iss`)".into() });
            };
            let unknown =
                Verdict::NotVerified { why: "no environment of this machine is of its issuer".into() };
            if setup.check_network().is_err() {
                return Ok(Verdict::NotVerified {
                    why: "something about the set-up is wrong: see `keyfob doctor`".into(),
                });
            }
            let client = session::client(global, setup);
            telemetry::uses_network();
            match known(&client, issuer) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(unknown),
                // Not every issuer publishes where its keys are.
                Err(error) if error.id() == Id::MetadataInvalid => {
                    return Ok(Verdict::NotVerified { why: error.message() });
                }
                Err(error) => return Ok(Verdict::Failed(error)),
            }
        }
    };
    Ok(match signed::check(token, &keys, &from) {
        Ok(()) => Verdict::Verified { by: from },
        Err(error) if error.id() == Id::JwtUnverified && args.jwks.is_none() => {
            Verdict::NotVerified { why: error.why().to_owned() }
        }
        Err(error) => Verdict::Failed(error),
    })
}

fn known(client: &Client, issuer: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
    let Some(url) = client.keys_of(issuer)? else { return Ok(None) };
    Ok(Some((client.fetch_keys(&url)?, url)))
}

/// One whose signature is right may have ended, or not have begun.
fn judged_by_time(verdict: Verdict, jwt: &Jwt, now: Timestamp) -> Verdict {
    let Verdict::Verified { .. } = verdict else { return verdict };
    let failed = |why: &str| {
        Verdict::Failed(Error::new(
            Id::JwtInvalid,
            "the token is signed by its issuer, and is not valid now",
            why,
        ))
    };
    if jwt.expires_at().is_some_and(|end| end <= now) {
        return failed("it has ended (`exp`)");
    }
    if jwt.time("nbf").is_some_and(|begin| begin > now) {
        return failed("it is not valid yet (`nbf`)");
    }
    verdict
}

/// Claims that are times (RFC 7519 §4.1, OpenID Connect Core §2 and §5.1).
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];

fn page(jwt: &Jwt, verdict: &Verdict, calendar: &Calendar) -> Result<()> {
    let manner = Manner::of_answers();
    let rows = |heading: &str, members: &Map<String, Value>, times: bool| -> Result<()> {
        Report::answer(&manner.bold(heading))?;
        for (name, value) in members {
            let text = match value {
                Value::String(text) => plain(text),
                other => plain(&other.to_string()),
            };
            let at = jwt.time(name).filter(|_| times && TIMES.contains(&&**name));
            let told = at.map(|at| if at > calendar.now() { calendar.ahead(at) } else { calendar.ago(at) });
            let told = told.map(|told| format!(" ({told})")).unwrap_or_default();
            Report::answer(&manner.hanging(&format!("  {:<14} {text}{told}", plain(name)), 17))?;
        }
        Ok(())
    };
    rows("Header", jwt.header(), false)?;
    rows("Claims", jwt.claims(), true)?;
    let mark = |good| manner.mark(good);
    Report::answer("")?;
    Report::prose(&match verdict {
        Verdict::Verified { by } => format!("{}Verified: it is signed with a key from {by}.", mark(true)),
        Verdict::NotVerified { why } => {
            format!("Not verified: {}. Anybody can write such a token.", plain(why))
        }
        Verdict::Failed(_) => format!("{}Not to be relied on.", mark(false)),
    })
}

fn answer(token: &Secret, jwt: &Jwt, verdict: &Verdict, now: Timestamp) -> Value {
    let (word, by, why, error) = match verdict {
        Verdict::Verified { by } => ("verified", Some(by), None, None),
        Verdict::NotVerified { why } => ("not-verified", None, Some(why), None),
        Verdict::Failed(error) => ("failed", None, None, Some(error)),
    };
    json!({
        "jwt": true,
        "fingerprint": token.fingerprint(),
        "header": jwt.header(),
        "claims": jwt.claims(),
        "expires_at": jwt.expires_at().map(|end| end.to_string()),
        "expires_in": jwt.expires_at().map(|end| end.since(now)),
        "verification": word,
        "keys": by,
        "why": why,
        "error": error.map(report::error_json),
    })
}
