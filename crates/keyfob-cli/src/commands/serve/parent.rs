//! The process that has started this one.

use std::thread;

/// Leaves the process group: Ctrl-C at a terminal, or a shell's job control, is for the program that asks, which may go on; and
/// what a configured command would ask on that terminal is refused there, since nobody expects a question from here.
pub(super) fn leave_its_terminal() {
    // Refused for the leader of a session, which has no terminal that is somebody else's.
    let _ = rustix::process::setpgid(None, None);
}

/// Ends this process when its parent has ended. The end of its input tells that too, but comes late or never where another
/// process has inherited the other end of the pipe. Nothing is lost: a renewal is a process of its own.
pub(super) fn end_with_it() {
    if let Some(gone) = watch() {
        // Without the thread, the end of the input remains.
        let _ = thread::Builder::new().name("parent".into()).spawn(move || {
            gone();
            std::process::exit(0)
        });
    }
}

/// What returns when the parent has ended. The kernel's own signal for that (`PR_SET_PDEATHSIG`) comes already when the *thread*
/// that started us ends, which in many programs is long before.
#[cfg(target_os = "linux")]
fn watch() -> Option<impl FnOnce() + Send> {
    use rustix::{
        event::{PollFd, PollFlags, poll},
        io::Errno,
        process::{PidfdFlags, getppid, pidfd_open},
    };
    let parent = getppid()?;
    let descriptor = pidfd_open(parent, PidfdFlags::empty()).ok()?;
    // Its number could have gone to another process before that was opened.
    let is_still = getppid() == Some(parent);
    Some(move || {
        while is_still
            && matches!(poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None), Ok(0) | Err(Errno::INTR))
        {
        }
    })
}

#[cfg(not(target_os = "linux"))]
fn watch() -> Option<fn()> {
    None
}
