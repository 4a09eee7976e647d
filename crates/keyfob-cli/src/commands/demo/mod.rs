//! `keyfob demo`: an end-to-end demo against a built-in provider. Each step runs the command itself in a separate
//! process, exactly as a user would type it; everything it prints has just happened.

mod elsewhere;
mod stage;

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use keyfob::{
    Error,
    internals::{core::Id, world::system::program},
};
use keyfob_dev::Options;
use serde::Serialize;
use serde_json::Value;

use self::stage::{Stage, broken, parsed};
use crate::{
    args::{Demo, Global},
    internal::task::Task,
    output::{
        manner::Manner,
        report::{Report, Result},
        terminal,
    },
};

/// The lifetime of the one access token that is seen to expire. Nothing uses it: that would be a race on a busy machine.
const BRIEF: Duration = Duration::from_secs(3);
/// The lifetime of all others: the demo does not hurry with them.
const LASTING: Duration = Duration::from_secs(600);
/// How many programs want a token at once: "three", in words.
const PROGRAMS: usize = 3;
/// The account whose login three programs share without keyfob.
const ELSEWHERE: &str = "bob@example.com";

/// What happened, for `--json`.
#[derive(Serialize)]
struct Story {
    /// Who signed in.
    account: String,
    handed_over: HandedOver,
    renewal: Renewal,
    without_keyfob: WithoutKeyfob,
    /// The provider's answer when the login was revoked.
    revocation: String,
}

/// The result of the program that received the credential.
#[derive(Serialize)]
struct HandedOver {
    /// The provider's answer to it.
    status: u16,
}

/// Several `keyfob token` at once.
#[derive(Serialize)]
struct Renewal {
    processes: usize,
    /// How many of them got a token that the provider accepts.
    accepted: usize,
    /// How often the provider was asked for a new one.
    requests: u64,
    generation_before: u64,
    generation_after: u64,
}

/// As many clients that each renew by themselves.
#[derive(Serialize)]
struct WithoutKeyfob {
    clients: usize,
    /// How many got a new token.
    renewed: usize,
    /// How many were refused.
    refused: usize,
    /// How many hold a token that the provider still accepts afterwards.
    accepted: usize,
}

pub(crate) fn run(global: &Global, args: &Demo) -> Result {
    let automatic = args.yes || !terminal::has_person();
    let stage = Stage::open(Options {
        port: 0,
        auto_approve: automatic,
        access_token_ttl: LASTING,
        ..Options::default()
    })?;
    say(
        "1. A provider",
        &format!("It runs in this process, at {}. Nothing leaves this machine.", stage.base),
    );
    if automatic {
        sign_in_automatically(&stage)?;
    } else {
        sign_in(&stage, global.json)?;
    }
    let account = show_store(&stage)?;
    let handed_over = hand_over(&stage)?;
    let renewal = renew(&stage)?;
    let without_keyfob = without_keyfob(&stage)?;
    let revocation = sign_out(&stage)?;
    drop(stage);
    say(
        "Done",
        "Nothing of this is left: the provider and its directory are gone. Next: `keyfob init`, or `keyfob --help`.",
    );
    if global.json {
        Report::json(&Story { account, handed_over, renewal, without_keyfob, revocation })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sign_in(stage: &Stage, json: bool) -> Result<()> {
    say("2. Sign in", "`keyfob login` opens the browser; type any e-mail address.\n");
    let mut login = stage.keyfob(["login"]);
    // Standard output is for the one object at the end, if that is wanted.
    let stdout = if json { Stdio::from(io::stderr()) } else { Stdio::inherit() };
    if stage.watch(login.stdin(Stdio::inherit()).stdout(stdout))?.success() {
        return Ok(());
    }
    Err(Error::new(Id::LoginDenied, "nobody signed in", "the demo ends here").into())
}

fn sign_in_automatically(stage: &Stage) -> Result<()> {
    say("2. Sign in", "`keyfob login --no-browser` prints the address that a browser would open:");
    let mut login = stage.start(&mut stage.keyfob(["login", "--no-browser"]))?;
    let address = login.line()?;
    if !address.is_empty() {
        Report::show(&format!("   {address}"));
        // A browser without a screen: goes where the provider sends it, to the callback and to the closing page.
        elsewhere::agent().get(&address).call().map_err(elsewhere::unreachable)?;
    }
    stage.success(login)?;
    good("The page was answered automatically: signed in.");
    Ok(())
}

fn show_store(stage: &Stage) -> Result<String> {
    let record = std::fs::read_dir(stage.home.join("logins"))
        .map_err(broken)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "json"));
    let record = record.ok_or_else(|| failed("no login was stored"))?;
    say("3. Keep", &format!("The login is in {} ({}).", record.display(), mode(&record)));
    let status = stage.json(&["status"])?;
    let account = text(&status["identity"]["email"]).to_owned();
    good(&format!("`keyfob status`: {account}, from {}", text(&status["winner"]["source"])));
    Ok(account)
}

