//! The set-up of every benchmark: the distributed program, a provider, a login.
//!
//! This is not `keyfob-testkit`, which starts the command as built for the tests, and its provider in a thread of the
//! test; to use it, Cargo would build the libraries a second time, with other flags, and the provider's work would be
//! measured as the benchmark's. The benchmarks measure the distributed build, installed, with the provider in another
//! process, and driven from outside as a shell drives it. So the two share only a form on the disk and a few variables,
//! which are written in both.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The distributed program, installed.
pub(crate) struct Program {
    path: PathBuf,
    /// On the disk of what was built: `/tmp` is often none, and then nothing is ever synced.
    dir: tempfile::TempDir,
}

impl Program {
    /// Builds it as it is distributed and installs it; or installs the one that `KEYFOB_BENCH_PROGRAM` names, such as one
    /// with symbols for a profiler.
    pub(crate) fn build() -> Result<Self> {
        let built = match std::env::var_os("KEYFOB_BENCH_PROGRAM") {
            Some(other) => other.into(),
            None => built(&[])?,
        };
        let directory = built.parent().ok_or("a program lies in a directory")?;
        let dir = tempfile::Builder::new().prefix("keyfob-bench-").tempdir_in(directory)?;
        let path = dir.path().join("keyfob");
        install(&built, &path)?;
        Ok(Self { path, dir })
    }

    /// A temporary directory for one use.
    pub(crate) fn directory(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.dir.path())?)
    }

    /// The program with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(words).env_clear().stdin(Stdio::null());
        command
    }
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the command as it is distributed, with these additional arguments for cargo; returns its path.
pub(crate) fn built(features: &[&str]) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let status = Command::new(env!("CARGO"))
        .args(["build", "--profile", "dist", "-p", "keyfob-cli", "--target", &target])
        .args(features)
        .current_dir(root())
        .status()?;
    if !status.success() {
        return Err(format!("not built; it may need `rustup target add {target}`").into());
    }
    // This benchmark is `TARGET/release/deps/performance-…`.
    let own = std::env::current_exe()?;
    let built = own.ancestors().nth(3).ok_or("cargo puts a benchmark three directories deep")?;
    Ok(built.join(target).join("dist/keyfob"))
}

/// Installs a program as it is after the machine was started: on the disk, not yet in memory. A file just written is in
/// memory in large pages and starts a fifth faster than one read from the disk, which would make the result too good.
pub(crate) fn install(built: &Path, place: &Path) -> Result<()> {
    fs::copy(built, place)?;
    let file = fs::File::open(place)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// A provider, and a directory with logins at it.
pub(crate) struct Stage<'p> {
    program: &'p Program,
    provider: Child,
    base: String,
    home: tempfile::TempDir,
}

impl<'p> Stage<'p> {
    /// Starts a provider that answers after `latency`. Its words come after `before`, which may confine it.
    pub(crate) fn start(program: &'p Program, latency: Duration, confined_to: Option<usize>) -> Result<Self> {
        Self::begin(program, latency, confined_to, &[])
    }

    /// Starts one that answers at once, with these words more.
    pub(crate) fn start_with(program: &'p Program, words: &[&str]) -> Result<Self> {
        Self::begin(program, Duration::ZERO, None, words)
    }

    fn begin(
        program: &'p Program,
        latency: Duration,
        confined_to: Option<usize>,
        words: &[&str],
    ) -> Result<Self> {
        let mut command = match confined_to {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(&program.path);
                command
            }
            None => Command::new(&program.path),
        };
        command.args(["dev-server", "--port", "0", "--auto-approve", "--access-token-ttl", "86400"]);
        command.args(["--latency", &latency.as_millis().to_string()]).args(words);
        let mut provider =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut base = String::new();
        if let Some(stdout) = provider.stdout.take() {
            BufReader::new(stdout).read_line(&mut base)?;
        }
        let home = program.directory()?;
        Ok(Self { program, provider, base: base.trim().to_owned(), home })
    }

    /// Passes everything to a command of this stage in the environment: the shortest command line is the one people
    /// use.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program.command(words);
        command.env("KEYFOB_HOME", self.home.path()).env("USE_LOCAL_OAUTH", "1").current_dir("/");
        for base in ["API", "APPS", "CONSOLE"] {
            command.env(format!("CLAUDE_LOCAL_OAUTH_{base}_BASE"), &self.base);
        }
        command
    }

    /// Signs in as a user would.
    pub(crate) fn sign_in(&self, profile: &str) -> Result<Login> {
        let words = ["login", "--no-browser", "--profile", profile];
        let mut child = self.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut url = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let answer = Connection::open(url.trim())?.request("GET", url.trim(), "")?;
        let location = answer.header("location").ok_or("the provider did not answer with the callback")?;
        Connection::open(&location)?.request("GET", &location, "")?;
        if !child.wait()?.success() {
            return Err("nobody is signed in".into());
        }
        for entry in fs::read_dir(self.home.path().join("logins"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&format!("{profile}-")) && name.ends_with(".json") {
                return Ok(Login { path: path.clone(), base: self.base.clone() });
            }
        }
        Err("no login was stored".into())
    }

    /// The directory of this stage's logins and configuration.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The provider's base URL.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Removes every login.
    pub(crate) fn forget(&self) -> Result<()> {
        match fs::remove_dir_all(self.home.path().join("logins")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// A connection to the provider.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(&self.base)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let _ = self.provider.kill();
        let _ = self.provider.wait();
    }
}

