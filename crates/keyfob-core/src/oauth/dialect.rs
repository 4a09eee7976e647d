//! How one provider wants to be spoken to, where it differs from what the standards say: the form of a token request, and
//! what goes with requests beyond what keyfob sends by itself. All of it is data of an environment, and a login keeps what
//! its renewal needs. None of it is secret: it is shown in reports and kept in plain text.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Secret,
    oauth::header::{Header, is_same_name},
};

/// How the parameters of a token request are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenBody {
    /// As a form (RFC 6749 appendix B).
    #[default]
    Form,
    /// As a JSON object.
    Json,
}

impl TokenBody {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "form" => Some(Self::Form),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A header or a parameter that goes with requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The only grant it goes with, by the last part of its `grant_type`. `None`: with every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// How a provider wants to be spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// The form of a token request.
    #[serde(default)]
    pub token_body: TokenBody,
    /// Headers of token requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_headers: Vec<Addition>,
    /// Further parameters of token requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_parameters: Vec<Addition>,
    /// Headers of every API request with an OAuth access token: they belong to the credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_headers: Vec<Addition>,
}

impl Addition {
    /// One that goes with every grant.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: value.into(), grant: None }
    }

    /// The same with this grant alone.
    #[must_use]
    pub fn with(self, grant: &str) -> Self {
        Self { grant: Some(grant.into()), ..self }
    }

    fn goes_with(&self, grant_type: &str) -> bool {
        let short = grant_type.rsplit(':').next().unwrap_or(grant_type);
        self.grant.as_deref().is_none_or(|grant| grant == short)
    }
}

impl Dialect {
    /// The headers of a token request by this grant. What is said of this grant replaces what is said of all.
    pub(crate) fn headers_of(&self, grant_type: &str) -> Vec<Header> {
        going_with(&self.token_headers, grant_type, is_same_name).map(as_header).collect()
    }

    /// The further parameters of a token request by this grant, chosen like its headers.
    pub(crate) fn parameters_of<'a>(&'a self, grant_type: &'a str) -> impl Iterator<Item = &'a Addition> {
        going_with(&self.token_parameters, grant_type, |one, other| one == other)
    }

    /// The headers that belong to an OAuth access token, wherever it is sent.
    #[must_use]
    pub fn headers_of_api(&self) -> Vec<Header> {
        self.api_headers.iter().map(as_header).collect()
    }
}

fn going_with<'a>(
    all: &'a [Addition],
    grant_type: &'a str,
    same: fn(&str, &str) -> bool,
) -> impl Iterator<Item = &'a Addition> {
    all.iter().filter(move |one| {
        one.goes_with(grant_type)
            && (one.grant.is_some()
                || !all.iter().any(|other| {
                    other.grant.is_some() && other.goes_with(grant_type) && same(&other.name, &one.name)
                }))
    })
}

fn as_header(addition: &Addition) -> Header {
    (addition.name.clone().into(), Secret::new(&*addition.value))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these headers are no secrets")]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    fn of(dialect: &Dialect, grant: &str) -> Vec<(String, String)> {
        let headers = dialect.headers_of(grant).into_iter();
        headers.map(|(name, value)| (name.to_string(), value.expose().to_string())).collect()
    }

    #[test]
    fn what_is_said_of_one_grant_replaces_what_is_said_of_all() {
        let dialect = Dialect {
            token_headers: vec![
                Addition::new("x-tenant", "7"),
                Addition::new("x-flag", "every"),
                Addition::new("X-Flag", "one").with("jwt-bearer"),
            ],
            ..Dialect::default()
        };
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let every = vec![pair("x-tenant", "7"), pair("x-flag", "every")];
        assert_eq!(of(&dialect, "refresh_token"), every);
        assert_eq!(of(&dialect, "urn:example:other-jwt-bearer"), every);
        assert_eq!(
            of(&dialect, "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            vec![pair("x-tenant", "7"), pair("X-Flag", "one")]
        );
    }
}
