//! Judges the result of a run: whether it was promised.

use keyfob::internals::core::Id;
use keyfob_dev::Grants;
use serde_json::Value;

use crate::{
    errors,
    stage::{Act, Came, Stage},
    trace::Place,
};

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The command succeeded.
    Done,
    /// It reported the failure, and the login is as good as before.
    Told,
    /// It ended without a word, killed or for want of memory, and the login is as good as before.
    Kept,
    /// The process or its connection ended between the provider's rotation and the disk. Reported as such.
    InFlight,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Told, Self::Kept, Self::InFlight];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Told => "told",
            Self::Kept => "kept",
            Self::InFlight => "in flight",
        }
    }
}

/// The fault applied to a run.
pub(crate) struct Blow<'a> {
    pub(crate) act: Act,
    pub(crate) place: &'a Place,
    /// The error, or nothing for a kill.
    pub(crate) error: Option<&'a str>,
    /// Before `main`.
    pub(crate) early: bool,
}

/// A promise that was kept, and the id by which it was reported; or one that was broken.
pub(crate) type Verdict = Result<(Outcome, Option<String>), String>;

/// Judges a run, and then the next one.
pub(crate) fn judge(stage: &Stage, blow: &Blow<'_>, before: Grants, came: &Came) -> Verdict {
    if came.hung {
        return Err("it hangs".into());
    }
    silent(blow, came)?;
    let first = match (came.ran.code, came.signal) {
        (Some(0), _) => done(stage, blow, came).map(|()| (Outcome::Done, None)),
        (Some(_), _) if blow.early => Ok((Outcome::Told, None)),
        (Some(code), _) => told(blow, came, code).map(|id| (Outcome::Told, id)),
        (None, Some(9)) if blow.error.is_none() || blow.place.elsewhere => Ok((Outcome::Kept, None)),
        // Where there is no memory the runtime ends the process at once (SIGABRT): that is judged as a kill.
        (None, Some(6 | 11)) if blow.early || may_abort(blow) => Ok((Outcome::Kept, None)),
        (None, signal) => Err(format!("signal {signal:?}")),
    }?;
    if !stage.settles() {
        return Err("the lease is held for ever".into());
    }
    let after = next(stage, blow, before, first.0)?;
    Ok((after, first.1))
}

fn may_abort(blow: &Blow<'_>) -> bool {
    matches!(blow.place.name.as_str(), "mmap" | "mremap" | "brk" | "mprotect" | "munmap" | "sigaltstack")
}

/// No secret, no panic and no internal error in any output.
fn silent(blow: &Blow<'_>, came: &Came) -> Result<(), String> {
    let Came { ran, .. } = came;
    let answers = matches!(blow.act, Act::Start | Act::Fresh | Act::Renewing | Act::Exec);
    for secret in ["kdev-at-", "kdev-rt-", "kdev-ac-"] {
        if ran.err.contains(secret) || ran.out.contains(secret) && !(answers && secret == "kdev-at-") {
            return Err("a secret is shown".into());
        }
    }
    for word in ["panicked", "please report", "RUST_BACKTRACE"] {
        // Before `main` the runtime has words of its own.
        if !blow.early && ran.err.contains(word) || ran.out.contains(word) {
            return Err(format!("it says \"{word}\""));
        }
    }
    Ok(())
}

/// A run that reports success.
fn done(stage: &Stage, blow: &Blow<'_>, came: &Came) -> Result<(), String> {
    let token = |text: &str| {
        if stage.is_good(text) {
            return Ok(());
        }
        Err(format!("exit 0, and what it printed is no token: {text:?}"))
    };
    let json: Value = serde_json::from_str(&came.ran.out).unwrap_or_default();
    let kills = blow.error.is_none();
    match blow.act {
        Act::Start | Act::Fresh | Act::Exec => token(&came.ran.out),
        Act::Renewing => token(json["access_token"].as_str().or(json["token"].as_str()).unwrap_or("")),
        Act::Worker | Act::Login => {
            let stored = stage.stored().ok_or("exit 0, and no record")?;
            match stored["refresh_token"].as_str() {
                Some(new) if new != stage.refresh => Ok(()),
                _ => Err("exit 0, and nothing new is stored".into()),
            }
        }
        Act::Logout if stage.everything().contains(&stage.refresh) => {
            Err("exit 0, and the token is still on the disk".into())
        }
        Act::Logout if stage.is_good(&stage.access) && !came.ran.err.contains("warning") => {
            Err("exit 0, not revoked, and no word of it".into())
        }
        Act::Logout => Ok(()),
    }
    .and_then(|()| if kills { Err("it was to be killed, and was not".into()) } else { Ok(()) })
}

