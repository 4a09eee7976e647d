//! What an examination finds.

use keyfob_core::Error;

/// What an examination may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Mend what it can.
    pub fix: bool,
    /// Run the commands that the configuration names.
    pub run: bool,
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// What came of it.
    pub state: State,
}

/// What came of a look.
#[derive(Debug)]
pub enum State {
    /// In order, and how.
    Fine(String),
    /// Nothing is wrong with it, but the user should know it.
    Note(String),
    /// Was not, and has been mended.
    Mended(String),
    /// Is not.
    Wrong(Error),
}
