//! An environment: a provider and the client used there.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::Endpoints;
use crate::{
    Ahead, Cause, Error, Id, Record, Result, Secret, Timestamp,
    contract::settings::{ClientId, Scopes},
    login::{
        federated::Federated,
        record::{Generation, Key, Login},
    },
    oauth::{
        client_assertion::Algorithm,
        client_auth::{Confidential, Proof, SecretAt},
        dialect::{Addition, Dialect},
        federation::Federation,
        prompt::Prompt,
    },
};

/// A provider, as far as it is known without asking it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name: `production`, `staging`, `local`, `custom`, or the configured one.
    pub name: String,
    pub(super) issuer: String,
    /// Whether `iss` in an answer can be compared: not if the issuer's own spelling is unknown.
    pub(super) issuer_is_known: bool,
    /// Where everything is asked.
    pub endpoints: Endpoints,
    /// Base of API endpoints.
    pub api_base: Option<String>,
    /// Base of the sign-in page.
    pub apps_base: Option<String>,
    /// Base of the console's page.
    pub console_base: Option<String>,
    /// The client to ask as, if there is one.
    pub client_id: Option<ClientId>,
    /// The scopes to ask for.
    pub scopes: Scopes,
    /// The scopes to ask the console's page for.
    pub console_scopes: Scopes,
    /// Whether the redirect must be the name `localhost`.
    pub redirect_is_name: bool,
    /// The port of the callback, if it is configured.
    pub port: Option<u16>,
    /// What the sign-in page must ask, if that is configured.
    pub prompt: Option<Prompt>,
    /// The provider's own words for a refresh token that is dead.
    pub dead_refresh_words: Vec<String>,
    /// How it wants to be spoken to, where it differs from the standards.
    pub dialect: Dialect,
    /// Further parameters of the authorization request.
    pub authorize_parameters: Vec<Addition>,
    /// Further parameters of the device authorization request.
    pub device_parameters: Vec<Addition>,
    /// Whether it is known to take PKCE with S256 (RFC 7636), whatever its metadata says.
    pub pkce_is_assumed: bool,
    /// What its metadata leaves open that a login is the poorer for, once it has been read: in words for people.
    pub left_open: Vec<&'static str>,
    /// Whether the provider promised `iss` in its answers (RFC 9207 §3).
    pub iss_promised: bool,
    /// Where the provider's public keys lie (OpenID Connect Discovery §3), if it said.
    pub jwks_url: Option<String>,
    /// Set where the client is a machine that asks for itself, without a person (RFC 6749 §4.4).
    pub machine: Option<Confidential>,
    /// Set where the client of a person has a secret (RFC 6749 §2.3.1).
    pub confidential: Option<Confidential>,
    /// Set where an identity token of this machine is exchanged.
    pub federation: Option<Federation>,
    /// Further origins that its credential may go to, by its configuration.
    pub hosts: Vec<String>,
    /// What the metadata says of how clients prove themselves, once it has been read.
    pub(super) takes_post_only: bool,
    /// The algorithms that a client may sign with, where the metadata names any.
    pub(super) signs_with: Option<Vec<String>>,
    pub(super) discovery: Discovery,
}

/// The name of the records of federated credentials: they belong to no profile.
const FEDERATED: &str = "federation";

/// What of a provider has to be asked of itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Discovery {
    /// Nothing: every endpoint is known.
    Done,
    /// The metadata of the issuer. With an origin, every endpoint must be there. The paths below the bases
    /// only fill what the metadata leaves open.
    Needed { origin: Option<String>, relative: Box<Endpoints> },
}

pub(super) fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| url.to_string(), |url| url.origin().ascii_serialization())
}

/// The origin of an address, of a WebSocket's as that of the https or http beside it.
#[must_use]
pub fn web_origin(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let scheme = match scheme {
        "wss" => "https",
        "ws" => "http",
        other => other,
    };
    let url = crate::contract::values::endpoint(&format!("{scheme}://{rest}")).ok()?;
    Some(origin(&url))
}

