//! What is asked of the library, and what it gives that may be handed out.

use std::time::Duration;

use keyfob::{Error, Generation, Secret, Source, Timestamp};

/// A question to the library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    pub(crate) min_valid: Duration,
    pub(crate) rejected: Option<Generation>,
}

/// A credential that may be handed out: a login's access token, and nothing else that the library has.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) token: Secret,
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) source: Source,
    pub(crate) generation: Generation,
    pub(crate) profile: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) warning: Option<Error>,
}
