//! The keys of an environment that say how its provider wants to be spoken to.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::Deserialize;

use super::mistake::Table;
use crate::{
    error::escape,
    oauth::{
        dialect::{Addition, Dialect, TokenBody},
        header::carries_a_credential,
    },
};

/// A table of texts as it is written: names, each with a text or several.
pub type RawTable = BTreeMap<String, RawEntry>;

/// What one name has.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RawEntry {
    /// One text.
    Text(String),
    /// Several.
    Texts(Vec<String>),
    /// A table for the grant of this name alone.
    Grant(BTreeMap<String, RawText>),
}

/// What one name has in the table of a grant.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RawText {
    /// One text.
    Text(String),
    /// Several.
    Texts(Vec<String>),
}

/// What is configured of a provider's ways: it is laid over what is built in.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The form of a token request, if it is configured.
    pub token_body: Option<TokenBody>,
    /// Headers and parameters.
    pub further: Dialect,
    /// Further parameters of the authorization request.
    pub authorize_parameters: Vec<Addition>,
    /// Further parameters of the device authorization request.
    pub device_parameters: Vec<Addition>,
}

impl Ways {
    /// Lays this over a dialect: a header that is configured takes the place of one of its name.
    #[must_use]
    pub fn over(&self, known: &Dialect) -> Dialect {
        let over = |known: &[Addition], ours: &[Addition]| {
            let replaced = |one: &Addition| {
                ours.iter().any(|own| {
                    own.name.eq_ignore_ascii_case(&one.name)
                        && (own.grant.is_none() || own.grant == one.grant)
                })
            };
            known.iter().filter(|one| !replaced(one)).chain(ours).cloned().collect()
        };
        Dialect {
            token_body: self.token_body.unwrap_or(known.token_body),
            token_headers: over(&known.token_headers, &self.further.token_headers),
            token_parameters: over(&known.token_parameters, &self.further.token_parameters),
            api_headers: over(&known.api_headers, &self.further.api_headers),
        }
    }
}

/// What a table holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Headers of every request of their kind.
    Headers,
    /// Headers, which may be for one grant alone.
    HeadersByGrant,
    /// Parameters of every request of their kind.
    Parameters,
    /// Parameters, which may be for one grant alone.
    ParametersByGrant,
}

impl Kind {
    const fn is_header(self) -> bool {
        matches!(self, Self::Headers | Self::HeadersByGrant)
    }

    const fn is_by_grant(self) -> bool {
        matches!(self, Self::HeadersByGrant | Self::ParametersByGrant)
    }
}

/// Reads one table. What is wrong is noted, and left out.
pub(super) fn additions(at: &Table<'_>, key: &str, table: Option<&RawTable>, kind: Kind) -> Vec<Addition> {
    let mut all = Vec::new();
    for (name, entry) in table.into_iter().flatten() {
        match entry {
            RawEntry::Text(value) => add(at, key, kind, &mut all, (name, core::slice::from_ref(value), None)),
            RawEntry::Texts(values) => add(at, key, kind, &mut all, (name, values, None)),
            RawEntry::Grant(_) if !kind.is_by_grant() => {
                at.wrong(
                    key,
                    &format!("expected text for `{}`, which goes with every request", escape(name)),
                );
            }
            RawEntry::Grant(_) if !GRANTS.contains(&name.as_str()) => {
                at.wrong(key, &format!("expected the name of a grant for a table: {}", GRANTS.join(", ")));
            }
            RawEntry::Grant(own) => {
                for (inner, value) in own {
                    let values = match value {
                        RawText::Text(value) => core::slice::from_ref(value),
                        RawText::Texts(values) => values,
                    };
                    add(at, key, kind, &mut all, (inner, values, Some(name)));
                }
            }
        }
    }
    all
}

fn add(
    at: &Table<'_>,
    key: &str,
    kind: Kind,
    all: &mut Vec<Addition>,
    (name, values, grant): (&str, &[String], Option<&str>),
) {
    let is_known = all.iter().any(|one| one.grant.as_deref() == grant && one.name.eq_ignore_ascii_case(name));
    if kind.is_header() && (is_known || values.len() != 1) {
        return at.wrong(key, &format!("expected `{}` once, with one value", escape(name)));
    }
    for value in values {
        match if kind.is_header() { header(name, value) } else { parameter(name, value) } {
            Ok(()) => all.push(Addition { grant: grant.map(Into::into), ..Addition::new(name, value) }),
            Err(expected) => at.wrong(key, &expected),
        }
    }
}

