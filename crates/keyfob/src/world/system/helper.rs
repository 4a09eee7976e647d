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

use keyfob_core::error::escape;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
};
use zeroize::Zeroizing;

use super::{env, owners, withheld};
use crate::world::{Heard, Helper, Ran};

const LARGEST: usize = 64 * 1024;
/// No pipe holds more than that (pipe(7), pipe-max-size), unless root raised it.
const MOST_IN_A_PIPE: usize = 1024 * 1024;
/// How often one looks whether the shell has ended, while nothing is heard from it.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// After so many looks without more, what came is passed on, whole line or not.
const SETTLED: u32 = 30;

/// `/bin/sh`.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    /// After this time it is reported that the command is still running.
    slow: Duration,
    /// After this time it is ended, with everything it started.
    longest: Duration,
}

impl Default for Shell {
    fn default() -> Self {
        Self { slow: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Helper for Shell {
    fn run(&self, command: &str, hear: &mut dyn FnMut(Heard<'_>)) -> io::Result<Ran> {
        #[expect(clippy::disallowed_methods, reason = "the one place that runs a configured command")]
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A separate process group, so that a time-out ends whatever the shell started too.
        shell.process_group(0);
        for name in withheld::from_helpers() {
            shell.env_remove(name);
        }
        // Not the directory one stands in: a repository must not decide what a relative path finds.
        shell.current_dir(owners::own_home().unwrap_or_else(|| "/".into()));
        let mut child = shell.spawn()?;
        let mut output = Stream::new(child.stdout.take().map(OwnedFd::from));
        let mut said = Stream::new(child.stderr.take().map(OwnedFd::from));
        let ended = self.wait(&mut child, &mut output, &mut said, hear)?;
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
        if failure.is_none() {
            said.pass_on(hear);
        }
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
        output: &mut Stream,
        said: &mut Stream,
        hear: &mut dyn FnMut(Heard<'_>),
    ) -> io::Result<Option<ExitStatus>> {
        #[expect(clippy::disallowed_methods, reason = "a time-out, which the wall clock must not shorten")]
        let begun = Instant::now();
        let mut told = false;
        let mut quiet = 0_u32;
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
                hear(Heard::Slow);
            }
            let before = said.bytes.len();
            listen(&mut [&mut *output, &mut *said], LOOK);
            // A line that is not ended may be all there is to come: it asks for something.
            if said.bytes.len() > before {
                quiet = 0;
            } else {
                quiet += 1;
            }
            if told && (said.bytes.ends_with(b"\n") || quiet >= SETTLED) {
                said.pass_on(hear);
            }
        }
    }
}

/// In a program that ignores SIGCHLD the exit status of a child is not available. The command does not; a host may.
fn untold(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) {
        return io::Error::other("how it ended cannot be learnt, because this program ignores SIGCHLD");
    }
    error
}

/// What comes through one pipe: the beginning is kept, the rest is thrown away, so that the writer is not left waiting
/// for space.
struct Stream {
    pipe: Option<std::fs::File>,
    bytes: Zeroizing<Vec<u8>>,
    /// How much of it has been passed on.
    passed: usize,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        // Never grown: growing would leave a copy of a secret behind.
        Self { pipe: pipe.map(Into::into), bytes: Zeroizing::new(Vec::with_capacity(LARGEST + 1)), passed: 0 }
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

    fn pass_on(&mut self, hear: &mut dyn FnMut(Heard<'_>)) {
        let new = &self.bytes[self.passed..];
        if !new.is_empty() {
            hear(Heard::Said(new));
            self.passed = self.bytes.len();
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
        let ended = |longest: Duration| {
            let shell = Shell { slow: longest / 5, longest };
            let told = Cell::new(0);
            let mut hear = |heard: Heard<'_>| {
                if let Heard::Slow = heard {
                    told.set(told.get() + 1);
                }
            };
            let ran = shell.run("sleep 600 & echo $!; sleep 600", &mut hear).unwrap();
            let why = format!("it took longer than {} s", longest.as_secs_f64());
            assert_eq!(ran.failure.as_deref(), Some(&*why));
            assert_eq!(told.get(), 1, "whoever waits is told once");
            ran
        };
        // A busy machine may not have come to start it by then.
        let mut longest = [250, 2000, 20_000].into_iter().map(Duration::from_millis);
        let ran = longest.find_map(|longest| Some(ended(longest)).filter(|ran| !ran.output.is_empty()));
        let ran = ran.expect("it was started");
        // What the shell had started is ended with it; the process that adopts it may take a moment to reap it.
        let started: i32 = std::str::from_utf8(&ran.output).unwrap().trim().parse().unwrap();
        while is_alive(started) {
            std::thread::sleep(Duration::from_millis(5));
        }

        let shell = Shell { slow: Duration::from_secs(20), ..Shell::default() };
        let ran = shell.run("echo key", &mut |heard| panic!("this one is not slow: {heard:?}")).unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key\n"[..]));
    }

    fn is_alive(process: i32) -> bool {
        let state = Command::new("ps").args(["-o", "state=", "-p", &process.to_string()]).output().unwrap();
        !matches!(state.stdout.first(), None | Some(b'Z'))
    }

    /// Agents of vaults do that: the first call starts them, and they keep what they were started with. Waiting for the
    /// pipe instead of the shell would take days.
    #[test]
    fn what_a_helper_leaves_behind_is_not_waited_for() {
        let shell = Shell { slow: Duration::from_secs(15), ..Shell::default() };
        let mut not_slow =
            |heard: Heard<'_>| assert!(!matches!(heard, Heard::Slow), "it waited for what was left behind");
        for leaves in ["sleep 30 & echo key; echo $! >&2", "(setsid sleep 30 & echo $! >&2); echo key"] {
            let ran = shell.run(leaves, &mut not_slow).unwrap();
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
            .run("head -c 300000 /dev/zero | tr '\\0' x >&2; echo last >&2; printf key", &mut |_| {})
            .unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key"[..]));
        let ran =
            shell.run("head -c 300000 /dev/zero | tr '\\0' x; echo fine >&2; exit 3", &mut |_| {}).unwrap();
        assert_eq!(ran.output.len(), LARGEST + 1, "too much, as everybody can see");
        assert_eq!(
            (ran.failure.as_deref(), ran.said.as_str()),
            (Some("it ended with exit status: 3"), "fine")
        );
    }

    /// It may ask for something, and wait for it: then it is too late to show that at its end.
    #[test]
    fn what_a_slow_command_says_is_heard_while_it_runs() {
        let shell = Shell { slow: Duration::from_millis(50), longest: Duration::from_secs(30) };
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("touched");
        let command = format!(
            "printf 'early\n' >&2; sleep 0.2; printf 'touch your key' >&2; until [ -e {0} ]; do sleep 0.02; done; echo late >&2; echo key",
            mark.display()
        );
        let mut said = Vec::new();
        let mut hear = |heard: Heard<'_>| {
            if let Heard::Said(text) = heard {
                said.extend_from_slice(text);
                if said.ends_with(b"touch your key") {
                    std::fs::write(&mark, "").unwrap();
                }
            }
        };
        let ran = shell.run(&command, &mut hear).unwrap();
        assert_eq!((ran.failure, &ran.output[..]), (None, &b"key\n"[..]));
        assert_eq!(String::from_utf8_lossy(&said), "early\ntouch your keylate\n");
    }
}
