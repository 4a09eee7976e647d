//! `keyfob demo`: an end-to-end demo against a built-in provider. Each step runs the command itself in a separate
//! process, exactly as a person would type it.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode, Output, Stdio},
    time::Duration,
};

use keyfob::internals::world::system::program;
use keyfob::{
    Error,
    internals::{
        core::Id,
        core::contract::{self, names},
    },
};
use keyfob_dev::{DevServer, Options};
use serde_json::Value;

use crate::{
    args::Demo,
    commands::dev_server,
    internal::Task,
    output::{
        report::{Report, Result},
        terminal,
    },
};

/// Short enough to see a token expire, long enough to see it used before.
const LIFETIME: Duration = Duration::from_secs(4);

struct Stage {
    server: DevServer,
    home: tempfile::TempDir,
}

pub(crate) fn run(args: &Demo) -> Result {
    let automatic = args.yes || !terminal::has_person();
    let failed =
        |error: io::Error| Error::caused_by(Id::StoreFailed, "the demo cannot make its directory", error);
    let home = tempfile::Builder::new().prefix("keyfob-demo-").tempdir().map_err(failed)?;
    let server = dev_server::start(Options {
        port: 0,
        auto_approve: automatic,
        access_token_ttl: LIFETIME,
        ..Options::default()
    })?;
    let stage = Stage { server, home };

    say("1. A provider", &format!("The development provider listens at {}.", stage.server.base_url()));
    stage.sign_in(automatic)?;
    stage.show_store()?;
    stage.hand_over()?;
    stage.renew()?;
    stage.sign_out()?;
    say(
        "Done",
        "Nothing of this is left: the provider and its home end with the demo. Next: `keyfob --help`.",
    );
    Ok(ExitCode::SUCCESS)
}

impl Stage {
    /// A keyfob of this stage's home and provider, and of nothing else in the environment.
    fn keyfob<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the demo runs the command as a person would")]
        let mut command = Command::new(program::own());
        command.arg("--home").arg(self.home.path()).args(words);
        for variable in contract::VARIABLES.iter().chain(contract::REFERENCED) {
            command.env_remove(variable.name);
        }
        command.env(names::USE_LOCAL, "1");
        for base in [names::API_BASE, names::APPS_BASE, names::CONSOLE_BASE] {
            command.env(base, self.server.base_url());
        }
        command
    }

    fn output<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Output> {
        let output = self.keyfob(words).stdin(Stdio::null()).output().map_err(broken)?;
        if output.status.success() {
            return Ok(output);
        }
        Report::say(String::from_utf8_lossy(&output.stderr).trim_end());
        Err(Error::new(Id::Bug, "a step of the demo failed", format!("it ended with {}", output.status))
            .into())
    }

    fn json(&self, words: &[&str]) -> Result<Value> {
        let output = self.output(words.iter().copied().chain(["--json"]))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| Error::new(Id::Bug, "a step of the demo failed", "its answer is not JSON").into())
    }

    fn sign_in(&self, automatic: bool) -> Result<()> {
        if !automatic {
            say("2. Sign in", "`keyfob login` opens the browser; type any e-mail address.");
            let status = self.keyfob(["login"]).stdout(Stdio::inherit()).status().map_err(broken)?;
            return if status.success() {
                Ok(())
            } else {
                Err(Error::new(Id::LoginDenied, "nobody signed in", "the demo ends here").into())
            };
        }
        say("2. Sign in", "`keyfob login --no-browser`; the page is answered automatically.");
        let mut child = self
            .keyfob(["login", "--no-browser"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut url = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut url).map_err(broken)?;
        }
        follow(url.trim())?;
        if child.wait().map_err(broken)?.success() {
            return Ok(());
        }
        Err(Error::new(Id::Bug, "a step of the demo failed", "nobody is signed in").into())
    }

    fn show_store(&self) -> Result<()> {
        let logins = self.home.path().join("logins");
        let record = std::fs::read_dir(&logins)
            .map_err(broken)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "json"));
        let record =
            record.ok_or_else(|| Error::new(Id::Bug, "a step of the demo failed", "no login was stored"))?;
        say("3. The store", &format!("The login is in {} ({}).", record.display(), mode(&record)));
        let status = self.json(&["status"])?;
        detail(&format!(
            "keyfob status: {} from {}",
            text(&status["identity"]["email"]),
            text(&status["winner"]["source"])
        ));
        Ok(())
    }

    fn hand_over(&self) -> Result<()> {
        say(
            "4. Hand over",
            "`keyfob exec` gives a program the credential on a pipe; the program calls the provider.",
        );
        let program = program::own();
        // The child finds itself through the same link we do.
        let program = std::fs::canonicalize(&program).unwrap_or(program);
        let base = self.server.base_url();
        let words: [&OsStr; 5] = [
            "exec".as_ref(),
            "--".as_ref(),
            program.as_os_str(),
            Task::DemoChild.word().as_ref(),
            base.as_ref(),
        ];
        let output = self.output(words)?;
        detail(&format!("the provider saw: {}", String::from_utf8_lossy(&output.stdout).trim()));
        Ok(())
    }

    fn renew(&self) -> Result<()> {
        let before = self.json(&["status"])?;
        say(
            "5. Renew",
            &format!("The access token ends {}. Waiting for it.", text(&before["winner"]["expires_at"])),
        );
        std::thread::sleep(LIFETIME + Duration::from_millis(100));
        let renewed = self.json(&["token"])?;
        detail(&format!(
            "generation {} became {}, valid until {}",
            before["winner"]["generation"],
            renewed["generation"],
            text(&renewed["expires_at"])
        ));
        detail(&format!("the provider served {} refresh request(s)", self.server.grants().refreshes));
        if renewed["generation"].as_u64() <= before["winner"]["generation"].as_u64() {
            return Err(Error::new(Id::Bug, "a step of the demo failed", "the token was not renewed").into());
        }
        Ok(())
    }

    fn sign_out(&self) -> Result<()> {
        say("6. Sign out", "`keyfob logout` revokes at the provider first.");
        let ended = self.json(&["logout"])?;
        let revocation = text(&ended["logged_out"][0]["revocation"]);
        detail(&format!("revocation: {revocation}"));
        let status = self.keyfob(["status", "--json"]).stdin(Stdio::null()).output().map_err(broken)?;
        detail(&format!("keyfob status now exits {} (not signed in)", status.status.code().unwrap_or(-1)));
        match (revocation, status.status.code()) {
            ("confirmed", Some(1)) => Ok(()),
            _ => Err(Error::new(Id::Bug, "a step of the demo failed", "the login is not gone").into()),
        }
    }
}

/// A browser without a screen: goes where the provider sends it, once to the callback and once to the closing
/// page.
fn follow(url: &str) -> Result<()> {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let answer = agent.get(url).call();
    answer.map(|_| ()).map_err(|error| Error::caused_by(Id::Bug, "the sign-in page", error).into())
}

fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .map_or("?".into(), |meta| format!("mode {:04o}", meta.permissions().mode() & 0o7777))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn broken(error: io::Error) -> Error {
    Error::caused_by(Id::Bug, "a step of the demo failed", error)
}

fn say(title: &str, text: &str) {
    Report::say(&format!("\n{title}\n   {text}"));
}

fn detail(text: &str) {
    Report::say(&format!("   {text}"));
}
