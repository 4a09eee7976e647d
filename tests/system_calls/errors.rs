//! Which call can fail with which error: the manual pages of section 2, reduced to the eight errors that are tried.

/// The errors that are tried, in the order of the table.
pub(crate) const ERRORS: [&str; 8] =
    ["EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE", "ENOMEM", "EAGAIN", "EPERM"];

/// The errors that `name` can return, given how it was called. Empty: it cannot fail, or not in a way that can be
/// staged.
///
/// strace makes a call fail by not making it. A call that fails but still takes effect cannot be staged so: `close(2)`
/// has closed the descriptor whatever it returns (and what it could report, an `fsync(2)` before it has reported), and
/// a `connect(2)` that is interrupted goes on.
pub(crate) fn of(name: &str, words: &str) -> &'static [&'static str] {
    match name {
        "openat" | "open" if words.contains("O_CREAT") => {
            &["EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE", "ENOMEM", "EAGAIN", "EPERM"]
        }
        "openat" | "open" if words.contains("O_NONBLOCK") => {
            &["EIO", "EINTR", "EMFILE", "ENOMEM", "EAGAIN", "EPERM"]
        }
        "openat" | "open" => &["EIO", "EINTR", "EMFILE", "ENOMEM", "EPERM"],
        "read" | "pread64" | "readv" => &["EIO", "EINTR"],
        // To a pipe or terminal that somebody has made non-blocking, also EAGAIN.
        "write" | "writev" => &["EIO", "ENOSPC", "EDQUOT", "EINTR", "EAGAIN", "EPERM"],
        "pwrite64" => &["EIO", "ENOSPC", "EDQUOT", "EINTR", "EPERM"],
        "ftruncate" => &["EIO", "EINTR", "EPERM"],
        "fallocate" => &["EIO", "ENOSPC", "EINTR", "EPERM"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "rename" | "renameat" | "renameat2" | "mkdir" | "mkdirat" | "link" | "linkat" | "symlink"
        | "symlinkat" => &["EIO", "ENOSPC", "EDQUOT", "ENOMEM", "EPERM"],
        "unlink" | "unlinkat" | "rmdir" => &["EIO", "ENOMEM", "EPERM"],
        "fchmod" | "chmod" | "fchmodat" => &["EIO", "ENOSPC", "ENOMEM", "EPERM"],
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" | "access" | "faccessat" | "faccessat2"
        | "readlink" | "readlinkat" | "fstatfs" | "statfs" => &["EIO", "ENOMEM"],
        "getdents64" => &["EIO", "ENOMEM"],
        "getcwd" | "chdir" | "fchdir" => &["EIO", "ENOMEM"],
        "flock" => &["EINTR", "ENOMEM", "EAGAIN"],
        "fcntl" if words.contains("F_DUPFD") => &["EMFILE", "ENOMEM"],
        "dup2" | "dup3" => &["EINTR", "EMFILE"],
        "pipe2" | "pipe" | "socketpair" | "eventfd2" | "epoll_create1" | "pidfd_open" => {
            &["EMFILE", "ENOMEM"]
        }
        "socket" => &["EMFILE", "ENOMEM", "EPERM"],
        "connect" => &["EIO", "ENOMEM", "EAGAIN", "EPERM"],
        "bind" | "listen" => &["ENOMEM", "EPERM"],
        "accept4" | "accept" => &["EINTR", "EMFILE", "ENOMEM", "EAGAIN", "EPERM"],
        "sendto" | "sendmsg" => &["EIO", "EINTR", "ENOMEM", "EAGAIN", "EPERM"],
        "recvfrom" | "recvmsg" => &["EIO", "EINTR", "ENOMEM", "EAGAIN"],
        // The kernel sets a time-out or says that it is none; the descriptor's own state it always says.
        "setsockopt" if words.contains("TIMEO") => &[],
        "setsockopt" | "getsockopt" | "getsockname" | "getpeername" => &["ENOMEM", "EPERM"],
        "shutdown" => &["ENOMEM"],
        "ioctl" => &["EIO", "ENOMEM"],
        "poll" | "ppoll" => &["EINTR", "ENOMEM"],
        // Which of them is a wait (EINTR, EAGAIN: the standard library waits again) and which wakes another thread depends
        // on who comes first. A wake-up that is left out cannot happen, and would be waited for.
        "futex" => &[],
        "clone" | "clone3" | "fork" | "vfork" => &["ENOMEM", "EAGAIN", "EPERM"],
        "execve" => &["EIO", "EMFILE", "ENOMEM", "EAGAIN", "EPERM"],
        "wait4" | "waitid" => &["EINTR"],
        "mmap" | "mremap" => &["ENOMEM", "EAGAIN", "EPERM"],
        "munmap" | "mprotect" | "brk" | "madvise" => &["ENOMEM"],
        "sigaltstack" => &["ENOMEM", "EPERM"],
        "getrandom" => &["EINTR", "EAGAIN", "EPERM"],
        "prctl" | "setsid" | "prlimit64" | "sched_getaffinity" | "kill" => &["EPERM"],
        "clock_nanosleep" | "nanosleep" => &["EINTR"],
        _ => &[],
    }
}

/// The system's description of an error, as it must appear in the message that reports it.
pub(crate) fn text(error: &str) -> &'static str {
    match error {
        "EIO" => "Input/output error",
        "ENOSPC" => "No space left on device",
        "EDQUOT" => "quota exceeded",
        "EINTR" => "Interrupted system call",
        "EMFILE" => "Too many open files",
        "ENOMEM" => "Cannot allocate memory",
        "EAGAIN" => "Resource temporarily unavailable",
        _ => "Operation not permitted",
    }
}
