//! What comes, from the input and from those who look for answers.

use keyfob::{Error, Grant};

/// What comes.
pub(super) enum Event {
    /// A line.
    Line(Vec<u8>),
    /// One that was too long.
    TooLong,
    /// There will be no more.
    End,
    /// The answer to the question of this number.
    Done { number: u64, outcome: Result<Box<Grant>, Error> },
}
