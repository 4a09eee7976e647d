//! One `[environments.NAME]` of the configuration file.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use super::{
    dialect::{self, Kind, RawTable, Ways},
    endpoints::with_endpoints,
    federation::{self, RawFederation},
    keys::Holds,
    mistake::{Mistakes, Table},
};
use crate::{
    Result,
    contract::{
        settings::{ClientId, Scopes},
        values,
    },
    oauth::{
        client_auth::{Confidential, Place, Proof, unit_credential},
        dialect::{Dialect, TokenBody},
        federation::Federation,
        prompt::Prompt,
    },
    provider::Endpoints,
};

with_endpoints! {
/// One `[environments.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawEnvironment {
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub redirect: Option<String>,
    pub port: Option<i64>,
    pub prompt: Option<String>,
    pub dead_refresh_words: Option<Vec<String>>,
    pub grant: Option<String>,
    pub client_secret_file: Option<String>,
    pub client_secret_command: Option<String>,
    pub client_key_file: Option<String>,
    pub client_key_command: Option<String>,
    pub client_key_id: Option<String>,
    pub client_auth: Option<String>,
    pub api_base: Option<String>,
    pub apps_base: Option<String>,
    pub console_base: Option<String>,
    pub authorize_url: Option<String>,
    pub hosts: Option<Vec<String>>,
    pub pkce: Option<String>,
    pub resource: Option<Vec<String>>,
    pub authorize_parameters: Option<RawTable>,
    pub device_parameters: Option<RawTable>,
    pub token_parameters: Option<RawTable>,
    pub token_body: Option<String>,
    pub token_headers: Option<RawTable>,
    pub api_headers: Option<RawTable>,
    pub federation: Option<RawFederation>,
}
}

/// What the file says of one environment.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// The issuer, as it was written.
    pub issuer: Option<String>,
    /// The client.
    pub client_id: Option<ClientId>,
    /// The scopes.
    pub scopes: Option<Scopes>,
    /// Whether the redirect must be the name `localhost`.
    pub redirect_is_name: bool,
    /// The port of the callback, if it is configured.
    pub port: Option<u16>,
    /// What the sign-in page must ask, if that is configured.
    pub prompt: Option<Prompt>,
    /// The provider's own words for a refresh token that is dead.
    pub dead_refresh_words: Vec<String>,
    /// Set where the client is a machine that asks for itself.
    pub machine: Option<Confidential>,
    /// Set where a person signs in and the client has a secret.
    pub confidential: Option<Confidential>,
    /// Set where an identity token of this machine is exchanged.
    pub federation: Option<Federation>,
    /// The base of API endpoints.
    pub api_base: Option<String>,
    /// The base of the sign-in page.
    pub apps_base: Option<String>,
    /// The base of the console's page.
    pub console_base: Option<String>,
    /// The endpoints it names itself.
    pub endpoints: Endpoints,
    /// Further origins that its credential may go to.
    pub hosts: Vec<String>,
    /// Whether the provider is known to take PKCE with S256 (RFC 7636), whatever its metadata says.
    pub pkce_is_assumed: bool,
    /// How it wants to be spoken to, and what else is sent to it.
    pub ways: Ways,
}