fn hand_over(stage: &Stage) -> Result<HandedOver> {
    say(
        "4. Hand over",
        "`keyfob exec -- PROGRAM` gives a program the credential on a pipe; this one asks the provider who it is.",
    );
    let program = program::own();
    // The child finds itself through the same link we do.
    let program = std::fs::canonicalize(&program).unwrap_or(program);
    let words: [&OsStr; 5] = [
        "exec".as_ref(),
        "--".as_ref(),
        program.as_os_str(),
        Task::DemoChild.word().as_ref(),
        stage.base.as_ref(),
    ];
    let answer = stage.output(words)?;
    let answer = String::from_utf8_lossy(&answer);
    let (status, seen) = answer.trim().split_once(' ').unwrap_or_default();
    let seen = parsed(seen.as_bytes())?;
    good(&format!(
        "the provider saw: {status}, account {}, known by a {} token",
        text(&seen["account_uuid"]),
        text(&seen["credential"][0])
    ));
    Ok(HandedOver { status: status.parse().map_err(|_| failed("the program said nothing"))? })
}

/// Several programs want a token at the same moment, and the current one has expired.
fn renew(stage: &Stage) -> Result<Renewal> {
    let before = with_a_brief_token(stage)?;
    let ends: jiff::Timestamp = text(&before["winner"]["expires_at"])
        .parse()
        .map_err(|_| failed("nobody knows when the access token ends"))?;
    let left = |now: u64| ends.as_second().saturating_sub(now.cast_signed());
    let seconds = left(stage.with_server(|server| server.now())?).max(0);
    let text = format!(
        "The access token is replaced by one that ends in {seconds} s. Then three programs run `keyfob token` at once."
    );
    say("5. Renew", &text);
    while left(stage.with_server(|server| server.now())?) >= 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let asked = stage.with_server(|server| server.grants().refreshes)?;
    let started: Vec<_> =
        (0..PROGRAMS).map(|_| stage.start(&mut stage.keyfob(["token", "--json"]))).collect::<Result<_>>()?;
    let (mut accepted, mut after) = (0, 0);
    for (number, running) in (1..).zip(started) {
        let answer = parsed(&stage.success(running)?)?;
        let status = elsewhere::whoami(&stage.base, self::text(&answer["token"]))?;
        after = answer["generation"].as_u64().unwrap_or_default();
        accepted += usize::from(status == 200);
        detail(&format!("program {number}: {status}, with a token of generation {after}"));
    }
    let requests = stage.with_server(|server| server.grants().refreshes)? - asked;
    let before = before["winner"]["generation"].as_u64().unwrap_or_default();
    let renewal = Renewal {
        processes: PROGRAMS,
        accepted,
        requests,
        generation_before: before,
        generation_after: after,
    };
    if accepted < PROGRAMS || requests != 1 || after <= before {
        return Err(failed("the token was not renewed once for all").into());
    }
    good(&format!("generation {before} became {after} with one request, for all of them"));
    Ok(renewal)
}

