//! Errors when starting a server or issuing tokens.

use std::{error::Error, fmt, io, path::PathBuf};

/// Why [`DevServer::mint`](crate::DevServer::mint) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintError {
    /// Not an e-mail address.
    NoAddress,
    /// A scope is malformed or not known.
    BadScope,
    /// The system's random number generator failed.
    NoEntropy,
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "not an e-mail address",
            Self::BadScope => "a scope is malformed or not known",
            Self::NoEntropy => "the system has no randomness to give",
        })
    }
}

impl Error for MintError {}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The port could not be opened on loopback.
    Bind(u16, io::Error),
    /// The log file could not be opened.
    Log(PathBuf, io::Error),
    /// The state file could not be read or written, or is not one.
    State(PathBuf, io::Error),
    /// Two clients have this id.
    TwoClients(String),
    /// The system could not provide a thread or an event queue.
    Thread(io::Error),
    /// The system's random number generator failed.
    NoEntropy,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(port, error) => write!(f, "cannot listen on loopback port {port}: {error}"),
            Self::Log(path, error) => write!(f, "cannot open the log file {}: {error}", path.display()),
            Self::State(path, error) => write!(f, "cannot use the state file {}: {error}", path.display()),
            Self::TwoClients(id) => write!(f, "the client id {id} stands twice, or is the built-in one"),
            Self::Thread(error) => write!(f, "cannot start the server's thread: {error}"),
            Self::NoEntropy => f.write_str("the system has no randomness to give"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bind(_, error) | Self::Log(_, error) | Self::State(_, error) | Self::Thread(error) => {
                Some(error)
            }
            Self::TwoClients(_) | Self::NoEntropy => None,
        }
    }
}
