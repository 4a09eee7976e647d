//! Federation: many processes of one job at once, none of which finds a token, beside as many of google-auth (PyPI), which
//! does the same for Google's clients. Times are a ratio of one run; what was asked is counted in the provider's log.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    stage::{self, Program, Result, Stage},
    statistics::{median, ms, ratio},
};

const PROCESSES: usize = 64;
const ROUNDS: usize = 5;
/// The version that was measured.
const GOOGLE_AUTH: [&str; 2] = ["google-auth==2.63.0", "requests==2.34.2"];

pub(crate) fn run(program: &Program) -> Result<()> {
    let work = program.directory()?;
    let python = python(work.path())?;
    let log = work.path().join("requests.jsonl");
    let stage = Stage::start_with(program, &["--log", log.to_str().ok_or("a path in UTF-8")?])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut asked_by_us, mut asked_by_them) = ((0, 0), (0, 0));
    for _ in 0..ROUNDS {
        // Cold: no login, as in a job that begins.
        stage.forget()?;
        let before = asked(&log)?;
        ours.push(at_once(|| job(&stage, stage.command(&["token"])))?);
        let between = asked(&log)?;
        theirs.push(at_once(|| google_auth(&stage, &python))?);
        let after = asked(&log)?;
        asked_by_us = (between.0 - before.0, between.1 - before.1);
        asked_by_them = (after.0 - between.0, after.1 - between.1);
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    println!(
        "| federation, {PROCESSES} processes at once, cold | {}: {} identity token(s), {} exchange(s) | **{:.3} ×** (google-auth, {}: {} identity tokens, {} exchanges) | 1 and 1 |",
        ms(ours),
        asked_by_us.0,
        asked_by_us.1,
        ratio(ours, theirs),
        ms(theirs),
        asked_by_them.0,
        asked_by_them.1,
    );
    Ok(())
}

/// The command in the surroundings of a job of GitHub Actions, at the vendor's exchange.
fn job(stage: &Stage<'_>, mut command: Command) -> Command {
    command
        .env("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_local")
        .env("ANTHROPIC_ORGANIZATION_ID", "550e8400-e29b-41d4-a716-446655440001")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/v1/identity/token?api-version=2.0", stage.base()))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "kdev-identity-request");
    command
}

/// The same by google-auth: one process, one exchange.
fn google_auth(stage: &Stage<'_>, python: &Path) -> Command {
    let base = stage.base();
    let configuration = serde_json::json!({
        "type": "external_account",
        "audience": base,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{base}/v1/oauth/token"),
        "scopes": ["user:inference"],
        "credential_source": {
            "url": format!("{base}/v1/identity/token?audience={base}"),
            "headers": { "Authorization": "Bearer kdev-identity-request" },
            "format": { "type": "json", "subject_token_field_name": "value" },
        },
    });
    let mut command = Command::new(python);
    command.arg(stage::root().join("benches/google_auth.py")).arg(configuration.to_string());
    command.env_clear().stdin(Stdio::null());
    command
}

/// An interpreter that has google-auth, and nothing else beside what it comes with.
fn python(dir: &Path) -> Result<PathBuf> {
    let place = dir.join("python");
    let made = Command::new("python3").args(["-m", "venv"]).arg(&place).status()?;
    let pip = place.join("bin/pip");
    let installed = Command::new(pip).args(["install", "--quiet"]).args(GOOGLE_AUTH).status()?;
    if made.success() && installed.success() {
        Ok(place.join("bin/python"))
    } else {
        Err("google-auth cannot be installed: it needs python3 with venv, and PyPI".into())
    }
}

/// From the first start to the last end. Each must get a token.
fn at_once(command: impl Fn() -> Command) -> Result<Duration> {
    let mut command = command();
    command.stdout(Stdio::piped());
    let begin = Instant::now();
    let children: Vec<Child> = (0..PROCESSES).map(|_| command.spawn()).collect::<Result<_, _>>()?;
    for mut child in children {
        let mut token = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut token)?;
        }
        if !child.wait()?.success() || token.trim().is_empty() {
            return Err("a process got no token".into());
        }
    }
    Ok(begin.elapsed())
}

/// How many identity tokens were issued, and how many were exchanged, so far.
fn asked(log: &Path) -> Result<(usize, usize)> {
    let text = fs::read_to_string(log)?;
    let count =
        |path: &str| text.lines().filter(|line| line.contains(path) && line.contains("\"granted\"")).count();
    Ok((count("\"/v1/identity/token\""), count("\"/v1/oauth/token\"")))
}
