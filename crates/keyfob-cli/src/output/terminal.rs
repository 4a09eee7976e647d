//! Terminal output and input.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    path::Path,
    sync::mpsc::{self, Receiver},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use keyfob::{
    Error,
    internals::{core::Id, world::system::env},
};

use crate::output::{progress, report::Report};

/// A longer line is never intended.
const LONGEST_LINE: usize = 1024 * 1024;
/// The maximum that a terminal in its usual mode keeps of a line, without the line end; it drops the rest silently.
const KEPT_BY_A_TERMINAL: usize = 4095;

/// Lines of stdin, as they arrive, each whole or with the reason why it is not. The thread ends with the process: a
/// read from a terminal cannot be cancelled. It hangs up when stdin has ended, and reads no faster than its receiver.
pub(crate) fn lines() -> Receiver<Result<String, Error>> {
    let (sender, receiver) = mpsc::sync_channel(16);
    let read = move || {
        let (mut pipe, mut line) = (io::stdin().lock(), Vec::new());
        loop {
            line.clear();
            match pipe.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let mut whole = line.ends_with(b"\n") || line.len() < LONGEST_LINE;
            while !whole {
                let mut rest = Vec::new();
                match pipe.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut rest) {
                    Ok(read) => whole = read == 0 || rest.ends_with(b"\n"),
                    Err(_) => return,
                }
                line.resize(LONGEST_LINE + 1, 0);
            }
            if sender.send(checked(&line, in_lines)).is_err() {
                return;
            }
        }
    };
    // Without a thread for it there is nothing to read: the same as a stdin that has ended.
    let _ = std::thread::Builder::new().name("stdin".into()).spawn(read);
    receiver
}

/// Whether stdin is a terminal in its usual mode, which buffers a line until it ends.
fn in_lines() -> bool {
    let modes = rustix::termios::tcgetattr(io::stdin());
    modes.is_ok_and(|modes| modes.local_modes.contains(rustix::termios::LocalModes::ICANON))
}

/// A line, unless the terminal may have cut it.
fn checked(line: &[u8], in_lines: fn() -> bool) -> Result<String, Error> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let cut = |why: String| Error::new(Id::CallbackInvalid, "the pasted text was cut on the way", why);
    if line.len() > LONGEST_LINE {
        return Err(cut("a line of it is longer than a mebibyte".into()).hint("paste the code alone"));
    }
    if text.len() >= KEPT_BY_A_TERMINAL && in_lines() {
        let why = format!("a terminal keeps {KEPT_BY_A_TERMINAL} characters of a line and drops the rest");
        return Err(cut(why)
            .hint("end this with Ctrl-C, run `stty -icanon`, sign in again, and `stty icanon` afterwards"));
    }
    Ok(text.to_owned())
}

/// Asks the user at the terminal, and waits for a line. An empty one accepts the default. Nothing else may be reading
/// [`lines`] meanwhile.
pub(crate) fn ask(question: &str, offered: Option<&str>) -> Result<String, Error> {
    let ended = || {
        let why = "the terminal was closed instead of an answer";
        Error::new(Id::Usage, format!("nothing was answered to: {question}"), why).hint("start again")
    };
    loop {
        let offer = offered.map(|offer| format!(" [{offer}]")).unwrap_or_default();
        progress::clear();
        let mut out = io::stderr().lock();
        let _ = write!(out, "{question}{offer}: ").and_then(|()| out.flush());
        drop(out);
        let mut line = Vec::new();
        let read = io::stdin().lock().take(KEPT_BY_A_TERMINAL as u64 + 1).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return Err(ended());
        }
        let answer = String::from_utf8_lossy(&line).trim().to_owned();
        match (answer.is_empty(), offered) {
            (false, _) => return Ok(answer),
            (true, Some(offered)) => return Ok(offered.to_owned()),
            (true, None) => {}
        }
    }
}

/// Asks for a yes, which is the default for an empty line.
pub(crate) fn agrees(question: &str) -> Result<bool, Error> {
    Ok(matches!(ask(question, Some("Y/n"))?.as_str(), "Y/n" | "y" | "Y" | "yes"))
}

