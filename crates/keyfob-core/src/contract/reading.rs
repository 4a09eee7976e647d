//! Reads every variable by its row of the table.

use alloc::{format, vec::Vec};

use super::{
    Kind, State, Variable, Variables, metrics, names,
    settings::Settings,
    table::{DESCRIBED, REFERENCED, VARIABLES},
    variables::malformed,
};
use crate::{Cause, Error, Id};

/// One variable and what it says.
#[derive(Debug)]
pub struct Entry {
    /// Its row.
    pub variable: &'static Variable,
    /// What it says.
    pub state: State,
}

/// Everything the variables say.
#[derive(Debug)]
pub struct Reading {
    /// One entry for each of the twenty, in their order, then the referenced ones.
    pub entries: Vec<Entry>,
    /// The typed whole; what is malformed is left out.
    pub settings: Settings,
    /// Everything that is wrong.
    pub problems: Vec<Error>,
    /// Whether every variable beyond the contract could at least be read.
    others_are_text: bool,
}

impl Reading {
    /// Whether everything that decides on the provider was understood: only then may one be named. A mistake
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
                        .because(Cause::SameDescriptor { number: one.number.unsigned_abs() }),
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
const CREDENTIALS_OF_HOSTS: [&str; 3] =
    [names::GATEWAY_TOKEN, names::GATEWAY_DESCRIPTOR, names::BRIDGE_TOKEN];

/// Variables that say to a child that its host renews for it: wrong for a program that was given a credential of ours.
pub const HOST_REFRESHES: [&str; 2] = [names::SDK_REFRESHES, names::HOST_REFRESHES];
