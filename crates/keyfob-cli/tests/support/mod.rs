//! A home of its own for the real command, against a real provider, and the few things one wants to do to both.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use keyfob_dev::{DevServer, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Longer than anything here takes on a busy machine: a wait that reaches it is a failure, never a pause.
const DEADLINE: Duration = Duration::from_secs(60);

/// The built command.
pub(crate) fn program() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_keyfob") {
        Some(path) => path.into(),
        // An example lies one directory below the command.
        None => {
            let example = std::env::current_exe().expect("the path of this program");
            example.parent().and_then(Path::parent).expect("a target directory").join("keyfob")
        }
    }
}

/// A provider that signs everybody in, on a port of its own.
pub(crate) fn provider() -> DevServer {
    provider_with(Options::default())
}

pub(crate) fn provider_with(options: Options) -> DevServer {
    DevServer::start(Options { port: 0, auto_approve: true, ..options }).expect("a provider")
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output, without the final newline.
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ran {
    /// The answer of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn answer(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    /// Checks that a `--json` run failed like this.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, id: &str) -> &Self {
        let answer: Value = serde_json::from_str(&self.out).unwrap_or_default();
        assert_eq!((self.code, answer["error"]["id"].as_str()), (Some(code), Some(id)), "{self:?}");
        self
    }
}

/// One user's home, and the provider its environment names.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    base: String,
}

impl Sandbox {
    /// An empty home.
    pub(crate) fn empty(server: &DevServer) -> Self {
        let dir = tempfile::Builder::new().prefix("keyfob-fire-").tempdir().expect("a directory");
        Self { dir, base: server.base_url() }
    }

    /// A home that somebody has signed in to, through the real command.
    pub(crate) fn signed_in(server: &DevServer) -> Self {
        let sandbox = Self::empty(server);
        sandbox.login();
        sandbox
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The directory of the logins.
    pub(crate) fn logins(&self) -> PathBuf {
        self.home().join("logins")
    }

    /// `program` with this sandbox's environment and nothing else.
    pub(crate) fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env_clear().env("KEYFOB_HOME", self.home()).env("USE_LOCAL_OAUTH", "1");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for base in ["API", "APPS", "CONSOLE"] {
            command.env(format!("CLAUDE_LOCAL_OAUTH_{base}_BASE"), &self.base);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/")
    }

    /// The command with these words.
    pub(crate) fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        self.environment(&mut command).args(words);
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.keyfob(words).output().expect("the command runs").into()
    }

