//! The wire form, as both sides write it. docs/agent.md describes it for those who write another side.

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// The version, as the paths begin and as the header says it.
pub(crate) const VERSION: &str = "1";
/// The header that every request has. A page in a browser, or a proxy that was talked into asking, does not send it.
pub(crate) const MARK: HeaderName = HeaderName::from_static("keyfob");
/// The only `Host`: what is asked by another name was meant for another server.
pub(crate) const HOST: &str = "keyfob";

/// The paths.
pub(crate) const TOKEN: &str = "/v1/token";
pub(crate) const HEADERS: &str = "/v1/headers";
pub(crate) const STATUS: &str = "/v1/status";

/// The longest head of a request.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;
/// The largest body of a request, and of an answer.
pub(crate) const LARGEST_BODY: usize = 64 * 1024;
/// How long a request may take to come in, from its first octet.
pub(crate) const SENDING: Duration = Duration::from_secs(10);
/// How long an answer may take if the request does not say (`Prefer: wait=N`, RFC 7240 §4.3), and at most.
pub(crate) const ANSWERING: Duration = Duration::from_secs(10);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is asked for. An unknown member is refused: it may be a narrowing that this version does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Question {
    /// The profile that is meant, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// The environment that is meant, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    /// Seconds that the token has to be valid for.
    pub(crate) min_valid: u64,
    /// The handle that an API answered 401 to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<String>,
    /// For `/v1/headers`: the request that the headers are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

/// A header of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header<T> {
    pub(crate) name: T,
    pub(crate) value: T,
}

/// A credential. `T` is a text: borrowed where it is written, owned where it is read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Credential<T> {
    pub(crate) v: u8,
    /// Not in the answer of `/v1/headers`.
    #[serde(default = "nothing", skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<T>,
    /// `Bearer`: the scheme of the `Authorization` header.
    pub(crate) scheme: T,
    pub(crate) headers: Vec<Header<T>>,
    pub(crate) source: T,
    pub(crate) login: T,
    pub(crate) generation: u64,
    /// What to name in `rejected` after a 401.
    pub(crate) handle: String,
    pub(crate) profile: Option<T>,
    pub(crate) environment: T,
    pub(crate) expires_at: Option<String>,
    /// Seconds, as the agent counts them: right where the clocks of the two sides differ. Not in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in: Option<i64>,
    /// What a person should hear although there is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<Problem>,
}

const fn nothing<T>() -> Option<T> {
    None
}

/// The file of a profile as the vendor's own programs read it (its package `anthropic`, `lib/credentials/_providers.py`: version
/// and type are checked, `expires_at` is in seconds since 1970). Without a refresh token it is read again and never renewed by
/// them.
#[derive(Debug, Serialize)]
pub(crate) struct CredentialsFile<'a> {
    pub(crate) version: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
}

/// An answer that is an error.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) v: u8,
    pub(crate) error: Problem,
}

/// An error, in keyfob's three lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) hint: String,
    pub(crate) exit_code: u8,
}

/// What the access tokens of a door are narrowed to, by the provider (RFC 8693). What is empty is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Narrowed {
    /// Their scopes.
    pub scopes: Vec<String>,
    /// For whom they are.
    pub audience: Vec<String>,
    /// Where they are to be used.
    pub resource: Vec<String>,
}

/// The state of a door: the answer of `/v1/status`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) v: u8,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) door: String,
    pub(crate) environment: String,
    pub(crate) profile: String,
    /// Who is signed in, where that is known.
    pub(crate) account: Option<String>,
    pub(crate) headers_only: bool,
    /// It renews nothing that was rejected.
    #[serde(default)]
    pub(crate) no_rejected: bool,
    /// Only for these origins; empty: for those of the environment.
    pub(crate) hosts: Vec<String>,
    /// What its tokens are narrowed to, if they are not the login's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) narrowed: Option<Narrowed>,
    /// Seconds until the door closes.
    pub(crate) closes_in: Option<u64>,
    /// Seconds that the agent has run.
    pub(crate) uptime: u64,
    pub(crate) connections: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) source: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) expires_at: Option<String>,
    pub(crate) expires_in: Option<i64>,
    /// Why there is no token now.
    pub(crate) error: Option<Problem>,
}

/// The state of a proxy: the answer of `/v1/status` there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProxyStatus {
    pub(crate) v: u8,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) to: String,
    pub(crate) environment: String,
    pub(crate) profile: String,
    /// Seconds that the proxy has run.
    pub(crate) uptime: u64,
    pub(crate) connections: u64,
    /// Answers that are still coming, and connections that speak another protocol.
    pub(crate) streams: u64,
    /// Answers of the origin, by the class of their status.
    pub(crate) answered: BTreeMap<String, u64>,
    /// Answers of the proxy's own, by the id of the error.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) renewed: u64,
    pub(crate) source: Option<String>,
    pub(crate) expires_at: Option<String>,
    pub(crate) expires_in: Option<i64>,
    /// Why there is no token now.
    pub(crate) error: Option<Problem>,
}
