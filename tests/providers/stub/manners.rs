//! What a provider is like, as a value: its addresses, its rules and its words. The server beside this file has no
//! behaviour of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use url::Url;

use super::tokens::{self, Signature};

/// The parameters of an authorization or device authorization request.
pub(crate) type Asked = BTreeMap<String, String>;

/// What becomes of a refresh token that is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It stays.
    Never,
    /// It is replaced, and whoever uses it again has no login any more.
    Strict,
    /// It is replaced, and may be used once more meanwhile: an answer can be lost.
    Grace,
}

/// Where an answer speaks of a mistake: the status and the word.
pub(crate) type Word = (u16, &'static str);

/// How ID tokens are made.
#[derive(Clone, Copy)]
pub(crate) struct Issue {
    /// What is done to the claims of OpenID Connect Core §2 before they are signed.
    pub(crate) change: fn(&mut Value),
    pub(crate) signature: Signature,
}

impl Issue {
    pub(crate) const RIGHT: Self = Self { change: |_| {}, signature: Signature::Right };

    pub(crate) const fn with(change: fn(&mut Value)) -> Self {
        Self { change, ..Self::RIGHT }
    }
}

pub(crate) struct Manners {
    /// What it calls itself.
    pub(crate) issuer: String,
    /// Its endpoints, each under its name in the metadata (RFC 8414 §2).
    pub(crate) endpoints: Vec<(&'static str, String)>,
    /// Whether it has metadata.
    pub(crate) is_discovered: bool,
    /// What is done to its metadata before they are sent.
    pub(crate) metadata: fn(&mut Value),
    pub(crate) client_id: String,
    /// The client's secret, if it has one.
    pub(crate) secret: Option<String>,
    /// The grants that ask for the secret.
    pub(crate) wants_secret: fn(grant: &str) -> bool,
    /// Whether it may come in the header (RFC 6749 §2.3.1).
    pub(crate) takes_basic: bool,
    /// Whether it takes a redirect address, beside the one that is registered.
    pub(crate) takes_redirect: fn(registered: &str, asked: &Url) -> bool,
    pub(crate) registered: String,
    /// Why it does not even show its sign-in page, if so.
    pub(crate) refuses: fn(&Asked) -> Option<&'static str>,
    /// Whether a request gets a refresh token.
    pub(crate) gives_refresh_token: fn(&Asked) -> bool,
    pub(crate) rotation: Rotation,
    /// Its word for a refresh token that is not good.
    pub(crate) dead: Word,
    /// Its word for a code on another device that nobody has typed yet.
    pub(crate) pending: Word,
    /// The member of a device answer that says where to go.
    pub(crate) verification: &'static str,
    /// `expires_in`, where it says that.
    pub(crate) lifetime: Option<u32>,
    /// Whether its token endpoint answers form-encoded unless it is asked for JSON.
    pub(crate) is_form: bool,
    /// Whether it answers 200 where something is wrong.
    pub(crate) always_succeeds: bool,
    /// How the ID tokens of a sign-in and of a renewal are made.
    pub(crate) id_token: Issue,
    pub(crate) renewed_id_token: Issue,
    /// The key that signs, and those that are published.
    pub(crate) key: usize,
    pub(crate) published: Vec<usize>,
    /// Whether keys have names.
    pub(crate) has_key_names: bool,
    /// What is published beside keys that can be used.
    pub(crate) strange_keys: Vec<Value>,
    /// Whether another key signs each time.
    pub(crate) changes_keys: bool,
    /// Who signs in, and what it is told of by whom it is asked.
    pub(crate) subject: &'static str,
    pub(crate) userinfo: Value,
}

impl Manners {
    /// An OpenID provider by the book, at this address: public client, loopback redirects with any port, refresh tokens for
    /// `offline_access` that rotate.
    pub(crate) fn by_the_book(base: &str) -> Self {
        let at = |path: &str| format!("{base}{path}");
        Self {
            issuer: base.to_owned(),
            endpoints: vec![
                ("authorization_endpoint", at("/authorize")),
                ("token_endpoint", at("/token")),
                ("revocation_endpoint", at("/revoke")),
                ("device_authorization_endpoint", at("/device")),
                ("userinfo_endpoint", at("/userinfo")),
                ("jwks_uri", at("/jwks")),
            ],
            is_discovered: true,
            metadata: |_| {},
            client_id: "agents".into(),
            secret: None,
            wants_secret: |_| true,
            takes_basic: true,
            takes_redirect: loopback_with_any_port,
            registered: "http://127.0.0.1/callback".into(),
            refuses: |_| None,
            gives_refresh_token: |asked| asks_for(asked, "offline_access"),
            rotation: Rotation::Strict,
            dead: (400, "invalid_grant"),
            pending: (400, "authorization_pending"),
            verification: "verification_uri",
            lifetime: Some(3600),
            is_form: false,
            always_succeeds: false,
            id_token: Issue::RIGHT,
            renewed_id_token: Issue::RIGHT,
            key: 0,
            published: vec![0],
            has_key_names: true,
            strange_keys: Vec::new(),
            changes_keys: false,
            subject: "24400320",
            userinfo: json!({ "sub": "24400320", "email": "ada@company.test", "preferred_username": "ada" }),
        }
    }

    /// The name of the endpoint at this path, and at this host where a request says which it was for.
    pub(super) fn named(&self, path: &str, host: Option<&str>) -> Option<&'static str> {
        let is_there = |url: &str| {
            Url::parse(url)
                .is_ok_and(|url| url.path() == path && host.is_none_or(|host| url.host_str() == Some(host)))
        };
        self.endpoints.iter().find(|(_, url)| is_there(url)).map(|(name, _)| *name)
    }

    /// Every host that has something of it.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        let urls = self.endpoints.iter().map(|(_, url)| url.as_str()).chain([self.issuer.as_str()]);
        let host = |url| Url::parse(url).ok()?.host_str().map(str::to_owned);
        urls.filter_map(host).collect()
    }

    /// OpenID Connect Discovery §3.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({
            "issuer": self.issuer,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        });
        for (name, url) in &self.endpoints {
            document[*name] = json!(url);
        }
        (self.metadata)(&mut document);
        document
    }

    pub(super) fn keys(&self) -> Value {
        let keys = self.published.iter().map(|key| tokens::published(*key, self.has_key_names));
        json!({ "keys": keys.chain(self.strange_keys.iter().cloned()).collect::<Vec<_>>() })
    }
}

/// To the letter, and so with the port (RFC 9700 §2.1).
pub(crate) fn exact(registered: &str, asked: &Url) -> bool {
    asked.as_str() == registered
}

/// RFC 8252 §7.3: the port is the client's choice, the rest is what was registered.
pub(crate) fn loopback_with_any_port(registered: &str, asked: &Url) -> bool {
    let mut asked = asked.clone();
    asked.set_port(None).is_ok() && asked.as_str() == registered
}

pub(crate) fn asks_for(asked: &Asked, scope: &str) -> bool {
    asked.get("scope").is_some_and(|scopes| scopes.split(' ').any(|known| known == scope))
}
