//! What the ways to start a program have in common.

use keyfob::{
    Error,
    internals::core::{Cause, Id},
};
use rustix::io::Errno;

/// Tells the program which headers belong beside an OAuth access token, as lines that `header` prints. None is secret.
pub(crate) const API_HEADERS: &str = "KEYFOB_API_HEADERS";

/// Why a program was not started, with the distinction that shells make: not found, or not executable.
pub(crate) fn not_started(program: &str, error: std::io::Error) -> Error {
    let name = keyfob::internals::core::error::escape(program);
    // By the system's own number: its "not permitted" (EPERM) is about us and not about the program's mode.
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    let cause = match number {
        Some(Errno::NOENT) => Some(Cause::ProgramNotFound { program: program.into() }),
        Some(Errno::ACCESS | Errno::ISDIR | Errno::NOEXEC) => {
            Some(Cause::ProgramNotExecutable { program: program.into() })
        }
        _ => None,
    };
    let what = match &cause {
        Some(Cause::ProgramNotFound { .. }) if program.contains('/') => format!("there is no program {name}"),
        Some(Cause::ProgramNotFound { .. }) => format!("there is no program {name} in PATH"),
        _ => format!("the program {name} could not be started"),
    };
    Error::caused_by(Id::ExecFailed, what, error).maybe_because(cause)
}
