//! The variables as they were when the process started.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::names;
use crate::{Error, Id, contract::values::Expected, error::escape};

/// The environment as it was when the process started. Names that are not text are left out; a value that is
/// not text is kept as malformed, and so is a name with several values: a program that reads the first one and
/// a program that reads the last one would disagree. A path need not be text.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Value>);

/// The value of a variable, as the system has it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text in UTF-8.
    Text(String),
    /// Other octets. They may name a path, and nothing else.
    Octets(Vec<u8>),
    /// No value that could be used.
    Unusable(Expected),
}

impl From<Vec<u8>> for Value {
    fn from(octets: Vec<u8>) -> Self {
        String::from_utf8(octets).map_or_else(|error| Self::Octets(error.into_bytes()), Self::Text)
    }
}

impl From<Option<String>> for Value {
    /// `None`: something that is not text.
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Unusable(NO_TEXT), Self::Text)
    }
}

const NO_TEXT: Expected = "expected text in UTF-8";

/// The variables whose value is a path, a list of them, or holds one: octets, as paths are.
pub(super) const PATHS: [&str; 23] = [
    "KEYFOB_AGENT",
    "KEYFOB_HOME",
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PATH",
    "KUBECONFIG",
    "GIT_CONFIG_GLOBAL",
    "DOCKER_CONFIG",
    "CARGO_HOME",
    "TF_CLI_CONFIG_FILE",
    "NPM_CONFIG_USERCONFIG",
    names::SETTINGS_DIR,
    "CODEX_HOME",
    "AWS_CONFIG_FILE",
    names::SESSION_TOKEN_FILE,
    names::MCP_SERVER,
    names::CHOSEN_HOME,
    names::CHOSEN_APPROVED,
];

impl Variables {
    /// The text of a variable. Empty, absent and not-text are all `None`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The octets of a variable that names a path. Empty and absent are `None`.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&[u8]> {
        debug_assert!(PATHS.contains(&name), "{name} is in no list of paths");
        self.0.get(name)?.octets().filter(|octets| !octets.is_empty())
    }

    /// Everything that has one value.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.octets()?)))
    }

    /// Whether a variable is absent, or has one value of its kind. What is neither is malformed, whatever it is for.
    #[must_use]
    pub fn is_readable(&self, name: &str) -> bool {
        self.unreadable(name).is_none()
    }

    /// What was expected of a value that cannot be read at all.
    pub(super) fn unreadable(&self, name: &str) -> Option<Expected> {
        match self.0.get(name)? {
            Value::Text(_) => None,
            Value::Octets(_) => (!PATHS.contains(&name)).then_some(NO_TEXT),
            Value::Unusable(expected) => Some(expected),
        }
    }
}

impl Value {
    fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Octets(octets) => Some(octets),
            Self::Unusable(_) => None,
        }
    }
}

impl<V: Into<Value>> FromIterator<(String, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(pairs: I) -> Self {
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            let value = value.into();
            let differs = all.get(&name).is_some_and(|earlier| *earlier != value);
            let twice = Value::Unusable("expected one value, and the environment holds two");
            all.insert(name, if differs { twice } else { value });
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
