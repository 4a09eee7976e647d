//! A home that is the same before each run, a provider that issued its tokens, and the commands.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufReader, Read},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use keyfob_dev::DevServer;
use serde_json::{Value, json};

use keyfob_testkit::{Home, Ran, now, program, provider, write_in_place};

/// No command here takes that long: one that reaches it hangs. The longest time-outs of keyfob itself are longer; a
/// single failing call must not lead into them.
const LONGEST: Duration = Duration::from_secs(25);

/// One command, with its initial state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// The loader and the start of Rust, which all commands share.
    Start,
    /// `token`, and the access token is good.
    Fresh,
    /// `token`, and the access token has ended: the caller, and what it does to start the worker.
    Renewing,
    /// The process that renews.
    Worker,
    /// `login`, over an older login of the same person.
    Login,
    /// `logout`.
    Logout,
    /// `exec`, up to where the program takes its place.
    Exec,
}

impl Act {
    pub(crate) const ALL: [Self; 7] =
        [Self::Start, Self::Fresh, Self::Renewing, Self::Worker, Self::Login, Self::Logout, Self::Exec];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Start => "before `main`",
            Self::Fresh => "`token`, fresh",
            Self::Renewing => "`token`, renewing",
            Self::Worker => "the worker that renews",
            Self::Login => "`login`",
            Self::Logout => "`logout`",
            Self::Exec => "`exec`",
        }
    }

    /// Whether all its threads are examined. Starting a second process is a separate act.
    pub(crate) fn has_threads(self) -> bool {
        matches!(self, Self::Worker | Self::Login | Self::Logout)
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Start | Self::Fresh => &["token"],
            Self::Renewing => &["token", "--json"],
            Self::Worker => &["internal:renew", "-"],
            Self::Login => &["login", "--json", "--no-browser"],
            Self::Logout => &["logout", "--json"],
            Self::Exec => {
                &["exec", "--json", "--", "/bin/sh", "-c", "cat <&$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"]
            }
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) ran: Ran,
    pub(crate) signal: Option<i32>,
    /// It had to be ended from outside.
    pub(crate) hung: bool,
}

