//! What a provider is like, as a value: its addresses, its rules and its words. The server beside this file has no
//! behaviour of its own.

use std::collections::BTreeMap;

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
    /// Whether its token endpoint answers form-encoded.
    pub(crate) is_form: bool,
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

    /// The name of the endpoint with this path.
    pub(super) fn named(&self, path: &str) -> Option<&'static str> {
        let has_path = |url: &str| Url::parse(url).is_ok_and(|url| url.path() == path);
        self.endpoints.iter().find(|(_, url)| has_path(url)).map(|(name, _)| *name)
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

/// RFC 8252 §7.3: the port is the client's choice, the rest is what was registered.
pub(crate) fn loopback_with_any_port(registered: &str, asked: &Url) -> bool {
    let mut asked = asked.clone();
    asked.set_port(None).is_ok() && asked.as_str() == registered
}

pub(crate) fn asks_for(asked: &Asked, scope: &str) -> bool {
    asked.get("scope").is_some_and(|scopes| scopes.split(' ').any(|known| known == scope))
}