    /// The answer of `keyfob token`, which must succeed.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        self.run(&["token"]).answer().to_owned()
    }

    /// Begins `keyfob token`.
    pub(crate) fn start_token(&self) -> Child {
        self.keyfob(&["token"]).spawn().expect("the command starts")
    }

    /// Signs in as a person without a screen would: prints the address, and follows it.
    pub(crate) fn login(&self) {
        let mut child = self.keyfob(&["login", "--no-browser"]).spawn().expect("the command starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut url).expect("an address");
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        agent.get(url.trim()).call().expect("the closing page");
        let ran = Ran::from(child.wait_with_output().expect("the command ends"));
        ran.answer();
    }

    /// The one record in this home.
    pub(crate) fn record_path(&self) -> PathBuf {
        let mut records = self.files("json");
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// The files of the store with this extension.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.logins()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    pub(crate) fn record(&self) -> Value {
        read_record(&self.record_path())
    }

    /// Changes the record while nobody renews.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.record_path();
        let _alone = self.idle();
        let mut record = read_record(&path);
        change(&mut record);
        write_in_place(&path, &record);
    }

    /// The access token has expired an hour ago.
    pub(crate) fn expire(&self) {
        self.edit(expired);
    }

    /// The access token is so near its end that it should be renewed, and still good.
    pub(crate) fn wear(&self) {
        self.edit(|record| {
            record["issued_at"] = json!(now() - 3600);
            record["expires_at"] = json!(now() + 120);
        });
    }

    /// Puts a new login in the place of one that has been lost, without the ceremony.
    pub(crate) fn plant(&self, server: &DevServer) {
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

    /// Waits until no renewal runs, by taking the lease like everybody else.
    pub(crate) fn idle(&self) -> File {
        let lock = self.record_path().with_extension("lock");
        until("the lease to be free", || self.lock(&lock))
    }

    /// Whether somebody is renewing.
    pub(crate) fn is_busy(&self) -> bool {
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
    pub(crate) fn intended(&self) {
        let next = self.record_path().with_extension("next");
        until("the intent to renew", || fs::read(&next).is_ok_and(|bytes| !bytes.is_empty()).then_some(()));
    }
}

/// The change that makes a record's access token an expired one.
pub(crate) fn expired(record: &mut Value) {
    record["issued_at"] = json!(now() - 7200);
    record["expires_at"] = json!(now() - 3600);
}

/// A record as it stands on the disk. It must be whole.
pub(crate) fn read_record(path: &Path) -> Value {
    let bytes = fs::read(path).expect("a record");
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

/// Writes a record where it lies, so that links and mounts keep showing it, and never leaves it empty.
pub(crate) fn write_in_place(path: &Path, record: &Value) {
    let bytes = serde_json::to_vec_pretty(record).expect("JSON");
    let file = File::options().write(true).open(path).expect("the record is ours");
    file.write_all_at(&bytes, 0).and_then(|()| file.set_len(bytes.len() as u64)).expect("the record is ours");
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end of time")
}

/// Looks until there is something, and fails when the deadline passes.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Ends processes at moments that differ from run to run; the moments asked for do not.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `end` (SplitMix64).
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }

    /// Waits for a while below `longest`.
    pub(crate) fn pause(&mut self, longest: Duration) {
        let micros = u64::try_from(longest.as_micros()).expect("a short while");
        thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

/// The process that renews for this caller, once there is one. `None`: the caller ended without one.
pub(crate) fn worker_of(caller: &mut Child) -> Option<Pid> {
    let list = format!("/proc/{0}/task/{0}/children", caller.id());
    until("the renewing process", || {
        let children = fs::read_to_string(&list).unwrap_or_default();
        if let Some(id) = children.split_whitespace().next() {
            return Some(Pid::from_raw(id.parse().expect("a process id")));
        }
        caller.try_wait().expect("our child").map(|_| None)
    })
}

/// How many requests the token endpoint has seen.
pub(crate) fn token_requests(server: &DevServer) -> usize {
    server.requests().iter().filter(|request| request.path == "/v1/oauth/token").count()
}

/// A mount namespace of its own, in which tests may fill, remount and bind what they like. An ordinary user gets one
/// inside a user namespace; where neither is allowed the test fails and says so.
pub(crate) struct Namespace {
    keeper: Child,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(if rustix::process::geteuid().is_root() { &["-m"][..] } else { &["-Urm"] });
        // It says when it is there, and ends with its standard input.
        command.args(["sh", "-c", "echo there; read end"]);
        let mut keeper =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare of util-linux");
        let mut line = String::new();
        let _ = BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut line);
        assert_eq!(line, "there\n", "this test needs `unshare -m` as root, or `unshare -Urm` as anybody");
        Self { keeper }
    }

    /// `program` inside, with nothing but what `sandbox` gives.
    pub(crate) fn command(&self, sandbox: &Sandbox, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        sandbox.environment(&mut command).args(["-t", &self.keeper.id().to_string(), "-m"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("--").args(words);
        command
    }

    pub(crate) fn run(&self, sandbox: &Sandbox, words: &[&str]) -> Ran {
        self.command(sandbox, words).output().expect("nsenter of util-linux").into()
    }

    /// A command line for the shell, which must succeed.
    #[track_caller]
    pub(crate) fn shell(&self, sandbox: &Sandbox, line: &str) {
        let ran = self.run(sandbox, &["sh", "-euc", line]);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
    }

    /// A path inside, as it is reached from outside.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Ends a process, if it is still there.
pub(crate) fn kill(process: Pid) {
    let _ = kill_process(process, Signal::KILL);
}

/// One storm: so many processes ask for the token of one expired login at once. Exactly one grant, the same new
/// token for all, and no failure.
pub(crate) fn storm(server: &DevServer, sandbox: &Sandbox, processes: usize) -> Duration {
    let before = server.grants();
    let old = sandbox.record()["access_token"].as_str().expect("a token").to_owned();
    sandbox.expire();
    let began = Instant::now();
    let started: Vec<Child> = (0..processes).map(|_| sandbox.start_token()).collect();
    let ended = started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    let answers: Vec<String> = ended
        .map(|ran| {
            assert_eq!(ran.err, "", "a word of trouble");
            ran.answer().to_owned()
        })
        .collect();
    let took = began.elapsed();
    let after = server.grants();
    assert_eq!(after.refreshes - before.refreshes, 1, "one renewal for all");
    assert_eq!(after.reuses, 0, "a refresh token was spent twice");
    let new = sandbox.record()["access_token"].as_str().expect("a token").to_owned();
    assert_ne!(old, new);
    assert!(answers.iter().all(|answer| *answer == new), "not all got the new token");
    took
}

/// What became of a login whose renewing process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process was faster.
    Renewed,
    /// Nothing had been spent: the next call renewed.
    Kept,
    /// The answer was on the disk: the next call adopted it.
    Adopted,
    /// The answer was lost with the process: the one declared retry was refused.
    Lost,
}

/// One round in which the process that renews is itself killed at some moment. Whatever that moment was, the next
/// call renews, adopts, or says that the login has ended; it never crashes, hangs or asks twice.
pub(crate) fn kill_worker(server: &DevServer, sandbox: &Sandbox, dice: &mut Dice, longest: Duration) -> Fate {
    let before = server.grants();
    let generation = sandbox.record()["generation"].clone();
    sandbox.expire();
    let mut caller = sandbox.keyfob(&["token", "--json"]).spawn().expect("the command starts");
    if let Some(worker) = worker_of(&mut caller) {
        dice.pause(longest);
        kill(worker);
    }
    let first = Ran::from(caller.wait_with_output().expect("it ends"));
    // What had been sent is processed, even if nobody waits for the answer any more.
    settled(server);
    let spent = server.grants().refreshes - before.refreshes;
    if first.code == Some(0) {
        assert_eq!((spent, server.grants().reuses), (1, before.reuses), "{first:?}");
        return Fate::Renewed;
    }
    first.failed(6, "outcome-unknown");
    let written = sandbox.record()["generation"] != generation
        || sandbox.files("next").first().is_some_and(|next| is_successor(next, &generation));
    let second = sandbox.run(&["token", "--json"]);
    let after = server.grants();
    match (spent, written) {
        (0, false) => {
            second.answer();
            assert_eq!((after.refreshes - before.refreshes, after.reuses), (1, before.reuses));
            Fate::Kept
        }
        (1, true) => {
            second.answer();
            assert_eq!((after.refreshes - before.refreshes, after.reuses), (1, before.reuses));
            Fate::Adopted
        }
        (1, false) => {
            second.failed(4, "login-refused");
            assert_eq!((after.refreshes - before.refreshes, after.reuses), (1, before.reuses + 1));
            assert!(sandbox.record()["refresh_token"].is_string(), "a refused login is kept as it was");
            Fate::Lost
        }
        other => panic!("{other:?}: {first:?} {second:?}"),
    }
}

/// Waits until the provider has processed what it was sent before: a request behind the others takes as long, and a
/// second one begins when the first has ended.
fn settled(server: &DevServer) {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    for _ in 0..2 {
        let url = format!("{}/.well-known/oauth-authorization-server", server.base_url());
        agent.get(url).call().expect("an answer");
    }
}

/// Whether a file holds a whole record of another generation: before it asks, a renewal may put the record itself
/// there, to save what it knows.
fn is_successor(path: &Path, generation: &Value) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let record = serde_json::from_slice::<Value>(&bytes);
    record.is_ok_and(|record| record["refresh_token"].is_string() && record["generation"] != *generation)
}

/// One round in which the caller is killed at some moment. Whether it was still running. The login must be intact
/// afterwards: the next call succeeds, and there was exactly one grant, no matter who asked for it.
pub(crate) fn kill_caller(server: &DevServer, sandbox: &Sandbox, dice: &mut Dice, longest: Duration) -> bool {
    let before = server.grants();
    sandbox.expire();
    let mut caller = sandbox.start_token();
    dice.pause(longest);
    let running = caller.try_wait().expect("our child").is_none();
    caller.kill().expect("our child");
    caller.wait().expect("our child");
    let token = sandbox.token();
    let after = server.grants();
    assert_eq!(after.refreshes - before.refreshes, 1, "one renewal a round");
    assert_eq!(after.reuses, 0, "a refresh token was spent twice");
    assert_eq!(sandbox.record()["access_token"], token);
    running
}
