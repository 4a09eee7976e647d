//! Runs one case: a separate provider and home, then run after run, then the search for leaks.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use keyfob::{
    Client, Purpose,
    internals::{
        core::contract::{self, Variables},
        renewal::InThread,
        setup::{Choices, Setup},
        world::system,
    },
};
use keyfob_dev::{ApiKey, DevServer, Options};

use crate::{
    blanks::{self, Blanks},
    case::{self, Case, Run},
    child::{Ran, ran},
    descriptors::Handed,
    expect,
    leaks::Search,
};

/// The separate environment of one case.
pub(crate) struct Stage<'c> {
    case: &'c Case,
    /// Whether the provider demands what the vendor's does.
    vendor: bool,
    pub(crate) server: &'c DevServer,
    pub(crate) home: PathBuf,
    pub(crate) blanks: Blanks<'c>,
    search: Search,
    /// Files that the case itself wrote: they may contain its own secrets.
    written: Vec<PathBuf>,
    problems: Vec<String>,
}

/// What the local environment is told of a provider that demands what the vendor's does.
const VENDOR: &str = r#"
token_body = "json"
token_headers = { refresh_token = { anthropic-beta = "oauth-2025-04-20" } }
api_headers = { anthropic-beta = "oauth-2025-04-20" }
"#;

/// The same configuration, with this said of every environment, and of the local one in any case.
fn for_vendor(config: &str) -> String {
    let mut told = String::new();
    for line in config.lines() {
        told += line;
        told += if line.starts_with("[environments.") { VENDOR } else { "\n" };
    }
    if config.contains("[environments.local]") { told } else { told + "[environments.local]" + VENDOR }
}

/// Runs it and reports everything that differs from the case.
pub(crate) fn play(case: &Case, vendor: bool) -> Vec<String> {
    let salt = salt();
    let text = fs::read_to_string(case::directory().join(&case.name).join("case.toml")).expect("it was read");
    let keys = blanks::keys_in(&text).into_iter();
    let options = Options {
        port: 0,
        auto_approve: true,
        vendor,
        access_token_ttl: Duration::from_secs(case.provider.access_token_ttl.unwrap_or(3600)),
        api_keys: keys
            .map(|name| ApiKey::new(&blanks::api_key(name, &salt), &format!("{name}@example.com")))
            .collect(),
        clients: case.provider.clients.iter().map(|words| words.parse().expect("a client")).collect(),
        faults: case.provider.faults.iter().map(|words| words.parse().expect("a fault")).collect(),
        ..Options::default()
    };
    let server = DevServer::start(options).expect("a provider");
    let dir = tempfile::Builder::new().prefix("keyfob-case-").tempdir().expect("a directory");
    let home = dir.path().canonicalize().expect("our directory");
    let blanks = Blanks::new(&server, home.to_str().expect("text"), &salt);
    let mut stage = Stage {
        case,
        vendor,
        server: &server,
        home,
        blanks,
        search: Search::default(),
        written: vec![],
        problems: vec![],
    };
    stage.given();
    for (at, run) in case.run.iter().enumerate() {
        let before = stage.problems.len();
        stage.run(at, run);
        let told = match &run.shell {
            Some(script) => script.trim().to_owned(),
            None => format!("keyfob {}", run.args.join(" ")),
        };
        for problem in &mut stage.problems[before..] {
            *problem = format!("run {} ({told}): {problem}", at + 1);
        }
    }
    stage.debug();
    stage.leaks();
    stage.problems
}

