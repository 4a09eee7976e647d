//! Chooses the hint for one failure.

/// The advice for a cause: at least the hint, and the other lines where the situation allows better ones.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) what: Option<String>,
    pub(super) why: Option<String>,
    pub(super) hint: String,
}

impl From<String> for Choice {
    fn from(hint: String) -> Self {
        Self { hint, ..Self::default() }
    }
}

impl From<&str> for Choice {
    fn from(hint: &str) -> Self {
        Self { hint: hint.to_owned(), ..Self::default() }
    }
}
