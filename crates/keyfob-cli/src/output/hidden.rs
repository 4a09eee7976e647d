//! Asks the user for a secret: typed or pasted text is not shown, and the terminal's settings are restored, also after
//! Ctrl-C, and when the process is told to end.

use std::{
    io,
    time::{Duration, Instant},
};

use keyfob::{
    Error,
    internals::{core::Id, world::system::process::Postponed},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
    io::Errno,
    process::{Signal, getpid, kill_process},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

use crate::output::report::Report;

/// The same limit as for a descriptor.
const LARGEST: usize = 64 * 1024;
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_BACKSLASH: u8 = 0x1c;
const DELETE: u8 = 0x7f;

/// How often a signal that came is noticed, if it did not interrupt the wait for a key.
const LOOK: Duration = Duration::from_millis(100);

/// One line from the terminal on standard input, without its end.
pub(crate) fn ask(prompt: &str, patience: Duration) -> Result<Zeroizing<String>, Error> {
    Report::show(prompt);
    let postponed = Postponed::begin().map_err(|error| unreadable(&error))?;
    let quiet = Quiet::begin().map_err(|error| unreadable(&error))?;
    let line = read(patience);
    drop(quiet);
    postponed.end();
    match line? {
        Typed::Line(line) => {
            let text = std::str::from_utf8(&line).map_err(|_| wrong("what was pasted is not text"))?;
            Ok(Zeroizing::new(without_marks(text).to_owned()))
        }
        Typed::Ended => Err(wrong("nothing was pasted")),
        Typed::Interrupted => {
            // As if the terminal had sent it: whoever started this sees how it ended.
            let _ = kill_process(getpid(), Signal::INT);
            Err(wrong("it was interrupted"))
        }
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Id::Usage, "no token was read from the terminal", why).hint("paste one token and press Enter")
}

fn unreadable(error: &io::Error) -> Error {
    Error::new(Id::Usage, "no token was read from the terminal", error.to_string())
        .hint("write the token to standard input: `keyfob login --with-token access < FILE`")
}

/// The markers that a terminal puts around a paste if an earlier program enabled them and did not disable them.
fn without_marks(text: &str) -> &str {
    let text = text.strip_prefix("\u{1b}[200~").unwrap_or(text);
    text.strip_suffix("\u{1b}[201~").unwrap_or(text).trim()
}

/// The terminal shows nothing and delivers every key at once, Ctrl-C too, until this is dropped. (A line of a terminal
/// in its usual mode is silently cut at 4095 characters.)
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // What is left of a paste must not become a command of the shell's: it is thrown away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

enum Typed {
    Line(Zeroizing<Vec<u8>>),
    Ended,
    Interrupted,
}

fn read(patience: Duration) -> Result<Typed, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bound for a wait, which the wall clock must not shorten"
    )]
    let begun = Instant::now();
    // Never grown: growing would leave a copy of a secret behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    let mut chunk = Zeroizing::new([0_u8; 1024]);
    loop {
        if Postponed::has_come() {
            return Ok(Typed::Interrupted);
        }
        let left = patience.saturating_sub(begun.elapsed());
        let time = Timespec { tv_sec: 0, tv_nsec: left.min(LOOK).subsec_nanos().into() };
        match poll(&mut [PollFd::new(&io::stdin(), PollFlags::IN)], Some(&time)) {
            Ok(0) if !left.is_zero() => continue,
            Ok(0) => {
                let why = format!("nothing was pasted in {} s", patience.as_secs());
                return Err(Error::new(Id::LoginTimeout, "signing in was not finished", why)
                    .hint("start again, with a longer `--timeout` if that is needed"));
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(unreadable(&error.into())),
        }
        let count = match rustix::io::read(io::stdin(), &mut chunk[..]) {
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(unreadable(&error.into())),
        };
        if count == 0 {
            return Ok(Typed::Ended);
        }
        for &key in &chunk[..count] {
            match key {
                b'\n' | b'\r' if line.is_empty() => {}
                b'\n' | b'\r' => return Ok(Typed::Line(line)),
                CTRL_C | CTRL_BACKSLASH => return Ok(Typed::Interrupted),
                CTRL_D if line.is_empty() => return Ok(Typed::Ended),
                CTRL_D => return Ok(Typed::Line(line)),
                BACKSPACE | DELETE => drop(line.pop()),
                CTRL_U => line.clear(),
                key if line.len() < LARGEST => line.push(key),
                _ => return Err(wrong("what was pasted is longer than 64 KiB")),
            }
        }
    }
}
