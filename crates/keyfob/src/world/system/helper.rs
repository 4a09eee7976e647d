//! The API key helper's process.

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use keyfob_core::{contract, error::escape};
use zeroize::Zeroizing;

use crate::{
    setup::home,
    world::{Helper, Ran, system::env},
};

const LARGEST: u64 = 64 * 1024;

/// `/bin/sh`.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    /// After this time whoever waits is told that it runs.
    slow: Duration,
    /// After this time it is ended, with everything it started.
    longest: Duration,
}

impl Default for Shell {
    fn default() -> Self {
        Self { slow: Duration::from_secs(10), longest: Duration::from_secs(60) }
    }
}

impl Helper for Shell {
    fn run(&self, command: &str, slow: &dyn Fn()) -> io::Result<Ran> {
        #[expect(clippy::disallowed_methods, reason = "the one place that runs the configured helper")]
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that a time-out ends whatever the shell started too.
        shell.process_group(0);
        for name in contract::secret_names() {
            shell.env_remove(name);
        }
        // Not the directory one stands in: a repository must not decide what a relative path finds.
        shell.current_dir(home::own_home().unwrap_or_else(|| "/".into()));
        let mut child = shell.spawn()?;
        let (sender, ended) = mpsc::channel();
        let streams = (child.stdout.take(), child.stderr.take());
        let reader = thread::spawn(move || {
            let said = streams.1.map(|stream| thread::spawn(move || read(stream)));
            let output = streams.0.map(read).unwrap_or_default();
            let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
            let _ = sender.send(());
            (output, said)
        });
        let late = ended.recv_timeout(self.slow).is_err() && {
            slow();
            ended.recv_timeout(self.longest - self.slow).is_err()
        };
        if late {
            kill(&child);
        }
        let status = child.wait()?;
        let (output, said) = reader.join().unwrap_or_default();
        let failure = match (late, status.success()) {
            (true, _) => Some(format!("it took longer than {} s", self.longest.as_secs_f32())),
            (false, false) => Some(format!("it ended with {status}")),
            (false, true) => None,
        };
        let said = String::from_utf8_lossy(&said).lines().last().map(escape).unwrap_or_default();
        Ok(Ran { output, said, failure })
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::variables().text(name).map(str::to_owned)
    }
}

fn read(stream: impl Read) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let mut stream = stream.take(LARGEST + 1);
    let _ = stream.read_to_end(&mut bytes);
    // The rest is thrown away, so that the writer is not left waiting for room.
    let _ = io::copy(&mut stream.into_inner(), &mut io::sink());
    bytes
}

fn kill(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// That this returns at all shows that what the shell left in the background is gone too: it held the pipe.
    #[test]
    fn a_helper_that_does_not_end_is_ended() {
        let shell = Shell { slow: Duration::from_millis(50), longest: Duration::from_millis(250) };
        let told = Cell::new(0);
        let ran = shell.run("sleep 600 & echo half; sleep 600", &|| told.set(told.get() + 1)).unwrap();
        assert_eq!(ran.failure.as_deref(), Some("it took longer than 0.25 s"));
        assert_eq!(told.get(), 1, "whoever waits is told once");

        let ran = shell.run("echo key", &|| panic!("this one is not slow")).unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key\n"[..]));
    }
}