/// Reads the resources that tokens are for (RFC 8707 §2), a parameter each.
pub(super) fn resources(at: &Table<'_>, resources: Option<&Vec<String>>) -> Vec<Addition> {
    let mut all = Vec::new();
    for resource in resources.into_iter().flatten() {
        match is_resource(resource) {
            Ok(()) => all.push(Addition::new("resource", resource)),
            Err(expected) => at.wrong("resource", expected),
        }
    }
    all
}

/// The grants that a table may be for, by the last part of their `grant_type`.
const GRANTS: [&str; 6] = [
    "authorization_code",
    "refresh_token",
    "device_code",
    "client_credentials",
    "jwt-bearer",
    "token-exchange",
];

/// Headers that belong to the connection, to the body, or to keyfob itself (RFC 9110 §7.2, §7.6.1, §8; RFC 6455 §11.3).
const OURS: [&str; 22] = [
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "proxy-authenticate",
    "expect",
    "via",
    "forwarded",
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "accept",
    "accept-encoding",
    "user-agent",
    "date",
    "origin",
    "range",
];

/// The longest name and value.
const LONGEST: usize = 1024;

/// RFC 9110 §5.1 and §5.5, and nothing that is keyfob's own to send or secret.
fn header(name: &str, value: &str) -> Result<(), String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let shown = escape(name);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(token) {
        return Err(format!("expected names of headers (RFC 9110 §5.1): `{shown}` is none"));
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) || lower.starts_with("sec-") || lower.starts_with("proxy-") {
        return Err(format!("expected no `{shown}`: that header is made by keyfob itself"));
    }
    if carries_a_credential(name) {
        return Err(format!(
            "expected no `{shown}`: by its name it carries a credential, and none belongs here"
        ));
    }
    let fits = |b: u8| (0x20..=0x7e).contains(&b);
    if value.is_empty() || value.len() > LONGEST || !value.bytes().all(fits) || value.trim() != value {
        return Err(format!(
            "expected `{shown}` with printable ASCII, without a blank at either end or a line break"
        ));
    }
    if is_credential(value) {
        return Err(format!("expected `{shown}` without a credential: none belongs here"));
    }
    Ok(())
}

/// Values that are credentials whatever they are called.
fn is_credential(value: &str) -> bool {
    let scheme = value.split(' ').next().unwrap_or("");
    value.contains(' ') && ["bearer", "basic", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        || value.starts_with("sk-ant-")
        || value.starts_with("eyJ") && value.matches('.').count() == 2
}

/// What keyfob itself sends, or another key says (the IANA registry "OAuth Parameters"): nothing may preset it.
const RESERVED: [&str; 36] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "prompt",
    "login_hint",
    "id_token_hint",
    "request",
    "request_uri",
    "registration",
    "resource",
    "grant_type",
    "refresh_token",
    "device_code",
    "user_code",
    "username",
    "password",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "token",
    "access_token",
    "dpop_jkt",
    "expires_in",
];

/// RFC 6749 appendix A: printable ASCII for the name; the value is text.
fn parameter(name: &str, value: &str) -> Result<(), String> {
    let shown = escape(name);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(fits) {
        return Err(format!("expected names of letters, digits and the characters - . _: `{shown}` is none"));
    }
    let key = match name.to_ascii_lowercase().as_str() {
        "resource" => Some("`resource`"),
        "prompt" => Some("`prompt`"),
        "scope" => Some("`scopes`"),
        "client_id" => Some("`client_id`"),
        _ => None,
    };
    if let Some(key) = key {
        return Err(format!("expected no `{shown}`: the key {key} says it"));
    }
    if RESERVED.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(format!("expected no `{shown}`: keyfob sends that itself"));
    }
    if value.is_empty() || value.len() > LONGEST || value.chars().any(char::is_control) {
        return Err(format!("expected `{shown}` with text, without a line break"));
    }
    if is_credential(value) {
        return Err(format!("expected `{shown}` without a credential: none belongs here"));
    }
    Ok(())
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn is_resource(text: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "expected absolute URIs without a fragment (RFC 8707 §2)";
    let (scheme, rest) = text.split_once(':').ok_or(EXPECTED)?;
    let of_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let fits = |b: u8| (0x21..=0x7e).contains(&b) && !b"#\\\"<>^`{|}".contains(&b);
    let is_uri = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && text.len() <= LONGEST
        && rest.bytes().all(fits);
    if is_uri { Ok(()) } else { Err(EXPECTED) }
}
