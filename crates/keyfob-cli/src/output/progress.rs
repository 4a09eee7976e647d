//! Shows what a command waits for: at a terminal on a line that is erased afterwards, elsewhere on a plain line, once.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

use keyfob::{Progress, internals::world::system::env};

/// The length of the line shown now. It is erased with blanks: no escape sequence is needed for that.
static SHOWN: Mutex<usize> = Mutex::new(0);

/// The listener for a client's progress.
pub(crate) fn show(progress: &Progress) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stderr = io::stderr().lock();
    match progress {
        Progress::Waiting(what) => {
            let line = format!("Waiting for {what} ...");
            // That nobody reads it is no failure.
            let _ = match columns() {
                Some(columns) => {
                    erase(&mut shown, &mut stderr);
                    let fits: String = line.chars().take(columns.saturating_sub(1)).collect();
                    *shown = fits.chars().count();
                    write!(stderr, "{fits}").and_then(|()| stderr.flush())
                }
                None => writeln!(stderr, "{line}"),
            };
        }
        _ => erase(&mut shown, &mut stderr),
    }
}

/// Called before anything else is written there.
pub(crate) fn clear() {
    erase(&mut SHOWN.lock().unwrap_or_else(PoisonError::into_inner), &mut io::stderr().lock());
}

fn erase(shown: &mut usize, stderr: &mut impl Write) {
    let length = std::mem::take(shown);
    if length > 0 {
        let _ = write!(stderr, "\r{:length$}\r", "").and_then(|()| stderr.flush());
    }
}

/// The width of the terminal, if there is one that can erase a line.
fn columns() -> Option<usize> {
    let stderr = io::stderr();
    let capable = env::variables().text("TERM").is_some_and(|term| term != "dumb");
    if !capable || !stderr.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stderr).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
