//! Mounts in a private namespace, visible to one test.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{Home, Ran};

/// A private mount namespace, in which tests may fill, remount and bind what they like. An ordinary user gets one
/// inside a user namespace; where neither is allowed the test fails and says so.
pub struct Namespace {
    keeper: Child,
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Namespace {
    pub fn new() -> Self {
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
    pub fn command(&self, sandbox: &Home, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        sandbox.environment(&mut command).args(["-t", &self.keeper.id().to_string(), "-m"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("--").args(words);
        command
    }

    pub fn run(&self, sandbox: &Home, words: &[&str]) -> Ran {
        self.command(sandbox, words).output().expect("nsenter of util-linux").into()
    }

    /// A command line for the shell, which must succeed.
    #[track_caller]
    pub fn shell(&self, sandbox: &Home, line: &str) {
        let ran = self.run(sandbox, &["sh", "-euc", line]);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
    }

    /// A path inside, as it is reached from outside.
    pub fn path(&self, path: &Path) -> PathBuf {
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
