//! Classifies errors of the system. If a call failed because the machine has run out of something, or because its disk
//! failed, the file or program that was requested is not at fault, and the user is not asked to correct a file that is
//! right.

use std::{io, path::Path};

use keyfob_core::{Cause, Error, Id};
use rustix::io::Errno;

use crate::world::breach::Breach;

/// The id of a failed call: [`Id::SystemFailed`] when the machine is short of descriptors, memory, processes or the
/// like, [`Id::StoreFailed`] when a disk is full or fails, and `otherwise` when it says something about its object, or
/// a rule of ours does.
#[must_use]
pub fn id(error: &io::Error, otherwise: Id) -> Id {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN) => Id::SystemFailed,
        Some(Errno::IO | Errno::NOSPC | Errno::DQUOT | Errno::INTR) => Id::StoreFailed,
        _ => otherwise,
    }
}

/// Why a call about this path failed, where that is clear.
#[must_use]
pub fn cause(error: &io::Error, path: &Path) -> Option<Cause> {
    if let Some(breach) = error.get_ref().and_then(|inner| inner.downcast_ref::<Breach>()) {
        return breach.cause(path);
    }
    let path = path.to_string_lossy().into_owned();
    Some(match error.raw_os_error().map(Errno::from_raw_os_error)? {
        Errno::NOENT => Cause::Missing { path },
        Errno::ACCESS | Errno::PERM => Cause::NoPermission { path },
        Errno::ROFS => Cause::ReadOnly { path },
        Errno::NOSPC | Errno::DQUOT => Cause::DiskFull { path },
        Errno::IO => Cause::DiskFailed { path },
        Errno::EXIST => Cause::Exists { path },
        Errno::NOTDIR => Cause::NotADirectory { path },
        Errno::ISDIR => Cause::NotAFile { path },
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN => Cause::MachineShort {},
        _ => return None,
    })
}

/// The error of a call about this path.
pub fn failed_at(otherwise: Id, what: impl Into<String>, path: &Path, error: io::Error) -> Error {
    let cause = cause(&error, path);
    failed(otherwise, what, error).maybe_because(cause)
}

/// The same where no path is in question.
pub fn failed(otherwise: Id, what: impl Into<String>, error: io::Error) -> Error {
    let id = id(&error, otherwise);
    let short = (id == Id::SystemFailed).then_some(Cause::MachineShort {});
    Error::caused_by(id, what, error).maybe_because(short)
}

/// The system's generator gives nothing.
pub(crate) fn no_randomness(error: io::Error) -> Error {
    Error::caused_by(Id::SystemFailed, "no randomness", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_error_is_classified_by_who_is_at_fault() {
        let id = |errno: Errno| id(&errno.into(), Id::ConfigUnsafe);
        assert_eq!(id(Errno::MFILE), Id::SystemFailed);
        assert_eq!(id(Errno::AGAIN), Id::SystemFailed);
        assert_eq!(id(Errno::IO), Id::StoreFailed);
        assert_eq!(id(Errno::ACCESS), Id::ConfigUnsafe);
        assert_eq!(super::id(&io::Error::other("a rule of ours"), Id::HomeUnsafe), Id::HomeUnsafe);
    }

    #[test]
    fn a_systems_refusal_has_its_cause() {
        let path = std::path::Path::new("/p");
        let word = |errno: Errno| super::cause(&errno.into(), path).map(|cause| cause.word());
        for (errno, expected) in [
            (Errno::NOENT, "missing"),
            (Errno::ACCESS, "no-permission"),
            (Errno::PERM, "no-permission"),
            (Errno::ROFS, "read-only"),
            (Errno::NOSPC, "disk-full"),
            (Errno::DQUOT, "disk-full"),
            (Errno::IO, "disk-failed"),
            (Errno::EXIST, "exists"),
            (Errno::NOTDIR, "not-a-directory"),
            (Errno::ISDIR, "not-a-file"),
            (Errno::MFILE, "machine-short"),
        ] {
            assert_eq!(word(errno), Some(expected), "{errno:?}");
        }
        assert_eq!(word(Errno::XDEV), None);
        let ours = super::cause(&Breach::Owner(12).into(), path);
        assert!(matches!(ours, Some(Cause::OtherOwner { owner: 12, .. })), "{ours:?}");
    }
}
