//! Locks on open files (flock(2)), and whether a filesystem has them.

use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind},
};

use crate::world::Held;

/// A lock that lasts as long as its open file.
pub(super) struct Locked(pub(super) File);

impl Held for Locked {
    fn file(&self) -> Option<&File> {
        Some(&self.0)
    }
}

/// A lock that this process inherited with an open file: it is held
/// together with the process that started this one, and free when both have ended.
pub(crate) fn inherited(file: File) -> Box<dyn Held> {
    Box::new(Locked(file))
}

/// Locks a file. Returns `false` if another open file has the lock.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Over a network a lock is a question, and a signal can come before its answer.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => try_lock(file),
        Err(TryLockError::Error(error)) => match error.raw_os_error() {
            // ENOSYS, ENOLCK, EOPNOTSUPP and the kernel's own ENOTSUPP: this filesystem has no locks.
            Some(38 | 37 | 95 | 524) => Err(no_locks(file, "refuses locks")),
            _ => Err(error),
        },
    }
}

/// Checks that a lock which is held keeps others out: a second try, with another open file, must fail.
pub(super) fn works(second: &File) -> io::Result<()> {
    if try_lock(second)? {
        return Err(no_locks(second, "pretends to lock but does not"));
    }
    Ok(())
}

fn no_locks(file: &File, how: &str) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, format!("its filesystem ({}) {how}", filesystem(file)))
}

/// The filesystem's name, where people know it by one (statfs(2)).
fn filesystem(file: &File) -> String {
    let Ok(stat) = rustix::fs::fstatfs(file) else { return "unknown".into() };
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a number of 32 bits, whatever its type"
    )]
    match stat.f_type as u32 {
        0x6969 => "NFS".into(),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB".into(),
        0x6573_5546 => "FUSE".into(),
        0x0102_1997 => "9P".into(),
        0x794c_7630 => "overlay".into(),
        0x0102_1994 => "tmpfs".into(),
        0xef53 => "ext".into(),
        0x5846_5342 => "XFS".into(),
        0x9123_683e => "btrfs".into(),
        other => format!("type {other:#x}"),
    }
}
