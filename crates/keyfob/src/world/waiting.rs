//! What a call may wait for, in words that can be shown to a person.

use std::{fmt, sync::Arc};

/// Receives what a call waits for, and when that is over. It may be called from another thread than the call's own.
pub type Listener = Arc<dyn Fn(&Progress) + Send + Sync>;

/// A wait that lasts long enough to be shown. See [`Client::on_progress`](crate::Client::on_progress).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It has lasted a second.
    Waiting(Waiting),
    /// What was last reported is over.
    Over,
}

/// What a call waits for. `Display` is worded to follow "waiting for".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Another process, which renews this login, signs it in or out.
    Lease {
        /// Its number and the name of its program.
        holder: String,
    },
    /// Another process, which runs the configured `api_key_helper`.
    HelperOf {
        /// Its number and the name of its program.
        holder: String,
    },
    /// A command that the configuration names.
    Command {
        /// Its key there.
        key: String,
    },
    /// An answer of a provider.
    Provider {
        /// Scheme, host and port.
        origin: String,
    },
    /// The renewal of a login, in this process or in one that outlives it.
    Renewal {
        /// The login's profile.
        profile: String,
        /// The provider's issuer identifier.
        issuer: String,
    },
    /// The time at which a provider may be asked again, or a process that holds a login, because the caller asked for
    /// that: see [`Client::grant_within`](crate::Client::grant_within).
    Later {
        /// Why not now.
        why: String,
        /// For at most this many seconds.
        at_most: u64,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease { holder } => write!(f, "{holder}, which is at work on this login"),
            Self::HelperOf { holder } => write!(f, "{holder}, which runs the configured api_key_helper"),
            Self::Command { key } => write!(f, "the configured {key}, which runs for at most a minute"),
            Self::Provider { origin } => write!(f, "an answer of {origin}"),
            Self::Renewal { profile, issuer } => {
                write!(f, "{issuer}, which was asked to renew the login of profile `{profile}`")
            }
            Self::Later { why, at_most } => write!(f, "up to {at_most} s: {why}"),
        }
    }
}
