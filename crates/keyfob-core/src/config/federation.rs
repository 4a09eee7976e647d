//! `[environments.NAME.federation]` of the configuration file.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use super::{
    dialect::{RawEntry, RawTable},
    mistake::Mistakes,
};
use crate::{
    contract::settings::Scopes,
    oauth::{
        dialect::TokenBody,
        federation::{Federation, Grant, Identity, is_plain, is_resource},
    },
};

/// `[environments.NAME.federation]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawFederation {
    pub grant: Option<String>,
    pub body: Option<String>,
    pub identity_token: Option<String>,
    pub identity_token_file: Option<String>,
    pub identity_token_variable: Option<String>,
    pub identity_token_command: Option<String>,
    pub identity_token_audience: Option<String>,
    pub single_use: Option<bool>,
    pub scopes: Option<Vec<String>>,
    pub audience: Option<Vec<String>>,
    pub resource: Option<Vec<String>>,
    pub subject_token_type: Option<String>,
    pub requested_token_type: Option<String>,
    #[serde(default)]
    pub members: RawTable,
}

/// What the request itself says: no further member may say it again, or otherwise.
const OWN_MEMBERS: [&str; 14] = [
    "grant_type",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "audience",
    "resource",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];
/// The token types that have a short name here (RFC 8693 §3).
const TYPES: [&str; 6] = ["jwt", "id_token", "access_token", "refresh_token", "saml1", "saml2"];

/// The table that is being read.
struct Table<'t> {
    name: &'t str,
    mistakes: &'t Mistakes,
}

impl Table<'_> {
    fn wrong(&self, key: &str, expected: impl Into<String>) {
        self.mistakes.note(&["environments", self.name, "federation", key], expected);
    }
}

/// Reads the table. What is wrong is noted, and left out.
pub(super) fn read(name: &str, raw: RawFederation, mistakes: &Mistakes) -> Federation {
    let at = Table { name, mistakes };
    let grant = match raw.grant.as_deref() {
        None | Some("jwt-bearer") => Grant::JwtBearer,
        Some("token-exchange") => Grant::TokenExchange,
        Some(_) => {
            at.wrong("grant", "expected \"jwt-bearer\" or \"token-exchange\"");
            Grant::JwtBearer
        }
    };
    // The built-in environments are the vendor's.
    let vendor = matches!(name, "production" | "staging" | "local") && grant == Grant::JwtBearer;
    let identity = identity(&at, &raw, vendor);
    // Only GitHub Actions is asked for an audience: elsewhere whoever writes the token has chosen it.
    let is_given = matches!(identity, Identity::File { .. } | Identity::Variable(_) | Identity::Command(_));
    if is_given && raw.identity_token_audience.is_some() {
        at.wrong("identity_token_audience", "expected with identity_token = \"github\" only");
    }
    let mut federation =
        if vendor { Federation::of_vendor(identity) } else { Federation::standard(grant, identity) };
    if grant == Grant::JwtBearer {
        for (key, is_set) in [
            ("subject_token_type", raw.subject_token_type.is_some()),
            ("requested_token_type", raw.requested_token_type.is_some()),
        ] {
            if is_set {
                at.wrong(key, "expected with grant = \"token-exchange\" only");
            }
        }
    }
    match raw.body.as_deref() {
        None => {}
        Some(word) => match TokenBody::named(word) {
            Some(body) => federation.body = Some(body),
            None => at.wrong("body", "expected \"form\" or \"json\""),
        },
    }
    if let Some(kind) = token_type(&at, "subject_token_type", raw.subject_token_type) {
        federation.subject_token_type = kind;
    }
    federation.requested_token_type = token_type(&at, "requested_token_type", raw.requested_token_type);
    if let Some(list) = raw.scopes {
        match list.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
            true => at.wrong("scopes", "expected a list with one scope name in each text"),
            false if list.is_empty() => {}
            false => match Scopes::parse(&list.join(" ")) {
                Ok(scopes) => federation.scopes = scopes,
                Err(why) => at.wrong("scopes", why),
            },
        }
    }
    federation.audience = raw.audience.unwrap_or_default();
    if !federation.audience.iter().all(|text| is_plain(text)) {
        at.wrong("audience", "expected printable text without a blank at either end");
    }
    federation.resource = raw.resource.unwrap_or_default();
    if !federation.resource.iter().all(|text| is_resource(text)) {
        at.wrong("resource", "expected absolute URIs without a fragment");
    }
    federation.identity_audience = raw.identity_token_audience.filter(|text| {
        let fits = is_plain(text);
        if !fits {
            at.wrong("identity_token_audience", "expected printable text without a blank at either end");
        }
        fits
    });
    for (member, value) in raw.members {
        if OWN_MEMBERS.contains(&member.as_str()) {
            at.wrong(
                "members",
                format!("expected no `{member}`: that has a key of its own, or comes by itself"),
            );
            continue;
        }
        match value {
            RawEntry::Text(text) if is_member(&member) && is_plain(&text) => {
                federation.members.insert(member, text);
            }
            _ => at.wrong("members", "expected names of letters, digits, - _ and ., each with a text"),
        }
    }
    federation.single_use = raw.single_use;
    federation
}