/// A run that reports failure.
fn told(blow: &Blow<'_>, came: &Came, code: i32) -> Result<Option<String>, String> {
    let json: Option<Value> = came.ran.out.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let json = json.unwrap_or_default();
    let word = json["error"]["id"].as_str().or(json["id"].as_str());
    let id = word.map(|word| Id::from_word(word).ok_or(format!("an unknown id: {word}"))).transpose()?;
    if let Some(id) = id.filter(|id| i32::from(id.kind().exit_code()) != code) {
        return Err(format!("exit {code} for {}", id.word()));
    }
    if !matches!(code, 2 | 3 | 5 | 6 | 7) {
        return Err(format!("exit {code}"));
    }
    // Words that could not be written are not there; the exit code is.
    let is_writing = matches!(blow.place.name.as_str(), "write" | "writev");
    let lines: Vec<_> = came.ran.err.lines().collect();
    let three = |lines: &[&str]| {
        lines[0].starts_with("error: ") && lines[1].starts_with("cause: ") && lines[2].starts_with("hint:  ")
    };
    if blow.act != Act::Worker && !is_writing && !lines.windows(3).any(three) {
        return Err(format!("exit {code} without three lines"));
    }
    let everything = came.ran.err.clone() + &came.ran.out;
    let why = blow.error.map_or("", errors::text);
    let says = everything.to_lowercase().contains(&why.to_lowercase());
    // EAGAIN is an answer to these, and is told as what it means: somebody else has the lock, it took too long. So is
    // a working directory that nobody can name.
    let is_answer = match blow.place.name.as_str() {
        "flock" | "connect" | "sendto" | "recvfrom" => blow.error == Some("EAGAIN"),
        name => name == "getcwd",
    };
    if blow.error == Some("EINTR") {
        return Err(format!("exit {code}: what was interrupted was not repeated"));
    }
    if !says && !is_writing && !is_answer {
        return Err(format!("exit {code}, and not why"));
    }
    Ok(word.map(str::to_owned))
}

/// The results of the next calls.
fn next(stage: &Stage, blow: &Blow<'_>, before: Grants, first: Outcome) -> Result<Outcome, String> {
    if blow.act == Act::Logout {
        let again = stage.sandbox.run(&["logout", "--json"]);
        if again.code != Some(0)
            && again.code != Some(4)
            && !(first == Outcome::Done && again.code == Some(1))
        {
            return Err(format!("signing out again: {again:?}"));
        }
        if stage.everything().contains(&stage.refresh) {
            return Err("signed out twice, and the token is still on the disk".into());
        }
        return Ok(first);
    }
    let mut ran = stage.sandbox.run(&["token", "--json"]);
    let spent = stage.server.grants().refreshes - before.refreshes;
    // Nothing was spent, and somebody thinks it may have been: a pause comes first.
    for _ in 0..8 {
        if spent != 0 || ran.code != Some(6) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(700));
        ran = stage.sandbox.run(&["token", "--json"]);
    }
    let reuses = stage.server.grants().reuses - before.reuses;
    if ran.code == Some(0) {
        let json: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let token = json["access_token"].as_str().or(json["token"].as_str()).unwrap_or("");
        if reuses > 0 {
            return Err("a spent token was spent again".into());
        }
        if !stage.is_good(token) {
            return Err(format!("the next token is none: {ran:?}"));
        }
        return Ok(first);
    }
    // The one loss that nobody can prevent: rotated there, and the process or its line ended before the disk had it.
    let cut = blow.error.is_none() || matches!(blow.place.name.as_str(), "sendto" | "recvfrom");
    let is_noted = stage.stored().is_some_and(|record| record["unknown"].is_object());
    let says = |id: &str| ran.out.contains(&format!("\"{id}\""));
    let unknown = says("outcome-unknown") || says("login-refused") || says("cooling-down") && is_noted;
    if matches!(blow.act, Act::Worker | Act::Renewing) && cut && spent == 1 && unknown {
        return Ok(Outcome::InFlight);
    }
    Err(format!("LOST ({spent} granted, {reuses} reused): {ran:?}"))
}