impl Configured {
    /// Reads one environment. What is wrong is noted, and left out.
    pub(super) fn read(name: &str, mut raw: RawEnvironment, mistakes: &Mistakes) -> Self {
        let at = Table { name, mistakes };
        let ways = ways(&at, &raw);
        let confidential = confidential(&at, name, &raw);
        let is_machine = raw.grant.as_deref() == Some("client_credentials");
        let (machine, confidential) = if is_machine { (confidential, None) } else { (None, confidential) };
        let federation = raw.federation.take().map(|raw| federation::read(name, raw, mistakes));
        if is_machine && federation.is_some() {
            at.wrong(
                "federation",
                "expected without grant = \"client_credentials\": a machine proves itself in one way",
            );
        }
        if IS_BUILT_IN.contains(&name) {
            let leads = raw.leads_elsewhere();
            for key in leads {
                at.wrong(
                    key,
                    "expected its client, scopes, redirect, port, prompt and hosts only: its endpoints do not come \
                     from here",
                );
            }
        }
        let url = |key: &str, value| at.read(key, value, values::endpoint);
        let base = |key: &str, value| {
            at.read(key, value, values::issuer).map(|base| base.trim_end_matches('/').to_string())
        };
        let endpoints = raw.endpoints(|key, value| Ok(url(key, value))).unwrap_or_default();
        let scopes = match raw.scopes {
            None => None,
            // RFC 6749 §3.3: nothing is asked for, and the provider decides.
            Some(list) if list.is_empty() => Some(Scopes::default()),
            Some(list) if list.iter().any(|scope| scope.is_empty() || scope.contains(' ')) => {
                at.wrong("scopes", "expected a list with one scope name in each text");
                None
            }
            Some(list) => at.read("scopes", Some(list.join(" ")), Scopes::parse),
        };
        let redirect_is_name = match raw.redirect.as_deref() {
            None | Some("127.0.0.1") => false,
            Some("localhost") => true,
            Some(_) => {
                at.wrong("redirect", "expected \"127.0.0.1\" or \"localhost\"");
                false
            }
        };
        let port = raw.port.and_then(|port| match u16::try_from(port) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                at.wrong("port", Holds::Port.expected());
                None
            }
        });
        let dead_refresh_words = raw.dead_refresh_words.unwrap_or_default();
        if !dead_refresh_words.iter().all(|word| is_error_word(word)) {
            let expected = "expected error codes, each with or without a status: \"403 some_code\"";
            at.wrong("dead_refresh_words", expected);
        }
        let pkce_is_assumed = match raw.pkce.as_deref() {
            None | Some("announced") => false,
            Some("assume") => true,
            Some(_) => {
                at.wrong("pkce", "expected \"announced\" or \"assume\"");
                false
            }
        };
        let hosts = raw.hosts.unwrap_or_default();
        let hosts = hosts.into_iter().filter_map(|host| at.read("hosts", Some(host), values::origin));
        let hosts = hosts.collect();
        Self {
            machine,
            confidential,
            pkce_is_assumed,
            ways,
            federation,
            hosts,
            dead_refresh_words,
            issuer: at.read("issuer", raw.issuer, values::issuer),
            client_id: at.read("client_id", raw.client_id, ClientId::parse),
            scopes,
            redirect_is_name,
            port,
            prompt: at.read("prompt", raw.prompt, Prompt::parse),
            api_base: base("api_base", raw.api_base),
            apps_base: base("apps_base", raw.apps_base),
            console_base: base("console_base", raw.console_base),
            endpoints: Endpoints { authorize_url: url("authorize_url", raw.authorize_url), ..endpoints },
        }
    }
}

impl RawEnvironment {
    /// The keys that say where anything is asked.
    fn leads_elsewhere(&self) -> Vec<&'static str> {
        let machine = Some("client_credentials".to_string());
        let places = [
            ("issuer", self.issuer.is_some()),
            ("grant", self.grant == machine),
            ("api_base", self.api_base.is_some()),
            ("apps_base", self.apps_base.is_some()),
            ("console_base", self.console_base.is_some()),
            ("authorize_url", self.authorize_url.is_some()),
            ("token_url", self.token_url.is_some()),
            ("revoke_url", self.revoke_url.is_some()),
            ("introspect_url", self.introspect_url.is_some()),
            ("device_url", self.device_url.is_some()),
            ("profile_url", self.profile_url.is_some()),
            ("userinfo_url", self.userinfo_url.is_some()),
        ];
        places.into_iter().filter_map(|(key, is_named)| is_named.then_some(key)).collect()
    }
}

/// How the provider wants to be spoken to, and what else is sent to it.
fn ways(at: &Table<'_>, raw: &RawEnvironment) -> Ways {
    let resources = dialect::resources(at, raw.resource.as_ref());
    let headers = |key, table: &Option<RawTable>, kind| dialect::additions(at, key, table.as_ref(), kind);
    let parameters = |key, table: &Option<RawTable>, kind| {
        [dialect::additions(at, key, table.as_ref(), kind), resources.clone()].concat()
    };
    Ways {
        token_body: raw.token_body.as_deref().and_then(|word| {
            TokenBody::named(word).or_else(|| {
                at.wrong("token_body", "expected \"form\" or \"json\"");
                None
            })
        }),
        further: Dialect {
            token_body: TokenBody::default(),
            token_headers: headers("token_headers", &raw.token_headers, Kind::HeadersByGrant),
            token_parameters: parameters("token_parameters", &raw.token_parameters, Kind::ParametersByGrant),
            api_headers: headers("api_headers", &raw.api_headers, Kind::Headers),
        },
        authorize_parameters: parameters("authorize_parameters", &raw.authorize_parameters, Kind::Parameters),
        device_parameters: parameters("device_parameters", &raw.device_parameters, Kind::Parameters),
    }
}