/// Where the identity token is: one place, or where the vendor's variables may name one, none.
fn identity(at: &Table<'_>, raw: &RawFederation, vendor: bool) -> Identity {
    const EACH: &str = "expected one of identity_token, identity_token_file, identity_token_variable and \
                        identity_token_command";
    let places = [
        ("identity_token", &raw.identity_token),
        ("identity_token_file", &raw.identity_token_file),
        ("identity_token_variable", &raw.identity_token_variable),
        ("identity_token_command", &raw.identity_token_command),
    ];
    let mut named = places.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?)));
    let (key, text) = match (named.next(), named.next()) {
        (Some(one), None) => one,
        (Some(_), Some((key, _))) => {
            at.wrong(key, EACH);
            return Identity::Surroundings;
        }
        (None, _) if vendor => return Identity::Surroundings,
        (None, _) => {
            at.wrong("identity_token", EACH);
            return Identity::Surroundings;
        }
    };
    match key {
        "identity_token" if text == "github" => Identity::GitHub,
        "identity_token" => {
            at.wrong(
                key,
                "expected \"github\"; another place has a key of its own: identity_token_file, …_variable or \
                           …_command",
            );
            Identity::Surroundings
        }
        "identity_token_file" if text.starts_with('/') => {
            Identity::File { path: text.to_string(), variable: None }
        }
        "identity_token_file" => {
            let expected = if text.starts_with("$CREDENTIALS_DIRECTORY") {
                "expected a file that is kept fresh: what a unit is given does not change while it runs"
            } else {
                "expected an absolute path"
            };
            at.wrong(key, expected);
            Identity::Surroundings
        }
        "identity_token_variable" if is_variable(text) => Identity::Variable(text.to_string()),
        "identity_token_variable" => {
            at.wrong(key, "expected the name of a variable");
            Identity::Surroundings
        }
        _ if text.trim().is_empty() => {
            at.wrong(key, "expected a command");
            Identity::Surroundings
        }
        _ => Identity::Command(text.to_string()),
    }
}

/// A token type: one of RFC 8693 §3 by its last word, or another by its whole URI.
fn token_type(at: &Table<'_>, key: &str, text: Option<String>) -> Option<String> {
    let text = text?;
    if TYPES.contains(&text.as_str()) {
        return Some(format!("urn:ietf:params:oauth:token-type:{text}"));
    }
    if is_plain(&text) && text.contains(':') {
        return Some(text);
    }
    at.wrong(key, format!("expected a URI, or one of {}", TYPES.join(", ")));
    None
}

fn is_member(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
