//! Shared by the tests and benchmarks of the command: a home for the real command, a real provider, and helpers for
//! both.
#![expect(clippy::disallowed_methods, reason = "it starts and times real processes")]
#![expect(missing_docs, reason = "for the tests of this workspace alone")]

mod executable;
pub mod namespace;
mod npm;
mod ran;
mod records;
pub mod rounds;
pub mod upstream;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use keyfob::internals::core::contract::names;
use keyfob_dev::{DevServer, Options};
use serde_json::{Value, json};

pub use executable::{copy_of_program, script};
pub use npm::{node, npm};
pub use ran::{Ran, without_waits};
pub use records::{expired, now, read_record, write_in_place};

/// Longer than anything here takes on a busy machine: a wait that reaches it is a failure, never a pause.
const DEADLINE: Duration = Duration::from_secs(60);

/// The command as it was built for these tests, beside the directory that this test program is in. Cargo builds it
/// whenever it builds a test of the package `keyfob-tests`, so it is never an old one.
#[must_use]
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("the path of this program");
        let built = own.ancestors().nth(2).expect("a target directory").join("keyfob-tested");
        assert!(built.is_file(), "{} is built with the tests of keyfob-tests", built.display());
        built.into_os_string().into_string().expect("a path in UTF-8")
    })
}

/// Nothing of this process's own environment: a home, and where programs are.
pub fn bare<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    command.env_clear().env("HOME", home).current_dir(home);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// The local environment, with all of its bases at one provider.
pub fn local<'c>(command: &'c mut Command, base: &str) -> &'c mut Command {
    for name in [names::API_BASE, names::APPS_BASE, names::CONSOLE_BASE] {
        command.env(name, base);
    }
    command.env(names::USE_LOCAL, "1")
}

/// A provider that signs in every user, on its own port.
pub fn provider() -> DevServer {
    provider_with(Options::default())
}

pub fn provider_with(options: Options) -> DevServer {
    DevServer::start(Options { port: 0, auto_approve: true, ..options }).expect("a provider")
}

/// One user's home, and the provider that its environment names.
pub struct Home {
    dir: tempfile::TempDir,
    base: String,
    /// Additional variables for every run.
    variables: Vec<(String, String)>,
}

impl Home {
    /// An empty one.
    pub fn empty(server: &DevServer) -> Self {
        let dir = tempfile::Builder::new().prefix("keyfob-home-").tempdir().expect("a directory");
        Self { dir, base: server.base_url(), variables: Vec::new() }
    }

    /// A home that is signed in, through the real command.
    pub fn signed_in(server: &DevServer) -> Self {
        let home = Self::empty(server);
        home.login();
        home
    }

    /// From now on every run has this variable too.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    /// The user's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What `KEYFOB_HOME` names.
    pub fn home(&self) -> PathBuf {
        self.path().join("keyfob")
    }

    /// The directory of the logins.
    pub fn logins(&self) -> PathBuf {
        self.home().join("logins")
    }

