//! The one file with `unsafe`: descriptor *numbers* become owned descriptors.
//!
//! A number names whatever happens to be open there, so taking one is a promise nobody else in the process
//! uses it. The command makes that promise at its very start, before it has opened anything; a host that
//! embeds the library makes it by opting in.
#![expect(
    unsafe_code,
    reason = "the only way from a descriptor number to a descriptor; each use says why it holds"
)]

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

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
    // SAFETY: it is open (the line above would have failed), and by this function's contract nobody else in
    // this process owns it: the environment said it was put there for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
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
