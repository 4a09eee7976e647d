//! Classifies errors of the system. If a call failed because the machine has run out of something, or because its disk
//! failed, the file or program that was requested is not at fault, and nobody is asked to correct a file that is
//! right.

use std::io;

use keyfob_core::{Error, Id};
use rustix::io::Errno;

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

/// The same as an error.
pub fn failed(otherwise: Id, what: impl Into<String>, error: io::Error) -> Error {
    Error::caused_by(id(&error, otherwise), what, error)
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
}