impl Environment {
    /// One of this name at this issuer, of which nothing else is known.
    #[must_use]
    pub(super) fn bare(name: &str, issuer: &str) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            issuer_is_known: true,
            endpoints: Endpoints::default(),
            api_base: None,
            apps_base: None,
            console_base: None,
            client_id: None,
            scopes: Scopes::default(),
            console_scopes: Scopes::default(),
            redirect_is_name: false,
            port: None,
            prompt: None,
            dead_refresh_words: Vec::new(),
            dialect: Dialect::default(),
            authorize_parameters: Vec::new(),
            device_parameters: Vec::new(),
            pkce_is_assumed: false,
            left_open: Vec::new(),
            iss_promised: false,
            jwks_url: None,
            machine: None,
            confidential: None,
            federation: None,
            hosts: Vec::new(),
            takes_post_only: false,
            signs_with: None,
            discovery: Discovery::Done,
        }
    }

    /// The provider of a stored login, of which the metadata are to be asked again: for its keys, also where the
    /// configuration no longer knows it.
    #[must_use]
    pub fn of_login(record: &Record) -> Self {
        Self { endpoints: record.endpoints.clone(), ..Self::bare(&record.environment, &record.issuer) }
    }

    /// The same, to be completed by its metadata whatever else is known: they name the keys.
    #[must_use]
    pub fn to_be_asked(self) -> Self {
        if self.needs_discovery() {
            return self;
        }
        Self { discovery: Discovery::Needed { origin: None, relative: Box::default() }, ..self }
    }

    /// Whether a credential may go to this origin (as [`web_origin`] spells it): one where the provider itself is
    /// asked, or one of `hosts`. A stored login's goes to the provider it was minted by, as its record has it, whatever
    /// is configured today; the pages a person signs in on get none.
    ///
    /// ```
    /// use keyfob_core::{config::{Config, approved::ApprovedList}, contract::settings::Settings, provider::resolve};
    ///
    /// let production = resolve(&Settings::default(), &Config::default(), None, &ApprovedList::default())?;
    /// assert!(production.may_have_credential("https://api.anthropic.com", None));
    /// assert!(!production.may_have_credential("https://evil.example", None));
    /// # Ok::<(), keyfob_core::Error>(())
    /// ```
    #[must_use]
    pub fn may_have_credential(&self, origin: &str, login: Option<&Record>) -> bool {
        let (issuer, endpoints, base) = match login {
            Some(record) => (&record.issuer, &record.endpoints, None),
            None => (&self.issuer, &self.endpoints, self.api_base.as_deref()),
        };
        let asked = endpoints.named().filter(|(word, _)| !matches!(*word, "authorize" | "console"));
        let own = asked.map(|(_, url)| url).chain([issuer.as_str()]).chain(base);
        own.filter_map(web_origin).any(|own| own == origin)
            || *issuer == self.issuer && self.hosts.iter().any(|host| host == origin)
    }

    /// The issuer: what a login belongs to.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer an answer's `iss` must be (RFC 9207 §2.4), where its spelling is known.
    #[must_use]
    pub fn iss(&self) -> Option<&str> {
        self.issuer_is_known.then_some(&*self.issuer)
    }

    /// The client to ask as.
    ///
    /// # Errors
    /// [`Id::ClientIdMissing`]: this project does not ship the client id of others.
    pub fn require_client_id(&self) -> Result<&ClientId> {
        self.client_id.as_ref().ok_or_else(|| {
            let what = format!("there is no OAuth client id for environment `{}`", self.name);
            let why =
                "keyfob ships none: a client id identifies one application, and another's must not be used";
            let vendor = self.name == "production";
            Error::new(Id::ClientIdMissing, what, why)
                .because(Cause::NoClientId { environment: self.name.clone(), vendor })
        })
    }

    /// Whether [`Environment::completed_by`] is needed before anything can be asked.
    #[must_use]
    pub fn needs_discovery(&self) -> bool {
        self.discovery != Discovery::Done
    }

    /// The token endpoint.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`].
    pub fn token_url(&self) -> Result<&str> {
        self.endpoints.token_url.as_deref().ok_or_else(|| self.lacks("token_url"))
    }

    /// Where a person signs in, and what is asked for there.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`] where there is no such page.
    pub fn sign_in(&self, console: bool) -> Result<(&str, &Scopes)> {
        let (url, name, scopes) = if console {
            (&self.endpoints.console_authorize_url, "console page", &self.console_scopes)
        } else {
            (&self.endpoints.authorize_url, "authorize_url", &self.scopes)
        };
        Ok((url.as_deref().ok_or_else(|| self.lacks(name))?, scopes))
    }

    /// The redirect to the provider's page that shows `code#state`.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`] where there is none.
    pub fn paste_redirect(&self) -> Result<String> {
        let base = self.apps_base.as_ref().ok_or_else(|| self.lacks("page that shows a code to copy"))?;
        Ok(format!("{base}/oauth/code/callback"))
    }

    fn lacks(&self, what: &str) -> Error {
        let lacking = format!("environment `{}` has no {what}", self.name);
        Error::new(Id::EnvironmentIncomplete, lacking, "neither configuration nor metadata names one")
            .because(Cause::EnvironmentLacks { environment: self.name.clone(), key: what.into() })
    }

    /// Where identity tokens are exchanged. The vendor's own exchange is an endpoint of its API.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`].
    pub fn exchange_url(&self, federation: &Federation) -> Result<String> {
        match &self.api_base {
            Some(base) if federation.vendor => Ok(format!("{base}/v1/oauth/token")),
            _ => self.token_url().map(ToString::to_string),
        }
    }

    /// An empty record of a federated credential, to be filled by an exchange.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`].
    pub fn federated_record(
        &self,
        federation: &Federation,
        generation: Generation,
        now: Timestamp,
    ) -> Result<Record> {
        let client_id = self.federated_client(federation)?;
        let login = Login {
            profile: FEDERATED,
            environment: &self.name,
            issuer: &self.issuer,
            client_id: &client_id,
        };
        let mut endpoints = self.endpoints.clone();
        endpoints.token_url = Some(self.exchange_url(federation)?);
        Ok(Record {
            endpoints,
            scopes: federation.scopes.clone(),
            dialect: self.dialect.clone(),
            secret_at: self.secret_at(),
            federated: Some(Federated::default()),
            ..Record::begin(generation, &login, Ahead::default().theirs(now))
        })
    }

    /// Which record the credential of this exchange is kept in.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`].
    pub fn federated_key(&self, federation: &Federation) -> Result<Key> {
        // Where the metadata names the endpoint, the issuer does.
        let url = self.exchange_url(federation).unwrap_or_else(|_| self.issuer.clone());
        Ok(Key {
            profile: FEDERATED.into(),
            issuer: self.issuer.clone(),
            client_id: self.federated_client(federation)?.as_str().into(),
            seed: None,
            federation: Some(federation.name(&url, self.federation_client(federation))),
        })
    }

    /// The client that is named in an exchange. The vendor's needs none.
    #[must_use]
    pub fn federation_client(&self, federation: &Federation) -> Option<&ClientId> {
        self.client_id.as_ref().filter(|_| !federation.vendor)
    }

    /// Who asks, for people: the client, or the rule by which the vendor judges.
    fn federated_client(&self, federation: &Federation) -> Result<ClientId> {
        let rule = federation.members.get("federation_rule_id").map(String::as_str);
        let id = match self.federation_client(federation) {
            Some(id) => id.as_str(),
            None => rule.unwrap_or(FEDERATED),
        };
        ClientId::parse(id)
            .map_err(|why| Error::new(Id::EnvironmentIncomplete, "the rule of the federation", why))
    }

    /// How to find the secret of a person's client, where it has one, and where it goes.
    #[must_use]
    pub fn secret_at(&self) -> Option<SecretAt> {
        let client = self.confidential.as_ref()?;
        Some(SecretAt { at: client.secret.clone(), auth: self.proof(client), key_id: client.key_id.clone() })
    }

    /// Refuses a key that signs with an algorithm which the provider does not take (RFC 8414 §2,
    /// `token_endpoint_auth_signing_alg_values_supported`). Where it names none, anything may do.
    ///
    /// # Errors
    /// [`Id::ClientKeyKind`].
    pub fn takes_signatures_of(&self, algorithm: Algorithm) -> Result<()> {
        let Some(taken) = self.signs_with.as_ref().filter(|taken| !taken.is_empty()) else { return Ok(()) };
        if taken.iter().any(|name| name == algorithm.name()) {
            return Ok(());
        }
        let what = format!("{} does not take what this client's key signs", self.issuer);
        let why =
            format!("the key signs with {}, and the provider takes {}", algorithm.name(), taken.join(", "));
        Err(Error::new(Id::ClientKeyKind, what, why))
    }

    /// The client that has a secret or a key, a machine's or that of a person, where it has one.
    #[must_use]
    pub fn confidential_client(&self) -> Option<&Confidential> {
        self.machine.as_ref().or(self.confidential.as_ref())
    }

    /// How a confidential client proves itself here. RFC 8414 §2: where the metadata says nothing, in the header.
    #[must_use]
    pub fn proof(&self, client: &Confidential) -> Proof {
        client.proof.unwrap_or(if self.takes_post_only { Proof::Post } else { Proof::Basic })
    }

    /// Refuses a sign-in by a person where a machine asks for itself.
    ///
    /// # Errors
    /// [`Id::Usage`].
    pub fn for_a_person(&self) -> Result<()> {
        if self.machine.is_none() {
            return Ok(());
        }
        let what = format!("environment `{}` does not support interactive sign-in", self.name);
        let why = "its configuration says `grant = \"client_credentials\"`: the client asks for itself";
        Err(Error::new(Id::Usage, what, why)
            .because(Cause::PersonNotWanted { environment: self.name.clone() }))
    }

    /// An empty record of a login here: with a seed for a refresh token, or to be filled from a grant.
    ///
    /// # Errors
    /// [`Id::ClientIdMissing`].
    pub fn record(
        &self,
        generation: Generation,
        profile: &str,
        now: Timestamp,
        seed: Option<Secret>,
    ) -> Result<Record> {
        // A seed is a person's login, wherever it is used.
        let machine = self.machine.as_ref().filter(|_| seed.is_none());
        let login = Login {
            profile,
            environment: &self.name,
            issuer: &self.issuer,
            client_id: self.require_client_id()?,
        };
        Ok(Record {
            endpoints: self.endpoints.clone(),
            scopes: self.scopes.clone(),
            refresh_token: seed,
            dead_refresh_words: self.dead_refresh_words.clone(),
            proof: machine.map(|machine| self.proof(machine)),
            secret_at: self.secret_at(),
            dialect: self.dialect.clone(),
            ..Record::begin(generation, &login, Ahead::default().theirs(now))
        })
    }
}