    /// Gives a program this home's environment and nothing else.
    pub fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        bare(command, self.path()).env("KEYFOB_HOME", self.home());
        local(command, &self.base);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
    }

    /// The command with these words.
    pub fn keyfob<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(program());
        command.args(words);
        command
    }

    /// Another program in the same environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        self.environment(&mut command);
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.output(words).into()
    }

    /// The same, as the standard library's type.
    pub fn output(&self, words: &[&str]) -> Output {
        self.keyfob(words).output().expect("the command runs")
    }

    /// What a successful run printed.
    #[track_caller]
    pub fn out(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The answer of a successful run in JSON.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.out(&words)).expect("JSON")
    }

    /// A run that is given something on standard input. One that ends without reading it may.
    pub fn feed(&self, words: &[&str], input: &str) -> Output {
        let mut child = self.keyfob(words).stdin(Stdio::piped()).spawn().expect("the command starts");
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// The answer of `keyfob token`, which must succeed.
    #[track_caller]
    pub fn token(&self) -> String {
        self.run(&["token"]).answer().to_owned()
    }

    /// Begins `keyfob token`.
    pub fn start_token(&self) -> Child {
        self.keyfob(["token"]).spawn().expect("the command starts")
    }

    /// Signs in as a person without a screen would: prints the address, and follows it.
    pub fn login(&self) {
        let mut child = self.keyfob(["login", "--no-browser"]).spawn().expect("the command starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut url).expect("an address");
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        // Nobody waits for the closing page as long as a busy machine may need to ask for it.
        let _ = agent.get(url.trim()).call();
        let ran = Ran::from(child.wait_with_output().expect("the command ends"));
        ran.answer();
    }

    /// The one record in this home.
    pub fn record_path(&self) -> PathBuf {
        let mut records = self.files("json");
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// The files of the store with this extension.
    pub fn files(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.logins()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    pub fn record(&self) -> Value {
        read_record(&self.record_path())
    }

    /// Changes the record while no process renews.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.record_path();
        let _alone = self.idle();
        let mut record = read_record(&path);
        change(&mut record);
        write_in_place(&path, &record);
    }

    /// The access token has expired an hour ago.
    pub fn expire(&self) {
        self.edit(expired);
    }

    /// The pause before the provider may be asked again outlasts the test, however slow the machine is.
    pub fn stretch_cooldown(&self) {
        for path in self.files("json") {
            let _alone = until("the lease to be free", || self.lock(&path.with_extension("lock")));
            let mut record = read_record(&path);
            if record["cooldown"].is_object() {
                record["cooldown"]["until"] = json!(now() + 600);
                write_in_place(&path, &record);
            }
        }
    }

    /// The access token is so near its end that it should be renewed, and still good.
    pub fn wear(&self) {
        self.edit(|record| {
            record["issued_at"] = json!(now() - 3600);
            record["expires_at"] = json!(now() + 120);
        });
    }

    /// Puts a new login in the place of one that has been lost, without the ceremony.
    pub fn plant(&self, server: &DevServer) {
        let minted = server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
        for next in self.files("next") {
            fs::remove_file(next).expect("our file");
        }
        self.edit(|record| {
            // The id of the login is random, and so are these digits.
            let digits = record["login"].as_str().expect("an id").to_owned();
            record["login"] = json!(digits[1..].to_owned() + &digits[..1]);
            record["access_token"] = json!(minted.access_token);
            record["refresh_token"] = json!(minted.refresh_token);
            record["issued_at"] = json!(now());
            record["expires_at"] = json!(now() + 3600);
            for mark in ["refused", "cooldown", "unknown"] {
                record.as_object_mut().expect("an object").remove(mark);
            }
        });
    }

    /// Waits until no renewal runs, by taking the lease as every process does.
    pub fn idle(&self) -> File {
        let lock = self.record_path().with_extension("lock");
        until("the lease to be free", || self.lock(&lock))
    }

    /// Whether a process is renewing.
    pub fn is_busy(&self) -> bool {
        self.lock(&self.record_path().with_extension("lock")).is_none()
    }

    fn lock(&self, lock: &Path) -> Option<File> {
        let file = match File::open(lock) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => File::create(lock).expect("a lock file"),
            Err(error) => panic!("{error}"),
        };
        file.try_lock().is_ok().then_some(file)
    }

    /// Waits until a renewal has recorded what it is about to do.
    pub fn intended(&self) {
        let next = self.record_path().with_extension("next");
        until("the intent to renew", || fs::read(&next).is_ok_and(|bytes| !bytes.is_empty()).then_some(()));
    }
}

/// A home with its own provider.
pub struct Sandbox {
    pub server: DevServer,
    pub home: Home,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self::at(provider_with(options))
    }

    /// A home for this provider.
    pub fn at(server: DevServer) -> Self {
        let home = Home::empty(&server);
        Self { server, home }
    }

    /// Signs in without a page.
    #[track_caller]
    pub fn sign_in(&self, profile: &str, email: &str) {
        let minted = self.server.mint(email, "user:profile user:inference").expect("tokens");
        let words = ["--profile", profile, "login", "--with-token", "refresh"];
        let output = self.feed(&words, &format!("{}\n", minted.refresh_token));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Sandbox {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl DerefMut for Sandbox {
    fn deref_mut(&mut self) -> &mut Home {
        &mut self.home
    }
}

/// Looks until there is something, and fails when the deadline passes.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// How many requests the token endpoint has seen.
pub fn token_requests(server: &DevServer) -> usize {
    server.requests().iter().filter(|request| request.path == "/v1/oauth/token").count()
}

/// What a run said on standard error, but for the waits that a busy machine adds to any run: those are in [`Ran::waits`].
pub fn stderr(output: &Output) -> String {
    without_waits(&output.stderr).1
}

/// Reads to the first event of a run with `--json`: a line of its standard error that begins with `{`. All that was read,
/// and the event; `null` where it ended without one.
pub fn event(err: &mut impl BufRead) -> (String, Value) {
    let mut read = String::new();
    loop {
        let mut line = String::new();
        if err.read_line(&mut line).expect("text") == 0 {
            return (read, Value::Null);
        }
        read.push_str(&line);
        if line.starts_with('{') {
            let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            return (read, event);
        }
    }
}
