//! `keyfob env --json`.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::Serialize;

use super::{Reading, State, VARIABLES};
use crate::{Error, environment::Environment};

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct EnvReport<'r> {
    /// One for each of the twenty.
    pub variables: Vec<VariableReport<'r>>,
    /// One for each secret the contract refers to.
    pub referenced: Vec<VariableReport<'r>>,
    /// The provider, if it can be told which.
    pub environment: Option<EnvironmentReport<'r>>,
    /// Everything that is wrong, told as one.
    pub error: Option<ErrorReport>,
}

/// One variable.
#[derive(Debug, Serialize)]
pub struct VariableReport<'r> {
    /// Its name.
    pub name: &'r str,
    /// `set`, `unset` or `invalid`.
    pub state: &'static str,
    /// The normalised value; null for secrets.
    pub value: Option<&'r str>,
    /// What tells one secret from another.
    pub fingerprint: Option<&'r str>,
    /// What was expected, if it is invalid.
    pub error: Option<&'static str>,
}

/// The provider.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names are those of the documented answer")]
pub struct EnvironmentReport<'r> {
    pub name: &'r str,
    pub authorize_url: Option<&'r str>,
    pub token_url: Option<&'r str>,
    pub api_base: Option<&'r str>,
    pub apps_base: Option<&'r str>,
    pub console_base: Option<&'r str>,
    pub client_id: Option<&'r str>,
    pub scopes: Vec<&'r str>,
}

/// What is wrong.
#[derive(Debug, Serialize)]
pub struct ErrorReport {
    /// The stable id of the first problem.
    pub id: &'static str,
    /// All problems, in words.
    pub message: String,
}

/// The answer of `keyfob env --json`.
#[must_use]
pub fn report<'r>(
    reading: &'r Reading,
    environment: Option<&'r Environment>,
    error: Option<&Error>,
) -> EnvReport<'r> {
    let (twenty, referenced) = reading.entries.split_at(VARIABLES.len().min(reading.entries.len()));
    EnvReport {
        variables: twenty.iter().map(variable).collect(),
        referenced: referenced.iter().map(variable).collect(),
        environment: environment.map(|e| EnvironmentReport {
            name: &e.name,
            authorize_url: e.endpoints.authorize_url.as_deref(),
            token_url: e.endpoints.token_url.as_deref(),
            api_base: e.api_base.as_deref(),
            apps_base: e.apps_base.as_deref(),
            console_base: e.console_base.as_deref(),
            client_id: e.client_id.as_ref().map(|id| id.as_str()),
            scopes: e.scopes.iter().collect(),
        }),
        error: error.map(|error| {
            let mut message = error.message();
            for other in error.also() {
                message.push_str("; ");
                message.push_str(&other.message());
            }
            ErrorReport { id: error.id().word(), message: message.to_string() }
        }),
    }
}

fn variable(entry: &super::Entry) -> VariableReport<'_> {
    let name = entry.variable.name;
    match &entry.state {
        State::Unset => VariableReport { name, state: "unset", value: None, fingerprint: None, error: None },
        State::Set { value, fingerprint } => VariableReport {
            name,
            state: "set",
            value: value.as_deref(),
            fingerprint: fingerprint.as_deref(),
            error: None,
        },
        State::Invalid { expected } => {
            VariableReport { name, state: "invalid", value: None, fingerprint: None, error: Some(expected) }
        }
    }
}
