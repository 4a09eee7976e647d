//! The contract: what every variable means, in one table. Parsing, reports, help and documents come from it.

mod page;
mod report;
mod table;

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

pub use page::markdown;
pub use report::{EnvReport, EnvironmentReport, VariableReport, report};
pub use table::{Apply, DESCRIBED, Kind, REFERENCED, VARIABLES, Variable, names};

use crate::{Error, Id, error::escape, settings::Settings};

/// The environment as it was when the process started. Names that are not text are left out; values that are
/// not text are there, and malformed.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Option<String>>);

impl Variables {
    /// The text of a variable. Empty, absent and not-text are all `None`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref().filter(|text| !text.is_empty())
    }
}

impl FromIterator<(String, Option<String>)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl core::fmt::Debug for Variables {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

/// One variable and what it says.
#[derive(Debug)]
pub struct Entry {
    /// Its row.
    pub variable: &'static Variable,
    /// What it says.
    pub state: State,
}

/// What a variable says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: absent, or the empty text.
    Unset,
    /// A value that passed.
    Set {
        /// The normalised value; `None` for a secret.
        value: Option<String>,
        /// What tells one secret from another; `None` for the rest.
        fingerprint: Option<String>,
    },
    /// A value that did not.
    Invalid {
        /// What was expected.
        expected: &'static str,
    },
}

/// Everything the variables say.
#[derive(Debug)]
pub struct Reading {
    /// One entry for each of the twenty, in their order, then the referenced secrets.
    pub entries: Vec<Entry>,
    /// The typed whole; what is malformed is left out.
    pub settings: Settings,
    /// Everything that is wrong.
    pub problems: Vec<Error>,
}

impl Reading {
    /// Whether everything that decides on the provider was understood: only then may one be told. A mistake
    /// elsewhere, in an e-mail address say, does not make the provider unknown.
    #[must_use]
    pub fn provider_is_clear(&self) -> bool {
        const DECIDING: [&str; 8] = [
            names::CUSTOM_URL,
            names::USE_LOCAL,
            names::USE_STAGING,
            names::API_BASE,
            names::APPS_BASE,
            names::CONSOLE_BASE,
            names::CLIENT_ID,
            names::SCOPES,
        ];
        let wrong = |entry: &Entry| {
            matches!(entry.state, State::Invalid { .. }) && DECIDING.contains(&entry.variable.name)
        };
        !self.entries.iter().any(wrong) && chosen(&self.settings).count() < 2
    }
}

/// The variables that choose a provider, of those that are set.
fn chosen(settings: &Settings) -> impl Iterator<Item = &'static str> {
    let all = [
        (settings.local, names::USE_LOCAL),
        (settings.staging, names::USE_STAGING),
        (settings.custom_url.is_some(), names::CUSTOM_URL),
    ];
    all.into_iter().filter_map(|(set, name)| set.then_some(name))
}

/// Reads every variable, used or not, and finds every problem in one look.
#[must_use]
pub fn read(variables: &Variables) -> Reading {
    let mut reading = Reading { entries: Vec::new(), settings: Settings::default(), problems: Vec::new() };
    for variable in VARIABLES.iter().chain(REFERENCED) {
        let state = match variables.0.get(variable.name) {
            None => State::Unset,
            Some(Some(text)) if text.is_empty() => State::Unset,
            Some(None) => State::Invalid { expected: "expected text in UTF-8" },
            Some(Some(text)) => match (variable.apply)(&mut reading.settings, text) {
                Ok(state) => state,
                Err(expected) => State::Invalid { expected },
            },
        };
        if let State::Invalid { expected } = state {
            reading.problems.push(malformed(variable, expected, variables.text(variable.name)));
        }
        reading.entries.push(Entry { variable, state });
    }
    conflicts(&reading.settings, &mut reading.problems);
    reading
}

fn malformed(variable: &Variable, expected: &str, text: Option<&str>) -> Error {
    let what = match text {
        Some(text) if variable.kind != Kind::Secret && !could_hold_secret(text) => {
            format!("{} is malformed: `{}`", variable.name, escape(text))
        }
        _ => format!("{} is malformed", variable.name),
    };
    Error::new(Id::VariableMalformed, what, expected)
}

/// People put tokens into the wrong variable, and passwords into URLs. Such a value is not repeated.
fn could_hold_secret(text: &str) -> bool {
    text.contains('@') && text.contains("//") || text.len() > 64 || text.starts_with("sk-")
}

fn conflicts(settings: &Settings, problems: &mut Vec<Error>) {
    let chosen: Vec<&str> = chosen(settings).collect();
    if chosen.len() > 1 {
        let what = format!("{} are both set", chosen.join(" and "));
        problems.push(Error::new(Id::VariablesConflict, what, "each of them chooses another provider"));
    }
    let descriptors: Vec<_> = settings.descriptors().collect();
    for (at, one) in descriptors.iter().enumerate() {
        for other in &descriptors[at + 1..] {
            if one.number == other.number {
                let what = format!(
                    "{} and {} name the same descriptor {}",
                    one.variable, other.variable, one.number
                );
                problems.push(
                    Error::new(Id::VariablesConflict, what, "a descriptor can be read only once")
                        .hint("give each credential a descriptor of its own"),
                );
            }
        }
    }
}

/// The names of everything that holds or names a credential: what no child gets unless it is meant to.
pub fn secret_names() -> impl Iterator<Item = &'static str> {
    let secret = |v: &&Variable| matches!(v.kind, Kind::Secret | Kind::Descriptor);
    VARIABLES.iter().chain(REFERENCED).filter(secret).map(|v| v.name)
}

/// What a variable's text amounts to for reports.
pub(crate) fn shown(value: &impl ToString) -> State {
    State::Set { value: Some(value.to_string()), fingerprint: None }
}

#[cfg(test)]
mod tests;