/// Whether standard input is a terminal with a user.
pub(crate) fn is_typed() -> bool {
    io::stdin().is_terminal()
}

/// Whether a user sees the output.
pub(crate) fn is_watched() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

/// Whether standard input has ended, determined without reading any of it. A pipe with a live writer may still deliver
/// something.
pub(crate) fn has_input_ended() -> bool {
    use rustix::{
        event::{PollFd, PollFlags, poll},
        fs::{FileType, Timespec, fstat, tell},
    };
    let stdin = io::stdin();
    let Ok(stat) = fstat(&stdin) else { return true };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            tell(&stdin).is_ok_and(|at| i64::try_from(at).is_ok_and(|at| at >= stat.st_size))
        }
        FileType::CharacterDevice => {
            let null = rustix::fs::stat("/dev/null");
            null.is_ok_and(|null| null.st_rdev == stat.st_rdev)
        }
        _ => {
            let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let ready = poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0);
            ready
                && polled[0].revents().contains(PollFlags::HUP)
                && !polled[0].revents().contains(PollFlags::IN)
        }
    }
}

/// Whether a user can answer.
pub(crate) fn has_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The screen behind stderr. `None`: there is none, or one that knows no escape sequences (`TERM=dumb`).
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn find() -> Option<Self> {
        let capable = env::variables().text("TERM").is_some_and(|term| !matches!(term, "dumb" | "linux"));
        (capable && io::stderr().is_terminal()).then_some(Self(()))
    }

    /// The screen, for a user who asked for the clipboard.
    pub(crate) fn for_copy() -> Result<Self, Error> {
        Self::find().ok_or_else(|| {
            let why = "standard error is not a terminal that could be asked to (TERM, OSC 52)";
            Error::new(Id::Usage, "--copy cannot reach a clipboard", why)
                .hint("leave it out, and take the address from standard output")
        })
    }

    /// A link that works however often the URL beside it was wrapped (OSC 8).
    pub(crate) fn link(&self, address: &str, text: &str) {
        if is_plain(address) {
            let text = plain(text);
            Report::show(&format!("Or follow this link: \x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"));
        }
    }

    /// Asks the terminal to put a URL into the clipboard of the machine it is shown on (OSC 52).
    pub(crate) fn copy(&self, address: &str) {
        let wrapped = BASE64_STANDARD.encode(address);
        Report::show(&format!(
            "\x1b]52;c;{wrapped}\x07The address is in the clipboard, if your terminal allows it."
        ));
    }
}

/// Whether the user of this terminal probably sits at another machine: over SSH, or outside a container.
pub(crate) fn is_far_away() -> bool {
    let variables = env::variables();
    let over_ssh = ["SSH_CONNECTION", "SSH_TTY"].iter().any(|name| variables.text(name).is_some());
    over_ssh || ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}

/// Whether a URL is one, and cannot end the escape sequence that contains it.
fn is_plain(address: &str) -> bool {
    address.bytes().all(|b| b.is_ascii_graphic())
}

/// Escapes external text.
pub(crate) fn plain(text: &str) -> String {
    keyfob::internals::core::error::escape(text)
}

/// Escapes external text of any length.
pub(crate) fn plain_whole(text: &str) -> String {
    keyfob::internals::core::error::escape_whole(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that the terminal has cut is never taken for a whole one.
    #[test]
    fn a_line_that_was_cut_is_no_line() {
        let line = |length: usize| [vec![b'c'; length], vec![b'\n']].concat();
        for length in [0, 12, 4094] {
            assert_eq!(checked(&line(length), || true).map(|line| line.len()).ok(), Some(length));
        }
        let cut = checked(&line(KEPT_BY_A_TERMINAL), || true).expect_err("it may have been longer");
        assert!(cut.why().contains("keeps 4095 characters"), "{cut}");
        assert!(checked(&line(20_000), || false).is_ok(), "a pipe keeps all of it");
        assert!(checked(&vec![b'c'; LONGEST_LINE + 1], || false).is_err());
    }
}