/// A stored login.
pub(crate) struct Login {
    pub(crate) path: PathBuf,
    base: String,
}

impl Login {
    fn record(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(&self.path)?)?)
    }

    /// Lets its access token have ended a while ago, as it does by itself every hour.
    pub(crate) fn expire(&self) -> Result<()> {
        let mut record = self.record()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        record["issued_at"] = (now - 7200).into();
        record["expires_at"] = (now - 3600).into();
        // In place: its permissions stay, and the measured renewal finds the disk as it usually is.
        fs::write(&self.path, serde_json::to_vec_pretty(&record)?)?;
        fs::File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    /// Takes its refresh token away from the program, to renew with it by hand.
    pub(crate) fn refresh_token(&self) -> Result<RefreshToken> {
        let record = self.record()?;
        let token = record["refresh_token"].as_str().ok_or("the login has no refresh token")?.to_owned();
        Ok(RefreshToken { token, url: format!("{}/v1/oauth/token", self.base) })
    }
}

/// A refresh token that is spent and replaced with nothing around it: no disk, no lock, no process.
pub(crate) struct RefreshToken {
    token: String,
    url: String,
}

impl RefreshToken {
    /// One grant.
    pub(crate) fn spend(&mut self, connection: &mut Connection) -> Result<()> {
        let form = format!("grant_type=refresh_token&refresh_token={}&client_id=keyfob-local", self.token);
        let answer: Value = serde_json::from_slice(&connection.request("POST", &self.url, &form)?.body)?;
        self.token = answer["refresh_token"].as_str().ok_or("the provider refused")?.to_owned();
        Ok(())
    }

    /// The provider's answer time for a new client: connection, request, answer.
    pub(crate) fn round_trip(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        let mut connection = Connection::open(&self.url)?;
        self.spend(&mut connection)?;
        Ok(begin.elapsed())
    }
}

/// The least HTTP there is, so that what is measured is the provider.
pub(crate) struct Connection(BufReader<TcpStream>);

pub(crate) struct Answer {
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (this, value) = line.split_once(':')?;
            this.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

impl Connection {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let stream = TcpStream::connect(split(url)?.0)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn request(&mut self, method: &str, url: &str, form: &str) -> Result<Answer> {
        let (host, path) = split(url)?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while self.0.read_line(&mut head)? > 2 {}
        let mut answer = Answer { head, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body)?;
        Ok(answer)
    }
}

/// Host and port, and the rest of the URL.
fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or("the development provider speaks plain http")?;
    let path = rest.find('/').unwrap_or(rest.len());
    Ok((&rest[..path], if path == rest.len() { "/" } else { &rest[path..] }))
}

/// Confines this, and what it starts, to one core.
pub(crate) fn confined(core: usize, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let anywhere = sched_getaffinity(None)?;
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let done = act();
    sched_setaffinity(None, &anywhere)?;
    done
}

/// The machine this ran on, in a line.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str, separator: char| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(separator))
            .map_or("?".to_owned(), |value| value.trim().trim_matches('"').to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, Linux {}, {cores} cores ({}), load {}",
        value(&read("/etc/os-release"), "PRETTY_NAME", '='),
        read("/proc/sys/kernel/osrelease").trim(),
        value(&read("/proc/cpuinfo"), "model name", ':'),
        read("/proc/loadavg").split(' ').next().unwrap_or("?")
    )
}
