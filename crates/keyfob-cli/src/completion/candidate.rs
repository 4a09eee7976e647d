//! A completion candidate.

use clap::builder::StyledStr;

/// One candidate, and its meaning.
pub(super) struct Candidate {
    pub(super) word: String,
    pub(super) about: String,
}

impl Candidate {
    /// A word of the parser with its help.
    pub(super) fn new(word: impl Into<String>, about: Option<&StyledStr>) -> Self {
        Self { word: word.into(), about: about.map(ToString::to_string).unwrap_or_default() }
    }
}
