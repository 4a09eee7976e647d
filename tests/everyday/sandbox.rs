//! A machine of its own for one test: a provider, a home, an empty environment.
#![expect(clippy::disallowed_methods, reason = "tests start the real command")]

use std::{
    ffi::OsStr,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use keyfob_dev::{DevServer, Options};
use serde_json::Value;

pub(crate) struct Sandbox {
    pub(crate) server: DevServer,
    pub(crate) home: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let server =
            DevServer::start(Options { port: 0, auto_approve: true, ..options }).expect("a provider");
        Self { server, home: tempfile::tempdir().expect("a directory") }
    }

    /// The command, with nothing of the test's own environment.
    pub(crate) fn keyfob<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(keyfob_testkit::program());
        command.args(words);
        command
    }

    /// Another program in the same environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.home.path()).env("KEYFOB_HOME", self.home.path().join("keyfob"));
        command.env("USE_LOCAL_OAUTH", "1").current_dir(self.home.path());
        for base in ["API", "APPS", "CONSOLE"] {
            command.env(format!("CLAUDE_LOCAL_OAUTH_{base}_BASE"), self.server.base_url());
        }
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.keyfob(words).stdin(Stdio::null()).output().expect("the command runs")
    }

    /// What a successful run printed.
    pub(crate) fn out(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.out(&words)).expect("JSON")
    }

    /// A run that is given something on standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Output {
        let mut child = self
            .keyfob(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }

    /// Signs in without a page.
    pub(crate) fn sign_in(&self, profile: &str, email: &str) {
        let minted = self.server.mint(email, "user:profile user:inference").expect("tokens");
        let words = ["--profile", profile, "login", "--with-token", "refresh"];
        let output = self.feed(&words, &format!("{}\n", minted.refresh_token));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn logins(&self) -> PathBuf {
        self.home.path().join("keyfob/logins")
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
