//! Runs configured commands.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use keyfob_core::{contract, error::escape};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
};
use zeroize::Zeroizing;

use super::{env, owners};
use crate::world::{Helper, Ran};

const LARGEST: usize = 64 * 1024;
/// No pipe holds more than that (pipe(7), pipe-max-size), unless root raised it.
const MOST_IN_A_PIPE: usize = 1024 * 1024;
/// How often one looks whether the shell has ended, while nothing is heard from it.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

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
        #[expect(clippy::disallowed_methods, reason = "the one place that runs a configured command")]
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that a time-out ends whatever the shell started too.
        shell.process_group(0);
        for name in contract::secret_names() {
            shell.env_remove(name);
        }
        // Not the directory one stands in: a repository must not decide what a relative path finds.
        shell.current_dir(owners::own_home().unwrap_or_else(|| "/".into()));
        let mut child = shell.spawn()?;
        let mut output = Stream::new(child.stdout.take().map(OwnedFd::from));
        let mut said = Stream::new(child.stderr.take().map(OwnedFd::from));
        let ended = self.wait(&mut child, &mut [&mut output, &mut said], slow)?;
        // What was said before the end is in the pipes. Who else holds them is not waited for: an agent that the
        // command left behind keeps them for days.
        for stream in [&mut output, &mut said] {
            stream.take_what_is_there();
        }
        let failure = match ended {
            None => Some(format!("it took longer than {} s", self.longest.as_secs_f32())),
            Some(status) if !status.success() => Some(format!("it ended with {status}")),
            Some(_) => None,
        };
        let said = String::from_utf8_lossy(&said.bytes).lines().last().map(escape).unwrap_or_default();
        Ok(Ran { output: output.bytes, said, failure })
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::variables().text(name).map(str::to_owned)
    }
}

impl Shell {
    /// Waits for the shell itself, and takes in what is said meanwhile. `None`: it took too long and was ended.
    fn wait(
        &self,
        child: &mut Child,
        streams: &mut [&mut Stream],
        slow: &dyn Fn(),
    ) -> io::Result<Option<ExitStatus>> {
        #[expect(clippy::disallowed_methods, reason = "a time-out, which the wall clock must not shorten")]
        let begun = Instant::now();
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait().map_err(untold)? {
                return Ok(Some(status));
            }
            let taken = begun.elapsed();
            if taken >= self.longest {
                kill(child);
                child.wait().map_err(untold)?;
                return Ok(None);
            }
            if taken >= self.slow && !told {
                told = true;
                slow();
            }
            listen(streams, LOOK);
        }
    }
}

/// In a program that ignores SIGCHLD nobody can learn how a child ended. The command does not; a host may.
fn untold(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) {
        return io::Error::other("how it ended cannot be learnt, because this program ignores SIGCHLD");
    }
    error
}

/// What comes through one pipe: the beginning is kept, the rest is thrown away, so that the writer is not left waiting
/// for room.
struct Stream {
    pipe: Option<std::fs::File>,
    bytes: Zeroizing<Vec<u8>>,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        // Never grown: growing would leave a copy of a secret behind.
        Self { pipe: pipe.map(Into::into), bytes: Zeroizing::new(Vec::with_capacity(LARGEST + 1)) }
    }

    /// One read, of something that poll(2) has seen. The answer is how much that was.
    fn take(&mut self) -> usize {
        let mut chunk = Zeroizing::new([0; 4096]);
        match self.pipe.as_mut().map(|pipe| pipe.read(&mut chunk[..])) {
            Some(Ok(n)) if n > 0 => {
                let room = (LARGEST + 1).saturating_sub(self.bytes.len());
                self.bytes.extend_from_slice(&chunk[..n.min(room)]);
                n
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => 0,
            _ => {
                self.pipe = None;
                0
            }
        }
    }

    fn take_what_is_there(&mut self) {
        let mut taken = 0;
        while taken < MOST_IN_A_PIPE && self.has_something() {
            taken += self.take();
        }
    }

    fn has_something(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.pipe.as_ref().is_some_and(|pipe| {
            poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
        })
    }
}

/// Takes in what comes in this time, or waits for its end.
fn listen(streams: &mut [&mut Stream], time: Timespec) {
    let open = streams.iter().filter_map(|stream| stream.pipe.as_ref());
    let mut polled: Vec<_> = open.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)).collect();
    let _ = poll(&mut polled, Some(&time));
    for stream in streams.iter_mut().filter(|stream| stream.has_something()) {
        stream.take();
    }
}

fn kill(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at processes")]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_helper_that_does_not_end_is_ended() {
        let shell = Shell { slow: Duration::from_millis(50), longest: Duration::from_millis(250) };
        let told = Cell::new(0);
        let ran = shell.run("sleep 600 & echo $!; sleep 600", &|| told.set(told.get() + 1)).unwrap();
        assert_eq!(ran.failure.as_deref(), Some("it took longer than 0.25 s"));
        assert_eq!(told.get(), 1, "whoever waits is told once");
        // What the shell had started is ended with it; whoever adopts it may take a moment to bury it.
        let started: i32 = std::str::from_utf8(&ran.output).unwrap().trim().parse().unwrap();
        while is_alive(started) {
            std::thread::sleep(Duration::from_millis(5));
        }

        let ran = shell.run("echo key", &|| panic!("this one is not slow")).unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key\n"[..]));
    }

    fn is_alive(process: i32) -> bool {
        let state = Command::new("ps").args(["-o", "state=", "-p", &process.to_string()]).output().unwrap();
        !matches!(state.stdout.first(), None | Some(b'Z'))
    }

    /// Agents of vaults do that: the first call starts them, and they keep what they were started with. Whoever waits
    /// for the pipe instead of the shell waits for days.
    #[test]
    fn what_a_helper_leaves_behind_is_not_waited_for() {
        let shell = Shell::default();
        for leaves in ["sleep 30 & echo key; echo $! >&2", "(setsid sleep 30 & echo $! >&2); echo key"] {
            let ran = shell.run(leaves, &|| panic!("it waited for what was left behind")).unwrap();
            assert_eq!((ran.failure, &ran.output[..]), (None, &b"key\n"[..]), "{leaves}");
            let left = ran.said.parse().ok().and_then(rustix::process::Pid::from_raw).expect("its number");
            assert!(is_alive(left.as_raw_nonzero().get()), "what works on is left alone");
            rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
        }
    }

    /// More than a pipe holds, on both streams at once, said before and at the very end.
    #[test]
    fn everything_that_was_said_is_heard() {
        let shell = Shell::default();
        let ran = shell
            .run("head -c 300000 /dev/zero | tr '\\0' x >&2; echo last >&2; printf key", &|| {})
            .unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key"[..]));
        let ran = shell.run("head -c 300000 /dev/zero | tr '\\0' x; echo fine >&2; exit 3", &|| {}).unwrap();
        assert_eq!(ran.output.len(), LARGEST + 1, "too much, as everybody can see");
        assert_eq!(
            (ran.failure.as_deref(), ran.said.as_str()),
            (Some("it ended with exit status: 3"), "fine")
        );
    }
}
