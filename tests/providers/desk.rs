//! A user with a configuration file and nothing else, and the real command.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use keyfob_testkit::{Ran, expired, program, read_record, write_in_place};

pub(crate) struct Desk {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Desk {
    pub(crate) fn configured(config: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
        fs::create_dir(desk.home()).expect("a directory");
        fs::write(desk.home().join("config.toml"), config).expect("a file of ours");
        desk
    }

    /// From now on every run has this variable too.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A file that only this user can read.
    pub(crate) fn keep(path: &Path, text: &str) {
        fs::write(path, text).expect("a file of ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
    }

    pub(crate) fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("KEYFOB_HOME", self.home());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.keyfob(words).output().expect("the command runs").into()
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(self.run(words).answer()).expect("JSON")
    }

    /// Signs in with this browser: it is given the address.
    pub(crate) fn login_with(&self, words: &[&str], browse: impl FnOnce(&str)) -> Ran {
        let led_back = self.login_unless_refused(words, |url| {
            browse(url);
            true
        });
        led_back.expect("it ends")
    }

    /// The same. `None`: no page of the provider's leads back, so nobody waits for it.
    pub(crate) fn login_unless_refused(
        &self,
        words: &[&str],
        browse: impl FnOnce(&str) -> bool,
    ) -> Option<Ran> {
        let words: Vec<_> = ["login", "--no-browser"].iter().chain(words).copied().collect();
        let mut child = self.keyfob(&words).spawn().expect("the command starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut url).expect("text");
        if url.starts_with("http") && !browse(url.trim()) {
            child.kill().expect("it waits");
            child.wait().expect("it ends");
            return None;
        }
        Some(child.wait_with_output().expect("it ends").into())
    }

    /// Signs in at a provider that asks nothing: its redirect is followed.
    pub(crate) fn login(&self) -> Ran {
        self.login_with(&[], |url| {
            let agent =
                ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
            // The command says what came of it.
            let _ = agent.get(url).call();
        })
    }

    /// Begins to sign in with a code for another device: gives what it shows.
    pub(crate) fn login_elsewhere(&self) -> (Child, Value) {
        let mut child = self.keyfob(&["login", "--device", "--json"]).spawn().expect("the command starts");
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let (_, shown) = keyfob_testkit::event(&mut messages);
        // Whoever waits for it reads on: what nobody read would stop it in the end.
        child.stderr = Some(messages.into_inner());
        (child, shown)
    }

    fn record_path(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.home().join("logins")).ok()?;
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        paths.find(|path| path.extension().is_some_and(|found| found == "json"))
    }

    pub(crate) fn has_login(&self) -> bool {
        self.record_path().is_some()
    }

    pub(crate) fn record(&self) -> Value {
        read_record(&self.record_path().expect("a record"))
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.record_path().expect("a record");
        let mut record = read_record(&path);
        change(&mut record);
        write_in_place(&path, &record);
    }

    pub(crate) fn expire(&self) {
        self.edit(expired);
    }
}