/// The status of the login, whose access token ends in a moment or has just ended.
fn with_a_brief_token(stage: &Stage) -> Result<Value> {
    let status = stage.json(&["status"])?;
    stage.with_server(|server| server.set_access_token_ttl(BRIEF))?;
    let words = ["token", "--rejected", text(&status["winner"]["handle"])];
    let renewing = stage.start(&mut stage.keyfob(words))?;
    // Where it has ended before it could be handed over, that is a failure of the command, and as good for the demo.
    stage.finish(renewing)?;
    stage.with_server(|server| server.set_access_token_ttl(LASTING))?;
    stage.json(&["status"])
}

/// The same, with each program renewing by itself. It costs the login.
fn without_keyfob(stage: &Stage) -> Result<WithoutKeyfob> {
    say(
        "6. The same without keyfob",
        &format!(
            "Three simple clients share the login of {ELSEWHERE}. Its refresh token can be used once, as OAuth advises, \
             and all of them use it at once:"
        ),
    );
    let login = stage
        .with_server(|server| server.mint(ELSEWHERE, "user:profile user:inference"))?
        .map_err(|error| Error::caused_by(Id::Bug, "a step of the demo failed", error))?;
    let race = elsewhere::race(&stage.base, &login, PROGRAMS)?;
    for (number, answer) in (1..).zip(&race.answers) {
        let what = answer.error.as_deref().map_or("a new token".into(), terminal::plain);
        detail(&format!("client {number}: {} {what}", answer.status));
    }
    detail(&format!("the new access token, a moment later: {}", race.access));
    let refused = race.refresh.error.as_deref().map_or("accepted".into(), terminal::plain);
    detail(&format!("the new refresh token: {} {refused}", race.refresh.status));
    let renewed = race.answers.iter().filter(|answer| answer.status == 200).count();
    let told = WithoutKeyfob {
        clients: PROGRAMS,
        renewed,
        refused: PROGRAMS - renewed,
        accepted: usize::from(race.access == 200),
    };
    if told.renewed != 1 || told.accepted != 0 || race.refresh.status == 200 {
        return Err(failed("the provider did not notice that a refresh token was used twice").into());
    }
    bad(
        "A spent refresh token came again, so the provider took it for stolen and ended the login, for all of them.",
    );
    Ok(told)
}

fn sign_out(stage: &Stage) -> Result<String> {
    say("7. Sign out", "`keyfob logout` revokes at the provider first.");
    let ended = stage.json(&["logout"])?;
    let revocation = text(&ended["logged_out"][0]["revocation"]);
    let status = stage.start(&mut stage.keyfob(["status", "--json"]))?;
    let status = stage.finish(status)?.status;
    if revocation != "confirmed" || status.code() != Some(1) {
        return Err(failed("the login is not gone").into());
    }
    good(&format!("revocation: {revocation}; `keyfob status` now exits 1 (not signed in)"));
    Ok(revocation.to_owned())
}

fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .map_or("?".into(), |meta| format!("mode {:04o}: yours alone", meta.permissions().mode() & 0o7777))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn failed(why: &str) -> Error {
    Error::new(Id::Bug, "a step of the demo failed", why)
}

fn say(title: &str, text: &str) {
    Report::say(&format!("\n{}\n   {text}", Manner::of_messages().bold(title)));
}

fn detail(text: &str) {
    Report::say(&format!("   {text}"));
}

fn good(text: &str) {
    marked(true, text);
}

fn bad(text: &str) {
    marked(false, text);
}

fn marked(good: bool, text: &str) {
    let manner = Manner::of_messages();
    let mark = manner.mark(good);
    let further = if mark.is_empty() { 0 } else { 2 };
    Report::show(&manner.hanging(&format!("   {mark}{text}"), further));
}