/// Whether it is an error code (RFC 6749 §5.2), perhaps behind the status that belongs to it.
fn is_error_word(text: &str) -> bool {
    let word = match text.split_once(' ') {
        Some((status, word)) if status.parse().is_ok_and(|status: u16| (200..=599).contains(&status)) => word,
        Some(_) => return false,
        None => text,
    };
    !word.is_empty() && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The keys of a client's secret, or of its private key, belong together: one without the others is a mistake. A machine
/// must have one of the two.
fn confidential(at: &Table<'_>, name: &str, raw: &RawEnvironment) -> Option<Confidential> {
    let bad = |key: &str, expected: &str| {
        at.wrong(key, expected);
        None
    };
    let is_machine = match raw.grant.as_deref() {
        Some("client_credentials") => true,
        Some("authorization_code") | None => false,
        Some(_) => return bad("grant", "expected \"authorization_code\" or \"client_credentials\""),
    };
    let secret = (&raw.client_secret_file, &raw.client_secret_command);
    let key = (&raw.client_key_file, &raw.client_key_command);
    let is_public = raw.client_auth.as_deref() == Some("none");
    let proof = match raw.client_auth.as_deref() {
        None | Some("none") => None,
        Some(name) => match Proof::named(name) {
            None => return bad("client_auth", CLIENT_AUTH),
            known => known,
        },
    };
    let (place, proof) = match (secret, key) {
        ((None, None), (None, None)) if is_machine => {
            return bad("client_secret_file", "expected this, client_secret_command or client_key_file");
        }
        ((None, None), (None, None)) => match proof {
            None if raw.client_key_id.is_some() => {
                return bad("client_key_id", "expected client_key_file or client_key_command beside it");
            }
            None => return None,
            Some(proof) if proof.signs() => {
                return bad("client_auth", "expected client_key_file or client_key_command beside it");
            }
            Some(_) => {
                return bad("client_auth", "expected client_secret_file or client_secret_command beside it");
            }
        },
        _ if is_public => {
            return bad(
                "client_auth",
                "expected no secret and no key beside \"none\": such a client proves nothing",
            );
        }
        (secret, (None, None)) => {
            if proof.is_some_and(Proof::signs) {
                return bad("client_auth", "expected client_key_file or client_key_command beside it");
            }
            if raw.client_key_id.is_some() {
                return bad("client_key_id", "expected client_key_file or client_key_command beside it");
            }
            (place(at, ["client_secret_file", "client_secret_command"], secret)?, proof)
        }
        ((None, None), key) => {
            if proof.is_some_and(|proof| !proof.signs()) {
                return bad("client_auth", "expected \"private_key_jwt\" where the client has a key");
            }
            // What is signed is for an issuer by its very name, which cannot be guessed from an endpoint.
            if raw.issuer.is_none() && !IS_BUILT_IN.contains(&name) {
                return bad(
                    "client_key_file",
                    "expected the `issuer` beside it, which is what the key signs for",
                );
            }
            if raw
                .client_key_id
                .as_deref()
                .is_some_and(|id| id.is_empty() || id.chars().any(char::is_control))
            {
                return bad("client_key_id", "expected the id under which the provider knows the key");
            }
            (place(at, ["client_key_file", "client_key_command"], key)?, Some(Proof::PrivateKeyJwt))
        }
        _ => return bad("client_key_file", "expected this or client_secret_file, not both"),
    };
    if raw.client_id.is_none() {
        return bad("client_id", "expected the client that the secret or the key belongs to");
    }
    Some(Confidential { secret: place, proof, key_id: raw.client_key_id.clone() })
}

/// What `client_auth` may say.
const CLIENT_AUTH: &str =
    "expected \"client_secret_basic\", \"client_secret_post\", \"private_key_jwt\" or \"none\"";

/// The environments whose issuer is known without the configuration.
const IS_BUILT_IN: [&str; 3] = ["production", "local", "custom"];

/// Where a secret or a key is: in a file, or what a command prints.
fn place(
    at: &Table<'_>,
    [file, command]: [&str; 2],
    place: (&Option<String>, &Option<String>),
) -> Option<Place> {
    let bad = |key: &str, expected: &str| {
        at.wrong(key, expected);
        None
    };
    match place {
        (Some(path), None) if path.starts_with('/') || unit_credential(path).is_some() => {
            Some(Place::File(path.clone()))
        }
        (Some(_), None) => bad(file, "expected an absolute path, or $CREDENTIALS_DIRECTORY/NAME"),
        (None, Some(words)) if !words.trim().is_empty() => Some(Place::Command(words.clone())),
        (None, _) => bad(command, "expected a command"),
        (Some(_), Some(_)) => bad(file, &alloc::format!("expected this or {command}, not both")),
    }
}