pub(crate) struct Stage {
    pub(crate) server: DevServer,
    pub(crate) sandbox: Home,
    record: Value,
    path: PathBuf,
    /// The tokens of the login that was put there last.
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let server = provider();
        let sandbox = Home::signed_in(&server);
        let (record, path) = (sandbox.record(), sandbox.record_path());
        Self { server, sandbox, record, path, access: String::new(), refresh: String::new() }
    }

    /// Where strace writes.
    pub(crate) fn log(&self) -> PathBuf {
        self.sandbox.home().with_file_name("trace")
    }

    /// The home as it is before each run: its own login, fresh from the provider.
    pub(crate) fn reset(&mut self, act: Act) {
        let home = self.sandbox.home();
        fs::remove_dir_all(&home).expect("our home");
        DirBuilder::new().mode(0o700).recursive(true).create(self.sandbox.logins()).expect("a home");
        let minted = self.server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
        let mut record = self.record.clone();
        record["access_token"] = json!(minted.access_token);
        record["refresh_token"] = json!(minted.refresh_token);
        let issued = if matches!(act, Act::Renewing | Act::Worker) { now() - 7200 } else { now() };
        record["issued_at"] = json!(issued);
        record["expires_at"] = json!(issued + 3600);
        for path in [&self.path, &self.lock_path()] {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a new file");
        }
        write_in_place(&self.path, &record);
        (self.access, self.refresh) = (minted.access_token.clone(), minted.refresh_token.clone());
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// Waits until no process holds the lease. `false`: a process did not release it.
    pub(crate) fn settles(&self) -> bool {
        let end = Instant::now() + LONGEST;
        while Instant::now() < end {
            match File::open(self.lock_path()) {
                Ok(file) if file.try_lock().is_err() => thread::sleep(Duration::from_millis(1)),
                _ => return true,
            }
        }
        false
    }

    /// The record, if there is one.
    pub(crate) fn stored(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Everything in the files of this home, as text.
    pub(crate) fn everything(&self) -> String {
        let mut text = String::new();
        let mut dirs = vec![self.sandbox.home()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                } else {
                    text.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()));
                }
            }
        }
        text
    }

    /// Whether the provider takes this access token.
    pub(crate) fn is_good(&self, token: &str) -> bool {
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        let url = format!("{}/api/oauth/profile", self.server.base_url());
        let answer = agent.get(url).header("Authorization", format!("Bearer {token}")).call();
        answer.expect("an answer").status() == 200
    }

    /// Runs one command under strace with these words for it. `in_vain`: what fails does so on each connection of a
    /// browser, and a person gives up in the end.
    pub(crate) fn run(&self, act: Act, strace: &[String], in_vain: bool) -> Came {
        let mut command = Command::new("strace");
        self.sandbox.environment(&mut command).args(["-qq", "-o"]).arg(self.log()).args(strace).arg("--");
        command.arg(program()).args(act.words());
        if act == Act::Worker {
            let lock = File::open(self.lock_path()).expect("the lock file");
            lock.try_lock().expect("nobody else renews");
            command.arg(&self.path).args(["0", "", "file"]).stdin(Stdio::from(lock));
        }
        let mut child = command.spawn().expect("strace, from the package of that name");
        drop(command);
        let end = Instant::now() + LONGEST;
        let out = child.stdout.take().expect("a pipe");
        let out = thread::spawn(move || text(out));
        let gives_up = Arc::new(AtomicBool::new(false));
        let err = child.stderr.take().expect("a pipe");
        let err = match act {
            Act::Login => follow(err, end, in_vain.then(|| gives_up.clone())),
            _ => thread::spawn(move || text(err)),
        };
        let (status, hung) = loop {
            match child.try_wait().expect("our child") {
                Some(status) => break (status, false),
                None if Instant::now() > end || gives_up.load(Ordering::Relaxed) => {
                    end_all(&child);
                    break (child.wait().expect("our child"), Instant::now() > end);
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let (out, err) = (out.join().expect("stdout"), err.join().expect("stderr"));
        let ran = Ran {
            code: status.code(),
            out: out.trim_end().into(),
            err: err.trim_end().into(),
            waits: Vec::new(),
        };
        Came { ran, signal: status.signal(), hung }
    }
}

fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Does what a person would: opens the address, and again when the page does not come; one that may give up does so
/// after the third time.
fn follow(err: ChildStderr, end: Instant, gives_up: Option<Arc<AtomicBool>>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut err = BufReader::new(err);
        let (first, event) = keyfob_testkit::event(&mut err);
        let over = Arc::new(AtomicBool::new(false));
        let person = event["url"].as_str().map(|url| {
            let (url, over) = (url.to_owned(), over.clone());
            thread::spawn(move || {
                let wait = Some(Duration::from_secs(6));
                let agent =
                    ureq::Agent::config_builder().proxy(None).timeout_global(wait).build().new_agent();
                let mut tries = 0;
                while Instant::now() < end && !over.load(Ordering::Relaxed) && agent.get(&url).call().is_err()
                {
                    tries += 1;
                    if let (3, Some(gives_up)) = (tries, &gives_up) {
                        gives_up.store(true, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            })
        });
        let rest = text(err);
        over.store(true, Ordering::Relaxed);
        if let Some(person) = person {
            person.join().expect("a person");
        }
        first + &rest
    })
}

/// Kills the traced process, and so ends strace.
fn end_all(strace: &Child) {
    let id = strace.id();
    let children = fs::read_to_string(Path::new("/proc").join(format!("{id}/task/{id}/children")));
    for child in children.unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()) {
        keyfob_testkit::rounds::kill(rustix::process::Pid::from_raw(child).expect("a process"));
    }
}
