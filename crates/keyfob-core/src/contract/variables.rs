//! The variables as they were when the process started.

use alloc::{collections::BTreeMap, format, string::String};

use crate::{Error, Id, contract::values::Expected, error::escape};

/// The environment as it was when the process started. Names that are not text are left out; values that are
/// not text, or that a name has more than one of, are there, and malformed: whoever reads the first one and
/// whoever reads the last one would disagree about what was said.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Result<String, Expected>>);

impl Variables {
    /// The text of a variable. Empty, absent and not-text are all `None`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref().ok().filter(|text| !text.is_empty())
    }

    /// Everything that is one text and not empty.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref().ok()?)))
    }

    /// Whether a variable is absent, or one text. What is neither is malformed, whatever it is for.
    #[must_use]
    pub fn is_text(&self, name: &str) -> bool {
        self.unreadable(name).is_none()
    }

    /// What was expected of a value that cannot be read at all.
    pub(super) fn unreadable(&self, name: &str) -> Option<Expected> {
        self.0.get(name)?.as_ref().err().copied()
    }
}

impl FromIterator<(String, Option<String>)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(pairs: I) -> Self {
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            let value = value.ok_or("expected text in UTF-8");
            let differs = all.get(&name).is_some_and(|earlier| *earlier != value);
            let value =
                if differs { Err("expected one value, and the environment holds two") } else { value };
            all.insert(name, value);
        }
        Self(all)
    }
}

impl core::fmt::Debug for Variables {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

/// One whose text is not what it should be.
pub(super) fn malformed(name: &str, expected: Expected, shown: Option<&str>) -> Error {
    let what = match shown {
        Some(text) => format!("{name} is malformed: `{}`", escape(text)),
        None => format!("{name} is malformed"),
    };
    Error::new(Id::VariableMalformed, what, expected)
}
