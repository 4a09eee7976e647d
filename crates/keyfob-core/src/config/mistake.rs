//! What is wrong with the configuration file. All of it is collected, so that people correct everything in one go.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cell::RefCell;

use crate::{Error, Id, contract::values::Expected};

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

/// The table of an environment that is being read.
pub(super) struct Table<'t> {
    pub(super) name: &'t str,
    pub(super) mistakes: &'t Mistakes,
}

impl Table<'_> {
    pub(super) fn wrong(&self, key: &str, expected: &str) {
        self.mistakes.note(&["environments", self.name, key], expected);
    }

    pub(super) fn read<T>(
        &self,
        key: &str,
        value: Option<String>,
        parse: fn(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        parse(&value?).map_err(|why| self.wrong(key, why)).ok()
    }
}
