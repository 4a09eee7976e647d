//! The contract: every environment variable, in one table. Parsing, reports, help and documentation are derived from
//! it.

mod metrics;
pub mod names;
pub mod settings;
mod table;
pub mod values;
mod variable;

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

pub use table::{DESCRIBED, REFERENCED, VARIABLES};
pub use variable::{Apply, Kind, Variable};

use crate::{
    Error, Id,
    contract::{settings::Settings, values::Expected},
    error::escape,
};

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
    fn unreadable(&self, name: &str) -> Option<Expected> {
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
    /// Whether every variable beyond the contract could at least be read.
    others_are_text: bool,
}

impl Reading {
    /// Whether everything that decides on the provider was understood: only then may one be told. A mistake
    /// elsewhere, in an e-mail address say, does not make the provider unknown; one in what chooses the
    /// configuration does.
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
        self.others_are_text && !self.entries.iter().any(wrong) && chosen(&self.settings).count() < 2
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
///
/// ```
/// use keyfob_core::{
///     Id,
///     contract::{self, Variables},
/// };
///
/// let variables: Variables =
///     [("USE_LOCAL_OAUTH".to_string(), Some("yes".to_string()))].into_iter().collect();
/// let reading = contract::read(&variables);
///
/// assert_eq!(reading.problems[0].id(), Id::VariableMalformed);
/// assert_eq!(reading.problems[0].what(), "USE_LOCAL_OAUTH is malformed: `yes`");
/// assert_eq!(reading.problems[0].why(), "expected exactly 1, true, 0 or false");
/// ```
#[must_use]
pub fn read(variables: &Variables) -> Reading {
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    for variable in VARIABLES.iter().chain(REFERENCED) {
        let read = match (variables.unreadable(variable.name), variables.text(variable.name)) {
            (Some(expected), _) => Err(expected),
            (None, None) => Ok(State::Unset),
            (None, Some(text)) => (variable.apply)(&mut settings, text),
        };
        let state = read.unwrap_or_else(|expected| {
            let shown = variables.text(variable.name).filter(|text| variable.kind.may_repeat(text));
            problems.push(malformed(variable.name, expected, shown));
            State::Invalid { expected }
        });
        entries.push(Entry { variable, state });
    }
    conflicts(&settings, &mut problems);
    settings.metrics = metrics::read(variables, &mut problems);
    let before = problems.len();
    for name in DESCRIBED.iter().flat_map(|(names, _)| names.split(", ")) {
        problems.extend(variables.unreadable(name).map(|expected| malformed(name, expected, None)));
    }
    Reading { entries, settings, others_are_text: problems.len() == before, problems }
}

fn malformed(name: &str, expected: Expected, shown: Option<&str>) -> Error {
    let what = match shown {
        Some(text) => format!("{name} is malformed: `{}`", escape(text)),
        None => format!("{name} is malformed"),
    };
    Error::new(Id::VariableMalformed, what, expected)
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
    VARIABLES.iter().chain(REFERENCED).filter(secret).map(|v| v.name).chain(CREDENTIALS_OF_HOSTS)
}

/// Credentials that a host program hands its own children, which are not read here.
const CREDENTIALS_OF_HOSTS: [&str; 4] =
    [names::GATEWAY_TOKEN, names::GATEWAY_DESCRIPTOR, names::BRIDGE_TOKEN, names::IDENTITY_TOKEN];

/// What tells a child that its host renews for it: wrong for a program that was handed a credential of ours.
pub const HOST_REFRESHES: [&str; 2] = [names::SDK_REFRESHES, names::HOST_REFRESHES];

/// What a variable's text amounts to for reports.
pub(crate) fn shown(value: &impl ToString) -> State {
    State::Set { value: Some(value.to_string()), fingerprint: None }
}

#[cfg(test)]
mod tests;
