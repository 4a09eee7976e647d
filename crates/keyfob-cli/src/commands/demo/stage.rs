//! The demo's provider, directory and processes. All of them are removed when the demo ends, however it ends.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        core::contract::{self, names},
        world::system::program,
    },
};
use keyfob_dev::{DevServer, Options};
use serde_json::Value;

use crate::{
    commands::dev_server,
    output::report::{Report, Result},
};

/// How often the end of a process is checked.
const LOOK: Duration = Duration::from_millis(5);

pub(super) struct Stage {
    shared: Arc<Mutex<Shared>>,
    pub(super) base: String,
    pub(super) home: PathBuf,
}

/// What an interrupt ends.
#[derive(Default)]
struct Shared {
    over: bool,
    server: Option<DevServer>,
    home: Option<tempfile::TempDir>,
    children: Vec<Child>,
}

/// A process of the demo.
pub(super) struct Running {
    id: u32,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<ChildStderr>,
}

impl Stage {
    /// From here on an interrupt leaves nothing behind.
    pub(super) fn open(options: Options) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let ours = Arc::clone(&shared);
        let interrupted = move |signal| {
            end(&ours);
            Report::say("\nInterrupted: the demo ends, and nothing of it is left.");
            std::process::exit(128 + signal);
        };
        let failed = |error| Error::caused_by(Id::SystemFailed, "the demo cannot watch for Ctrl-C", error);
        keyfob_dev::on_interrupt(interrupted).map_err(failed)?;
        let (base, home) = {
            let mut shared = held(&shared);
            let failed = |error: io::Error| {
                Error::caused_by(Id::StoreFailed, "the demo cannot make its directory", error)
            };
            let home = tempfile::Builder::new().prefix("keyfob-demo-").tempdir().map_err(failed)?;
            let server = dev_server::start(options)?;
            let places = (server.base_url(), home.path().to_owned());
            (shared.home, shared.server) = (Some(home), Some(server));
            places
        };
        Ok(Self { shared, base, home })
    }

    /// Reads the provider's own state, or changes its settings.
    pub(super) fn with_server<T>(&self, act: impl FnOnce(&DevServer) -> T) -> Result<T> {
        let shared = held(&self.shared);
        let gone = || Error::new(Id::Bug, "a step of the demo failed", "its provider has ended");
        Ok(act(shared.server.as_ref().ok_or_else(gone)?))
    }

    /// A keyfob with this stage's home and provider, and an otherwise empty environment.
    pub(super) fn keyfob<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the demo runs the command as a person would")]
        let mut command = Command::new(program::own());
        command.arg("--home").arg(&self.home).args(words);
        for variable in contract::VARIABLES.iter().chain(contract::REFERENCED) {
            command.env_remove(variable.name);
        }
        command.env(names::USE_LOCAL, "1");
        for base in [names::API_BASE, names::APPS_BASE, names::CONSOLE_BASE] {
            command.env(base, &self.base);
        }
        command
    }

    /// Starts a process without input, and captures its output.
    pub(super) fn start(&self, command: &mut Command) -> Result<Running> {
        self.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts a process and waits for it. The caller chooses its streams.
    pub(super) fn watch(&self, command: &mut Command) -> Result<ExitStatus> {
        let running = self.spawn(command)?;
        let status = self.reap(running.id)?;
        if status.signal().is_some() {
            // Ctrl-C at a terminal reaches all of its processes: this one hears of it in a moment, and ends then. On a busy
            // machine that is a long one.
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(50));
                drop(held(&self.shared));
            }
        }
        Ok(status)
    }

    fn spawn(&self, command: &mut Command) -> Result<Running> {
        let mut shared = held(&self.shared);
        let mut child = command.spawn().map_err(broken)?;
        let (stdout, stderr) = (child.stdout.take().map(BufReader::new), child.stderr.take());
        let id = child.id();
        shared.children.push(child);
        Ok(Running { id, stdout, stderr })
    }

    /// The whole output of a process.
    pub(super) fn finish(&self, mut running: Running) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let errors = running.stderr.take();
            let reader = thread::Builder::new()
                .spawn_scoped(scope, || errors.map_or(Ok(0), |mut errors| errors.read_to_end(&mut stderr)));
            if let Some(answer) = &mut running.stdout {
                answer.read_to_end(&mut stdout)?;
            }
            reader.map(drop)
        })
        .map_err(broken)?;
        Ok(Output { status: self.reap(running.id)?, stdout, stderr })
    }

    fn reap(&self, id: u32) -> Result<ExitStatus> {
        loop {
            {
                // Waited for under the same lock that an interrupt kills under: no other process has its number by then.
                let mut shared = held(&self.shared);
                let found = shared.children.iter().position(|child| child.id() == id);
                let gone = || Error::new(Id::Bug, "a step of the demo failed", "its process is not known");
                let at = found.ok_or_else(gone)?;
                if shared.children[at].try_wait().map_err(broken)?.is_some() {
                    return Ok(shared.children.swap_remove(at).wait().map_err(broken)?);
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// The answer of a process that has to succeed.
    pub(super) fn success(&self, running: Running) -> Result<Vec<u8>> {
        let output = self.finish(running)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Report::say(String::from_utf8_lossy(&output.stderr).trim_end());
        let why = format!("it ended with {}", output.status);
        Err(Error::new(Id::Bug, "a step of the demo failed", why).into())
    }

    pub(super) fn output<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Vec<u8>> {
        let running = self.start(&mut self.keyfob(words))?;
        self.success(running)
    }

    pub(super) fn json(&self, words: &[&str]) -> Result<Value> {
        parsed(&self.output(words.iter().copied().chain(["--json"]))?)
    }
}

impl Running {
    /// The first line of its answer, without the line end. Empty: it has ended.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_line(&mut line).map_err(broken)?;
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After an interrupt this does not return either: the step failed because its provider was taken away, and
        // an error of it must not end the process before the interrupt does.
        drop(held(&self.shared));
        end(&self.shared);
    }
}

/// After an interrupt this does not return: the process is about to end, and must not start or report anything more.
fn held(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    loop {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if !shared.over {
            return shared;
        }
        drop(shared);
        thread::sleep(LOOK);
    }
}

/// Ends everything, once. A second caller waits until that is done.
fn end(shared: &Mutex<Shared>) {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    shared.over = true;
    for mut child in shared.children.drain(..) {
        let _ = child.kill();
        let _ = child.wait();
    }
    // Before the directory: a renewal in a session of its own waits for it, and would write again.
    drop(shared.server.take());
    if let Some(home) = shared.home.take() {
        let home = home.keep();
        if !is_removed(&home) {
            Report::say(&format!("{} could not be removed.", home.display()));
        }
    }
}

/// What still writes into a directory may be faster than its removal, so it is looked at again.
fn is_removed(directory: &Path) -> bool {
    (0..40).any(|_| {
        let _ = fs::remove_dir_all(directory);
        thread::sleep(LOOK);
        !directory.exists()
    })
}

pub(super) fn parsed(answer: &[u8]) -> Result<Value> {
    serde_json::from_slice(answer)
        .map_err(|_| Error::new(Id::Bug, "a step of the demo failed", "its answer is not JSON").into())
}

pub(super) fn broken(error: io::Error) -> Error {
    Error::caused_by(Id::Bug, "a step of the demo failed", error)
}
