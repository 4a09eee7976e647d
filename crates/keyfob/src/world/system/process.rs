//! What a process inherits besides arguments and variables: signals that are ignored or blocked, and standard streams
//! that are closed. Much depends on them (whether a child's exit status is available, whether a full disk is an error
//! or a fatal signal), so the command resets them at startup and restores them for the program that `exec` runs.
//!
//! A program that embeds the library keeps its own.

use std::{io, os::fd::AsFd, process::Command, sync::OnceLock};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::fd;

/// What was found.
struct Found {
    /// SIGCHLD was ignored: the kernel would keep from us how a child ended.
    ignored_sigchld: bool,
    /// The limit on the size of core dumps.
    core: Rlimit,
    /// The signals that were blocked: if SIGTERM is one, this process could not be ended.
    blocked: Option<SigSet>,
}

static FOUND: OnceLock<Found> = OnceLock::new();

/// Sets right what this process inherited. The first line of the command's `main`.
///
/// - SIGCHLD has its default action, so that the exit status of a child is available.
/// - SIGXFSZ does nothing, so that a limit on the size of files is an error that is reported (`EFBIG`) and not the end
///   of this process in the middle of a write. Children have its default action again.
/// - No signal is blocked.
/// - No core is dumped: with secrets in memory none may be left on a disk, even on systems that have no other way to
///   prevent it.
/// - A standard stream that was closed is `/dev/null` here, as the standard library has it; a program that takes our
///   place finds it closed.
pub fn settle() {
    FOUND.get_or_init(|| {
        // Ignored already: it stays so, for children too.
        if fd::on(Signal::SIGXFSZ, SigHandler::Handler(fd::nothing)).is_ok_and(|ignored| ignored) {
            let _ = fd::on(Signal::SIGXFSZ, SigHandler::SigIgn);
        }
        let ignored_sigchld = fd::on(Signal::SIGCHLD, SigHandler::SigDfl).is_ok_and(|ignored| ignored);
        let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok();
        let streams: [&dyn AsFd; 3] = [&io::stdin(), &io::stdout(), &io::stderr()];
        for (_, stream) in streams.into_iter().enumerate().filter(|(number, _)| was_closed(*number)) {
            let flags = fcntl_getfd(stream.as_fd()).unwrap_or(FdFlags::empty());
            let _ = fcntl_setfd(stream.as_fd(), flags | FdFlags::CLOEXEC);
        }
        let core = getrlimit(Resource::Core);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..core });
        Found { ignored_sigchld, core, blocked }
    });
}

/// While this exists, SIGTERM and SIGHUP do not end this process: they are noted, and end it when this is dropped. For a
/// terminal whose settings have been changed: a process that is ended would leave it without echo.
#[derive(Debug)]
pub struct Postponed(Vec<Signal>);

impl Postponed {
    /// From now on. A signal that is ignored (`nohup`) stays ignored.
    ///
    /// # Errors
    /// The system does not permit it.
    pub fn begin() -> io::Result<Self> {
        let mut postponed = Self(Vec::new());
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            if fd::on(signal, SigHandler::Handler(fd::note))? {
                fd::on(signal, SigHandler::SigIgn)?;
            } else {
                postponed.0.push(signal);
            }
        }
        Ok(postponed)
    }

    /// Ends this process by the signal that came meanwhile, if one did.
    pub fn end(self) {
        drop(self);
        if let Some(signal) = fd::noted() {
            let _ = nix::sys::signal::raise(signal);
        }
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn has_come() -> bool {
        fd::is_noted()
    }
}

impl Drop for Postponed {
    fn drop(&mut self) {
        for signal in &self.0 {
            let _ = fd::on(*signal, SigHandler::SigDfl);
        }
    }
}

/// Whether there was a standard output at the start. What is written to it else goes nowhere without an error.
#[must_use]
pub fn has_stdout() -> bool {
    !was_closed(1)
}

/// The program that takes our place finds what we found.
pub fn give_back(command: &mut Command) {
    let Some(found) = FOUND.get() else { return };
    let (ignored_sigchld, blocked, core) = (found.ignored_sigchld, found.blocked, found.core);
    fd::last_before_exec(command, move || {
        if ignored_sigpipe() {
            fd::on(Signal::SIGPIPE, SigHandler::SigIgn)?;
        }
        if ignored_sigchld {
            fd::on(Signal::SIGCHLD, SigHandler::SigIgn)?;
        }
        setrlimit(Resource::Core, core)?;
        if let Some(blocked) = blocked {
            blocked.thread_set_mask()?;
        }
        Ok(())
    });
}

#[cfg(feature = "at-start")]
use fd::at_start::{ignored_sigpipe, was_closed};

/// Not recorded: in a host none of this is ours.
#[cfg(not(feature = "at-start"))]
fn was_closed(_: usize) -> bool {
    false
}

#[cfg(not(feature = "at-start"))]
fn ignored_sigpipe() -> bool {
    false
}
