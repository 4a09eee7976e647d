//! `keyfob env --json`: the effect of each variable, as JSON.

use serde::Serialize;

use keyfob::{
    Error,
    internals::core::{
        contract::{Entry, Reading, State, VARIABLES},
        provider::environment::Environment,
    },
};

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct EnvReport<'r> {
    /// One for each of the twenty.
    pub(crate) variables: Vec<VariableReport<'r>>,
    /// One for each secret the contract refers to.
    pub(crate) referenced: Vec<VariableReport<'r>>,
    /// The provider, if it can be determined.
    pub(crate) environment: Option<EnvironmentReport<'r>>,
    /// All errors, reported as one.
    pub(crate) error: Option<ErrorReport>,
}

/// One variable.
#[derive(Debug, Serialize)]
pub(crate) struct VariableReport<'r> {
    /// Its name.
    pub(crate) name: &'r str,
    /// `set`, `unset` or `invalid`.
    pub(crate) state: &'static str,
    /// The normalised value; null for secrets.
    pub(crate) value: Option<&'r str>,
    /// Distinguishes one secret from another.
    pub(crate) fingerprint: Option<&'r str>,
    /// What was expected, if it is invalid.
    pub(crate) error: Option<&'static str>,
}

/// The provider.
#[derive(Debug, Serialize)]
pub(crate) struct EnvironmentReport<'r> {
    pub(crate) name: &'r str,
    pub(crate) authorize_url: Option<&'r str>,
    pub(crate) token_url: Option<&'r str>,
    pub(crate) api_base: Option<&'r str>,
    pub(crate) apps_base: Option<&'r str>,
    pub(crate) console_base: Option<&'r str>,
    pub(crate) client_id: Option<&'r str>,
    pub(crate) scopes: Vec<&'r str>,
}

/// The errors.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorReport {
    /// The stable id of the first problem.
    pub(crate) id: &'static str,
    /// All problems, in words.
    pub(crate) message: String,
}

/// The answer of `keyfob env --json`.
pub(crate) fn report<'r>(
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
            ErrorReport { id: error.id().word(), message }
        }),
    }
}

fn variable(entry: &Entry) -> VariableReport<'_> {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use keyfob::internals::core::{
        config::{Config, approved::ApprovedList},
        contract::{self, Variables},
        provider::resolve,
    };

    fn answer(pairs: &[(&str, &str)]) -> Value {
        let variables: Variables =
            pairs.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect();
        let reading = contract::read(&variables);
        let environment =
            resolve(&reading.settings, &Config::default(), None, &ApprovedList::default()).unwrap();
        let error = Error::all(reading.problems.clone());
        let told = error.is_none().then_some(&environment);
        serde_json::to_value(report(&reading, told, error.as_ref())).unwrap()
    }

    fn variable<'a>(answer: &'a Value, name: &str) -> &'a Value {
        let all = answer["variables"].as_array().unwrap();
        all.iter().find(|v| v["name"] == name).expect("one of the twenty")
    }

    /// The documented shape, member by member.
    #[test]
    fn the_answer_is_the_documented_one() {
        let told = answer(&[
            ("USE_LOCAL_OAUTH", "true"),
            ("CLAUDE_CODE_ACCOUNT_UUID", "550E8400-E29B-41D4-A716-446655440000"),
            ("CLAUDE_CODE_OAUTH_TOKEN", "sesame"),
        ]);
        assert_eq!(told["variables"].as_array().unwrap().len(), 20);
        assert_eq!(
            *variable(&told, "CLAUDE_CODE_OAUTH_TOKEN"),
            json!({"name": "CLAUDE_CODE_OAUTH_TOKEN", "state": "set", "value": null,
                "fingerprint": "3b468237d6b9", "error": null})
        );
        assert_eq!(
            *variable(&told, "CLAUDE_CODE_ACCOUNT_UUID"),
            json!({"name": "CLAUDE_CODE_ACCOUNT_UUID", "state": "set",
                "value": "550e8400-e29b-41d4-a716-446655440000", "fingerprint": null, "error": null})
        );
        assert_eq!(
            *variable(&told, "USE_STAGING_OAUTH"),
            json!({"name": "USE_STAGING_OAUTH", "state": "unset", "value": null, "fingerprint": null,
                "error": null})
        );
        assert_eq!(
            told["environment"],
            json!({"name": "local", "authorize_url": "http://localhost:3000/oauth/authorize",
                "token_url": "http://localhost:3000/v1/oauth/token", "api_base": "http://localhost:3000",
                "apps_base": "http://localhost:3000", "console_base": "http://localhost:3000",
                "client_id": "keyfob-local", "scopes": ["user:profile", "user:inference"]})
        );
        assert_eq!(told["error"], Value::Null);
        assert!(!told.to_string().contains("sesame"));
    }

    #[test]
    fn every_problem_is_in_the_error() {
        let told = answer(&[("USE_LOCAL_OAUTH", "yes"), ("CLAUDE_CODE_USER_EMAIL", "nobody")]);
        assert_eq!(
            *variable(&told, "USE_LOCAL_OAUTH"),
            json!({"name": "USE_LOCAL_OAUTH", "state": "invalid", "value": null, "fingerprint": null,
                "error": "expected exactly 1, true, 0 or false"})
        );
        assert_eq!(told["environment"], Value::Null);
        assert_eq!(told["error"]["id"], "variable-malformed");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains("USE_LOCAL_OAUTH") && message.contains("CLAUDE_CODE_USER_EMAIL"));
    }
}
