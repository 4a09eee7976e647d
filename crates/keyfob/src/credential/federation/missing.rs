//! Why there is no identity token.

use keyfob_core::Error;

/// Why there is none.
pub(crate) struct Missing {
    /// Why, for people.
    pub(crate) error: Error,
    /// Whether a service was asked or a command ran: then the next process does not try at once.
    pub(crate) was_asked: bool,
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self { error, was_asked: false }
    }
}
