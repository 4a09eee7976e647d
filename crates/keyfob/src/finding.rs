//! The findings of an examination.

use keyfob_core::Error;

/// What an examination may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Repair what it can.
    pub fix: bool,
    /// Run the commands that the configuration names.
    pub run: bool,
}

/// One thing that was examined, and the result.
#[derive(Debug)]
pub struct Finding {
    /// What was examined.
    pub subject: String,
    /// The result.
    pub state: State,
}

/// The result of examining one thing.
#[derive(Debug)]
pub enum State {
    /// In order, and how.
    Fine(String),
    /// Nothing is wrong with it, but the user should know it.
    Note(String),
    /// It was not in order, and has been repaired.
    Mended(String),
    /// It is not in order.
    Wrong(Error),
}
