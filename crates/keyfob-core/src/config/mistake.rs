//! What is wrong with the configuration file. All of it is collected, so that people correct everything in one go.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cell::RefCell;

use crate::{Error, Id};

/// One mistake in the configuration file: the key, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    path: Vec<String>,
    expected: String,
}

impl Mistake {
    /// The key, with the tables it is in.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// What was expected.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl From<Mistake> for Error {
    fn from(mistake: Mistake) -> Self {
        let what = format!("`{}` in the configuration file is malformed", mistake.path.join("."));
        Self::new(Id::ConfigMalformed, what, mistake.expected)
    }
}

/// All mistakes of one file.
#[derive(Debug, Default)]
pub(super) struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    pub(super) fn note(&self, path: &[&str], expected: impl Into<String>) {
        let path = path.iter().map(ToString::to_string).collect();
        self.0.borrow_mut().push(Mistake { path, expected: expected.into() });
    }

    pub(super) fn all(self) -> Vec<Mistake> {
        self.0.into_inner()
    }
}
