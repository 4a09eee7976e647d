//! The only file with `unsafe`: turns descriptor *numbers* into owned descriptors, and sets signal dispositions.
//!
//! A number refers to whatever is open there, so taking ownership requires that nothing else in the process uses it.
//! The command guarantees that at startup, before it has opened anything; a program that embeds the library guarantees
//! it by opting in.
#![expect(
    unsafe_code,
    reason = "the only way from a descriptor number to a descriptor, and to signals; each use says why it holds"
)]

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::Command,
    sync::atomic::{AtomicI32, Ordering},
};

use nix::{
    libc::c_int,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fstat, stat},
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
};

/// Takes an inherited descriptor over: from now on it is ours, closed when dropped, and no child gets it.
///
/// # Errors
/// `EBADF` when the number is not open.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
    }
    // SAFETY: the number is not -1, and the borrow ends within this function. Should it not be open, the
    // kernel answers EBADF and nothing is touched.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed)?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: it is open (the line above would have failed), and by this function's contract nothing else in
    // this process owns it: the environment said it was put there for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Names the open file behind a descriptor, for [`close_if`].
///
/// # Errors
/// The system's.
pub fn file_name(descriptor: impl AsFd) -> io::Result<String> {
    let stat = fstat(descriptor)?;
    Ok(format!("{}-{}", stat.st_dev, stat.st_ino))
}

/// Closes an inherited descriptor if it is still this open file. Its number may have become that of another one.
pub fn close_if(number: RawFd, file: &str) {
    if number > 2 && is(number, file) {
        drop(take(number));
    }
}

fn is(number: RawFd, file: &str) -> bool {
    // SAFETY: the number is not -1, and the borrow ends within this function. Should it not be open, the kernel answers
    // EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    file_name(borrowed).is_ok_and(|open| open == file)
}

/// Opens a place so that its descriptor shows which it is and gives no access to it (open(2), `O_PATH`). Only Linux has
/// such descriptors.
///
/// # Errors
/// There is no such place, no descriptor to spare, or no such kind of descriptor on this system.
pub fn show(path: &Path) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::open(path, OFlags::PATH, rustix::fs::Mode::empty())?);
    #[cfg(not(target_os = "linux"))]
    return Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{} can be shown by no descriptor on this system", path.display()),
    ));
}

/// Whether these are the flags of a descriptor that only shows a place, as [`show`] opens it.
pub(crate) fn only_shows(flags: OFlags) -> bool {
    #[cfg(target_os = "linux")]
    return flags.contains(OFlags::PATH);
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = flags;
        false
    };
}

/// Whether an inherited descriptor refers to the file at this path and gives no access to it ([`show`]): descriptors
/// that were opened to use files or directories are of another kind.
#[must_use]
pub fn shows(number: RawFd, path: &Path) -> bool {
    if number <= 2 {
        return false;
    }
    // SAFETY: as in `is`.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let leads = || {
        let (shown, there) = (fstat(borrowed)?, stat(path)?);
        let is_path = only_shows(fcntl_getfl(borrowed)?);
        Ok::<_, rustix::io::Errno>(is_path && (shown.st_dev, shown.st_ino) == (there.st_dev, there.st_ino))
    };
    leads().unwrap_or(false)
}

/// Whatever is open under this number, no child gets it.
pub fn keep_from_children(number: RawFd) {
    if number > 2 {
        // SAFETY: as in `is`; a flag is set that changes nothing for this process.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(borrowed) {
            let _ = fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC);
        }
    }
}

/// Closes every descriptor above the standard three: what a caller left open must not be kept open by a
/// process that outlives it.
///
/// # Errors
/// The list of open descriptors cannot be read; then none is closed.
pub fn close_inherited() -> io::Result<()> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/dev/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) {
            numbers.push(number);
        }
    }
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The directory itself was in its list and is closed by now: `take` then says so, which is fine.
        drop(take(number));
    }
    Ok(())
}

/// What a signal does from now on; the answer is whether it was ignored.
pub(super) fn on(signal: Signal, does: SigHandler) -> io::Result<bool> {
    let action = SigAction::new(does, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the only handlers there are in this crate are `nothing` and `note`, which may be called at any moment.
    let before = unsafe { sigaction(signal, &action) }?;
    Ok(matches!(before.handler(), SigHandler::SigIgn))
}

/// A handler that only keeps the default from happening. Unlike "ignored" it is not passed on by `execve`.
pub(super) extern "C" fn nothing(_: c_int) {}

static NOTED: AtomicI32 = AtomicI32::new(0);

/// A handler that only records which signal came. Storing a number is safe at any moment (signal-safety(7)).
pub(super) extern "C" fn note(signal: c_int) {
    NOTED.store(signal, Ordering::Relaxed);
}

/// Whether one came.
pub(super) fn is_noted() -> bool {
    NOTED.load(Ordering::Relaxed) != 0
}

/// The signal that `note` recorded last, once.
pub(super) fn noted() -> Option<Signal> {
    Signal::try_from(NOTED.swap(0, Ordering::Relaxed)).ok()
}

/// Has `act` done in the process that is about to become `command`, after the standard library has set its signals.
pub(super) fn last_before_exec(
    command: &mut Command,
    act: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: what is handed in here (`process::give_back`) makes system calls and nothing else: no lock, no memory.
    let _ = unsafe { command.pre_exec(act) };
}

/// What the runtime of the standard library changes before `main`: it opens `/dev/null` in the place of closed standard
/// streams, and ignores SIGPIPE.
#[cfg(feature = "at-start")]
pub(super) mod at_start {
    use std::{
        mem::MaybeUninit,
        ptr,
        sync::atomic::{AtomicBool, Ordering},
    };

    use nix::libc;

    static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
    static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

    /// Whether a standard stream was closed.
    pub(in crate::world::system) fn was_closed(number: usize) -> bool {
        CLOSED.get(number).is_some_and(|closed| closed.load(Ordering::Relaxed))
    }

    /// Whether SIGPIPE was ignored.
    pub(in crate::world::system) fn ignored_sigpipe() -> bool {
        SIGPIPE_IGNORED.load(Ordering::Relaxed)
    }

    extern "C" fn look() {
        for (number, closed) in (0..).zip(&CLOSED) {
            // SAFETY: it asks for a flag of a number, whatever is there; nothing is changed.
            closed.store(unsafe { libc::fcntl(number, libc::F_GETFD) } == -1, Ordering::Relaxed);
        }
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action nothing is changed, and the old one is written into space for one.
        if unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) } == 0 {
            // SAFETY: the call above succeeded, so it has been written.
            let does = unsafe { action.assume_init() }.sa_sigaction;
            SIGPIPE_IGNORED.store(does == libc::SIG_IGN, Ordering::Relaxed);
        }
    }

    // SAFETY: this section holds pointers to functions that are called before `main`; this is one, and it needs nothing
    // that is set up later.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;
}
