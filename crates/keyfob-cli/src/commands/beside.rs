//! A program with an agent beside it: what `exec --agent` and `exec --file` run.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
};

use keyfob::{Error, internals::core::Id};
use keyfob_serve::{Agent, Door, EndedBefore};
use rustix::{
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};

use super::agent::host::ThisCommand;
use crate::output::report::Result;

/// Where the number of an inherited end begins. At its start, node keeps everything from what it runs that is open below the
/// first number after 15 that is not (libuv, `uv_disable_stdio_inheritance`): the sandboxes that are written in it would have none.
const FIRST_NUMBER: RawFd = 100;

/// The two ends: one for the agent, and one that the program inherits, whose number is in its `KEYFOB_AGENT`.
pub(super) fn ends(command: &mut Command) -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    // Where so many may not be open, it keeps the number that it has.
    let theirs = fcntl_dupfd_cloexec(&theirs, FIRST_NUMBER).map_or(theirs, UnixStream::from);
    // No thread of ours can start another child meanwhile.
    fcntl_setfd(&theirs, fcntl_getfd(&theirs)? - FdFlags::CLOEXEC)?;
    command.env("KEYFOB_AGENT", format!("fd:{}", theirs.as_raw_fd()));
    Ok((ours, theirs))
}

/// Starts a program and serves it, through that end if there is one, until it ends, and ends with its code; with 128 and the number of the signal that ended
/// it, as a shell does.
pub(super) fn serve(
    start: impl FnOnce() -> Result<Child, Error>,
    ours: Option<UnixStream>,
    door: Door,
) -> Result {
    let start = || start().map(begun);
    let failed = |error: io::Error| Error::caused_by(Id::SystemFailed, "the agent could not go on", error);
    let agent = Agent::new(Arc::new(ThisCommand));
    let agent = match ours {
        Some(ours) => agent.bell(door, ours),
        None => agent.files(door),
    };
    exit_code(agent.run_beside(start), failed)
}

/// The code of this process after what was run beside the program: the program's, or that of the signal which ended this before
/// there was one.
pub(super) fn exit_code(
    ran: io::Result<Result<io::Result<ExitStatus>, Error>>,
    failed: impl Fn(io::Error) -> Error,
) -> Result {
    match ran {
        Err(error) => {
            match EndedBefore::within(&error).and_then(|ended| u8::try_from(128 + ended.signal).ok()) {
                Some(code) => Ok(ExitCode::from(code)),
                None => Err(failed(error).into()),
            }
        }
        Ok(ended) => Ok(ExitCode::from(code(ended?.map_err(failed)?))),
    }
}

/// Of a program that has been started: what lasts as long as it does, and what passes a signal on to it.
pub(super) fn begun(
    child: Child,
) -> (impl FnOnce() -> io::Result<ExitStatus> + Send + 'static, impl Fn(i32) + Send + 'static) {
    let pid = Pid::from_child(&child);
    // None once it has been waited for: from then on the number may be another process's.
    let there = Arc::new(Mutex::new(Some(child)));
    let passing = Arc::clone(&there);
    let pass_on = move |signal| {
        let there = passing.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(_), Some(signal)) = (&*there, Signal::from_named_raw(signal)) {
            let _ = kill_process(pid, signal);
        }
    };
    let lasts = move || {
        // It has ended, and keeps its number until it is waited for under the lock.
        let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), only_look) {}
        let mut there = there.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = there.as_mut().map_or(Err(io::ErrorKind::NotFound.into()), Child::wait);
        *there = None;
        ended
    };
    (lasts, pass_on)
}

/// The code of this process when a program has ended so.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