/// 24 random characters.
fn salt() -> String {
    let mut octets = [0; 12];
    keyfob::internals::world::Entropy::fill(&system::entropy::SystemEntropy, &mut octets)
        .expect("randomness");
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Stage<'_> {
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn given(&mut self) {
        let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path).expect("ours");
        private(&self.home.join("keyfob"));
        private(&self.home.join("tmp"));
        let mut files = self.case.given.files.clone();
        let config = self.case.given.config.as_deref();
        if self.vendor || config.is_some() {
            let config = config.unwrap_or_default();
            let config = if self.vendor { for_vendor(config) } else { config.to_owned() };
            files.insert("keyfob/config.toml".into(), config);
        }
        for (name, content) in files {
            let path = self.home.join(name);
            private(path.parent().expect("a home"));
            fs::write(&path, self.blanks.fill(&content)).expect("ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
            self.written.push(path);
        }
        if let Some(who) = &self.case.given.signed_in {
            let mut command = Command::new(keyfob_testkit::program());
            command.args(["login", "--with-token", "refresh"]);
            self.environment(&mut command, &BTreeMap::new(), true);
            let mut handed = Handed::make(&[], &self.blanks, &self.home).expect("nothing to hand over");
            let token = self.blanks.fill(&format!("{{refresh:{who}}}\n"));
            let ran = ran(handed.start(command), token.as_bytes(), false).expect("it signs in");
            assert_eq!(ran.code, 0, "{}: nobody could sign in: {}", self.case.name, ran.err);
        }
    }

    /// Nothing of ours, what every home has, and these.
    fn environment(&self, command: &mut Command, variables: &BTreeMap<String, String>, local: bool) {
        keyfob_testkit::bare(command, &self.home).env("KEYFOB_HOME", self.home.join("keyfob"));
        command.env("TMPDIR", self.home.join("tmp"));
        if local {
            keyfob_testkit::local(command, &self.server.base_url());
        }
        for (name, value) in variables {
            command.env(name, self.blanks.fill(value));
        }
    }

    fn command(&self, run: &Run) -> Command {
        let mut command = match &run.shell {
            Some(script) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &self.blanks.fill(script)]);
                shell
            }
            None => {
                let mut keyfob = Command::new(keyfob_testkit::program());
                keyfob.args(run.args.iter().map(|word| self.blanks.fill(word)));
                keyfob
            }
        };
        let mut variables = self.case.env.clone();
        variables.extend(run.env.clone());
        self.environment(&mut command, &variables, !self.case.given.bare);
        for name in &run.unset {
            command.env_remove(name);
        }
        command
    }

    fn run(&mut self, at: usize, run: &Run) {
        self.server.advance(run.advance);
        if run.expire {
            self.expire();
        }
        let asked = self.server.requests().len();
        let all = self.start(run);
        self.stretch();
        self.harvest();
        for (number, ran) in all.iter().enumerate() {
            let place = |stream: &str| format!("{stream} of run {}, process {}", at + 1, number + 1);
            self.search.place(place("stderr"), ran.err.clone());
            if !run.tells_secrets() {
                self.search.place(place("stdout"), ran.out.clone());
            }
            let before = self.problems.len();
            expect::words(self.case, run, ran, &self.blanks, &mut self.problems);
            if self.problems.len() > before && all.len() > 1 {
                self.problems.push(format!("that was process {} of {}", number + 1, all.len()));
                break;
            }
        }
        let answers: std::collections::BTreeSet<_> = all.iter().map(|ran| &ran.out).collect();
        if answers.len() != 1 {
            self.problems.push(format!("{} processes gave {} answers", all.len(), answers.len()));
        }
        let traffic = self.server.requests().split_off(asked);
        expect::traffic(run, &traffic, &mut self.problems);
        if let Some(whoami) = &run.whoami {
            expect::whoami(self, whoami, &all[0].out);
        }
        let mut problems = Vec::new();
        expect::files(self, run, &mut problems);
        self.problems.append(&mut problems);
        if let Some(name) = &run.save {
            self.blanks.save(name, &all[0].out);
        }
    }

    fn start(&mut self, run: &Run) -> Vec<Ran> {
        let descriptors = if run.descriptors { &self.case.descriptor[..] } else { &[] };
        let stdin = self.blanks.fill(&run.stdin);
        let problems = Mutex::new(Vec::new());
        let done = Mutex::new(Vec::new());
        let left = Mutex::new(run.times);
        let next = || {
            let mut left = left.lock().expect("nobody panics here");
            left.checked_sub(1).map(|fewer| *left = fewer)
        };
        // Made by this thread: what fills the blanks is not shared between threads.
        let mut ready = Vec::new();
        for _ in 0..run.times {
            let handed = Handed::make(descriptors, &self.blanks, &self.home).expect("descriptors");
            ready.push((self.command(run), handed));
        }
        let ready = Mutex::new(ready);
        thread::scope(|scope| {
            for _ in 0..run.at_once.min(run.times) {
                scope.spawn(|| {
                    while next().is_some() {
                        let (command, mut handed) = ready.lock().expect("a queue").pop().expect("one each");
                        let ran = ran(handed.start(command), stdin.as_bytes(), run.follow);
                        let mut problems = problems.lock().expect("a list");
                        handed.check(&mut problems);
                        match ran {
                            Ok(ran) => done.lock().expect("a list").push(ran),
                            Err(error) => problems.push(format!("could not be run: {error}")),
                        }
                    }
                });
            }
        });
        self.problems.append(&mut problems.into_inner().expect("a list"));
        done.into_inner().expect("a list")
    }

    /// Every stored access token ended an hour ago.
    fn expire(&self) {
        for path in self.store("logins") {
            let mut record: serde_json::Value =
                serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
            record["expires_at"] = (real_now() - 3600).into();
            record["issued_at"] = (real_now() - 7200).into();
            fs::write(&path, record.to_string()).expect("a record");
        }
    }

    /// A pause before the provider may be asked again outlasts the case: how soon the next run comes depends on the machine.
    fn stretch(&self) {
        for path in self.store("logins") {
            let bytes = fs::read(&path).expect("a record");
            let Ok(mut record) = serde_json::from_slice::<serde_json::Value>(&bytes) else { continue };
            if record["cooldown"].is_object() {
                record["cooldown"]["until"] = (real_now() + 600).into();
                fs::write(&path, record.to_string()).expect("a record");
            }
        }
    }

    fn store(&self, of: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home.join("keyfob").join(of)).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// The tokens minted so far.
    fn harvest(&mut self) {
        for of in ["logins", "devices", "run/helper"] {
            for path in self.store(of) {
                self.search.store(&path);
            }
        }
    }

    /// The `{:?}` output of everything that the library holds.
    fn debug(&mut self) {
        for (at, run) in self.case.run.iter().enumerate() {
            let command = self.command(run);
            let text = |os: &std::ffi::OsStr| os.to_str().map(str::to_owned);
            let variables: Variables = command
                .get_envs()
                .filter_map(|(name, value)| Some((text(name)?, value.and_then(text))))
                .collect();
            let place = |what: &str| format!("the Debug of {what}, run {}", at + 1);
            let reading = contract::read(&variables);
            self.search.place(place("the reading"), format!("{variables:?} {reading:#?}"));
            let setup = Setup::read(&variables, Choices::default(), &system::files::Disk, Some(&self.home));
            // What the configuration says is shown, also a helper's words: no secret belongs there.
            self.search.place(place("the setup"), format!("{setup:#?}"));
            let client =
                Client::with(setup, system::world(system::routes::Routes::default()), Arc::new(InThread));
            for purpose in [Purpose::Api, Purpose::Remote] {
                let survey = client.survey(purpose);
                self.search.place(place("the survey"), format!("{client:?} {survey:#?}"));
            }
            // Only of this case's own provider is anything asked.
            let ours = |client: &Client| {
                let environment = client.environment().ok();
                environment.and_then(|e| e.api_base.clone()) == Some(self.server.base_url())
            };
            if ours(&client) && client.setup().config.api_key_helper.is_none() {
                let grant = client.grant(Purpose::Api);
                self.search.place(place("the grant"), format!("{grant:#?}"));
            }
        }
    }

    fn leaks(&mut self) {
        self.harvest();
        for (name, secret) in self.blanks.secrets() {
            self.search.secret(format!("{{{name}}}"), &secret);
        }
        self.search.place("the provider's log", format!("{:?}", self.server.requests()));
        for one in &self.case.descriptor {
            self.written.push(self.home.join(format!("descriptor-{}", one.number)));
        }
        self.search.files(&self.home.clone(), &self.written);
        self.problems.append(&mut self.search.leaks());
    }
}

fn real_now() -> i64 {
    use keyfob::internals::world::Clock;
    system::clock::SystemClock.now().0
}
