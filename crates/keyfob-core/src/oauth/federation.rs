//! Federation: an identity token of this machine is exchanged for an access token, by the JWT bearer grant (RFC 7523 §2.1)
//! or by token exchange (RFC 8693 §2). There is no refresh token: near its end the next identity token is exchanged.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    contract::{
        names,
        settings::{ClientId, Scopes},
        values::Expected,
    },
    digest,
    oauth::{
        dialect::{Addition, Dialect, TokenBody},
        header::is_same_name,
        identity_token::IdentityToken,
        token_request::TokenRequest,
        token_response::{TYPE_ACCESS_TOKEN, TYPE_JWT},
    },
};

/// The grant of RFC 7523 §2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Its last word, by which a dialect names it.
const JWT_BEARER_WORD: &str = "jwt-bearer";
/// The grant of RFC 8693 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// An ID token (RFC 8693 §3).
const TYPE_ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// How an identity token is exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// As an assertion (RFC 7523 §2.1).
    #[default]
    JwtBearer,
    /// As a subject token (RFC 8693 §2.1).
    TokenExchange,
}

impl Grant {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::JwtBearer => JWT_BEARER_WORD,
            Self::TokenExchange => "token-exchange",
        }
    }
}

/// Where an identity token is fetched, anew for each exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// GitHub Actions gives a job one when it is asked.
    GitHub,
    /// A file that somebody keeps fresh: a projected token of Kubernetes, one of a SPIFFE helper.
    File {
        /// Its path.
        path: String,
        /// The variable that named it, if one did: then the rule for such paths holds.
        variable: Option<&'static str>,
    },
    /// A variable, as GitLab's `id_tokens` set one for each job.
    Variable(String),
    /// The output of a command.
    Command(String),
    /// The access token of a login of this environment, which is narrowed so: its record is not touched.
    Login {
        /// The profile of that login.
        profile: String,
    },
    /// Nothing names one: then the surroundings are asked.
    Surroundings,
}

/// What an access token is narrowed to. What is empty is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// What it may be used for (RFC 6749 §3.3).
    pub scopes: Scopes,
    /// For whom it is, by the names that the provider has for them (RFC 8693 §2.1).
    pub audience: Vec<String>,
    /// Where it is to be used, by address (RFC 8707 §2).
    pub resource: Vec<String>,
}

impl Narrowing {
    /// Reads one, as a configuration or a command line has it. `None`: nothing is narrowed.
    ///
    /// # Errors
    /// Which of `scopes`, `audience` and `resource` is wrong, and what was expected there.
    pub fn read(
        scopes: &[String],
        audience: Vec<String>,
        resource: Vec<String>,
    ) -> Result<Option<Self>, (&'static str, Expected)> {
        if scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
            return Err(("scopes", "expected a list with one scope name in each text"));
        }
        let scopes = match scopes {
            [] => Scopes::default(),
            some => Scopes::parse(&some.join(" ")).map_err(|why| ("scopes", why))?,
        };
        if !audience.iter().all(|text| is_plain(text)) {
            return Err(("audience", "expected printable text without a blank at either end"));
        }
        if !resource.iter().all(|text| is_resource(text)) {
            return Err(("resource", "expected absolute URIs without a fragment"));
        }
        let narrowing = Self { scopes, audience, resource };
        Ok((narrowing != Self::default()).then_some(narrowing))
    }
}

/// A text that a provider may have as a name: printable, without a blank at either end.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 2048 && text.trim() == text && !text.chars().any(char::is_control)
}

/// RFC 8707 §2: an absolute URI without a fragment.
pub(crate) fn is_resource(text: &str) -> bool {
    is_plain(text) && text.contains(':') && !text.contains('#')
}

/// An exchange, as it is configured or as the vendor's variables define it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    /// By which grant.
    pub grant: Grant,
    /// Whether it is the vendor's own: then its rule and its organisation have to be named.
    pub vendor: bool,
    /// Where the identity token is fetched.
    pub identity: Identity,
    /// The audience that an identity token is asked for, where it is asked for.
    pub identity_audience: Option<String>,
    /// What is asked for; nothing, where the provider decides.
    pub scopes: Scopes,
    /// For whom the access token is (RFC 8693 §2.1).
    pub audience: Vec<String>,
    /// Where it is to be used (RFC 8707 §2, RFC 8693 §2.1).
    pub resource: Vec<String>,
    /// What the identity token is (RFC 8693 §3).
    pub subject_token_type: String,
    /// What is asked for (RFC 8693 §2.1).
    pub requested_token_type: Option<String>,
    /// Further members of the request.
    pub members: BTreeMap<String, String>,
    /// The form of the request, where it is not that of the provider's other token requests.
    pub body: Option<TokenBody>,
    /// Whose identity tokens come from there, where a place is not the same for everybody who uses this home: a hash of what
    /// a token in a variable says, or of the job that asks. Never secret.
    pub holder: Option<String>,
    /// Whether an identity token is good for one exchange; `None`: one that is numbered is, as an assertion.
    pub single_use: Option<bool>,
}

impl Federation {
    /// The vendor's header that leads a request to its exchange (`lib/credentials/_constants.py` of its Python package).
    const BETA: (&'static str, &'static str) = ("anthropic-beta", "oidc-federation-2026-04-01");

    /// The vendor's own exchange: JSON, with a header of its own.
    #[must_use]
    pub fn of_vendor(identity: Identity) -> Self {
        let body = Some(TokenBody::Json);
        Self { vendor: true, body, ..Self::standard(Grant::JwtBearer, identity) }
    }

    /// How the exchange wants to be spoken to, where its provider wants this. The vendor's has a header of its own, which takes
    /// the place of one of that name that goes with every grant; what is configured for this grant takes the place of both.
    #[must_use]
    pub fn dialect(&self, provider: &Dialect) -> Dialect {
        let token_body = self.body.unwrap_or(provider.token_body);
        if !self.vendor {
            return Dialect { token_body, ..provider.clone() };
        }
        let (name, value) = Self::BETA;
        let mut token_headers = provider.token_headers.clone();
        let is_said =
            |one: &Addition| one.grant.as_deref() == Some(JWT_BEARER_WORD) && is_same_name(&one.name, name);
        if !token_headers.iter().any(is_said) {
            token_headers.push(Addition::new(name, value).with(JWT_BEARER_WORD));
        }
        Dialect { token_body, token_headers, ..provider.clone() }
    }

    /// An exchange of which nothing else is said.
    #[must_use]
    pub fn standard(grant: Grant, identity: Identity) -> Self {
        Self {
            grant,
            vendor: false,
            identity,
            identity_audience: None,
            scopes: Scopes::default(),
            audience: Vec::new(),
            resource: Vec::new(),
            subject_token_type: TYPE_JWT.into(),
            requested_token_type: None,
            members: BTreeMap::new(),
            body: None,
            holder: None,
            single_use: None,
        }
    }

    /// An exchange of a login's access token for one that is good for less (RFC 8693 §2.1): the provider narrows it. A refresh
    /// with fewer scopes (RFC 6749 §6) would rotate the one record that everybody shares.
    #[must_use]
    pub fn narrowing(profile: &str, narrowing: Narrowing) -> Self {
        let Narrowing { scopes, audience, resource } = narrowing;
        let identity = Identity::Login { profile: profile.into() };
        Self {
            scopes,
            audience,
            resource,
            subject_token_type: TYPE_ACCESS_TOKEN.into(),
            // Otherwise it is left to the provider what it issues (RFC 8693 §2.1).
            requested_token_type: Some(TYPE_ACCESS_TOKEN.into()),
            ..Self::standard(Grant::TokenExchange, identity)
        }
    }

    /// Whether it is the exchange of a login's access token for one that is good for less.
    #[must_use]
    pub fn narrows(&self) -> bool {
        matches!(self.identity, Identity::Login { .. })
    }

    /// What the vendor's exchange cannot be without and is not given: the member, and the variable that gives it.
    #[must_use]
    pub fn lacks(&self) -> Option<(&'static str, &'static str)> {
        let needed = [
            ("federation_rule_id", names::FEDERATION_RULE),
            ("organization_id", names::FEDERATION_ORGANIZATION),
        ];
        needed.into_iter().find(|(member, _)| self.vendor && !self.members.contains_key(*member))
    }

    /// Whether an identity token that is no JWT may be sent: only where its type is one that need not be.
    #[must_use]
    pub fn takes_opaque(&self) -> bool {
        self.grant == Grant::TokenExchange
            && self.subject_token_type != TYPE_JWT
            && self.subject_token_type != TYPE_ID_TOKEN
    }

    /// Whether this token is good for one exchange. RFC 7523 §3, item 7, lets a provider refuse a number (`jti`) that comes
    /// again, and says nothing of how one learns that it does.
    #[must_use]
    pub fn is_single_use(&self, token: &IdentityToken) -> bool {
        self.single_use.unwrap_or(self.grant == Grant::JwtBearer && token.is_numbered())
    }

    /// What makes it this exchange and no other: processes that would ask for the same, as the same, share its token. The text
    /// of a token is not part of it, and whom it names is: what one got is never handed to another.
    #[must_use]
    pub fn name(&self, token_url: &str, client: Option<&ClientId>) -> String {
        let place = match &self.identity {
            Identity::GitHub | Identity::Surroundings => "surroundings".into(),
            Identity::Variable(name) => format!("variable {name}"),
            Identity::File { path, .. } => format!("file {path}"),
            Identity::Command(command) => format!("command {command}"),
            Identity::Login { profile } => format!("login {profile}"),
        };
        let client = client.map_or("", ClientId::as_str);
        let scopes = self.scopes.to_string();
        let own = [
            token_url,
            client,
            self.grant.word(),
            &place,
            self.holder.as_deref().unwrap_or_default(),
            self.identity_audience.as_deref().unwrap_or_default(),
            &scopes,
            &self.subject_token_type,
            self.requested_token_type.as_deref().unwrap_or_default(),
        ];
        let lists = [&self.audience, &self.resource]
            .into_iter()
            .flat_map(|list| core::iter::once("list").chain(list.iter().map(String::as_str)));
        let members = self.members.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        digest::name_of(own.into_iter().chain(lists).chain(["members"]).chain(members))
    }

    /// The request for an access token.
    #[must_use]
    pub fn request(&self, client: Option<&ClientId>, token: &IdentityToken) -> TokenRequest {
        let secret = token.token().duplicate();
        let mut request = match self.grant {
            Grant::JwtBearer => TokenRequest::grant(JWT_BEARER).with_secret("assertion", secret),
            Grant::TokenExchange => {
                let request = TokenRequest::grant(TOKEN_EXCHANGE)
                    .with_secret("subject_token", secret)
                    .with("subject_token_type", self.subject_token_type.as_str());
                match &self.requested_token_type {
                    Some(kind) => request.with("requested_token_type", kind.as_str()),
                    None => request,
                }
            }
        };
        for (name, list) in [("audience", &self.audience), ("resource", &self.resource)] {
            for value in list {
                request = request.with(name, value.as_str());
            }
        }
        request = request.scope(&self.scopes);
        for (name, value) in &self.members {
            request = request.with(name.clone(), value.as_str());
        }
        match client {
            Some(client) => request.client(client),
            None => request,
        }
    }
}

/// Where the identity token comes from, for people.
#[must_use]
pub fn source(federation: &Federation) -> String {
    match &federation.identity {
        Identity::GitHub => "GitHub Actions".into(),
        Identity::File { path, .. } => path.clone(),
        Identity::Variable(name) => name.clone(),
        Identity::Command(_) => "identity_token_command".into(),
        Identity::Login { profile } => format!("the login of profile `{profile}`"),
        Identity::Surroundings => names::IDENTITY_TOKEN_FILE.into(),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented tokens")]
mod tests {
    use super::*;
    use crate::oauth::{identity_token::tests::jwt, token_request::Encoded};

    fn sent(federation: &Federation) -> (Vec<(String, String)>, &'static str, String) {
        let token = IdentityToken::read(&jwt(r#"{"jti":"1"}"#), false).expect("a token");
        let request = federation.request(None, &token);
        let Encoded { headers, body: (kind, body) } =
            request.encode(None, &federation.dialect(&crate::provider::dialect_of("https://claude.ai")));
        let headers =
            headers.into_iter().map(|(name, value)| (name.to_string(), value.expose().to_string())).collect();
        (headers, kind, body.expose().replace(&jwt(r#"{"jti":"1"}"#), "JWT"))
    }

    /// The contract, "Environments": the exchange carries one flag and never the other.
    #[test]
    fn the_vendors_exchange_is_json_with_one_flag() {
        let mut federation = Federation::of_vendor(Identity::Surroundings);
        assert_eq!(federation.lacks().map(|(member, _)| member), Some("federation_rule_id"));
        for (name, value) in [("federation_rule_id", "fdrl_1"), ("organization_id", "o")] {
            federation.members.insert(name.into(), value.into());
        }
        assert_eq!(federation.lacks(), None);
        let (headers, kind, body) = sent(&federation);
        assert_eq!(headers, [("anthropic-beta".into(), "oidc-federation-2026-04-01".into())]);
        assert_eq!(kind, "application/json");
        assert_eq!(
            body,
            r#"{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"JWT","federation_rule_id":"fdrl_1","organization_id":"o"}"#
        );
    }

    /// What is configured goes with the vendor's exchange too, and its flag is one header however it is spelt.
    #[test]
    fn the_vendors_exchange_carries_what_is_configured() {
        let said = |name: &str, value: &str| (name.to_string(), value.to_string());
        let flag = || said("anthropic-beta", "oidc-federation-2026-04-01");
        let of = |ours: &[Addition]| {
            let further = Dialect { token_headers: ours.to_vec(), ..Dialect::default() };
            let ways = crate::config::Ways { further, ..Default::default() };
            let known = ways.over(&crate::provider::dialect_of("https://claude.ai"));
            let federation = Federation::of_vendor(Identity::Surroundings);
            let token = IdentityToken::read(&jwt("{}"), false).expect("a token");
            let encoded = federation.request(None, &token).encode(None, &federation.dialect(&known));
            let headers = encoded.headers.into_iter();
            headers.map(|(name, value)| (name.to_string(), value.expose().to_string())).collect::<Vec<_>>()
        };
        let mut both = of(&[Addition::new("x-tenant", "7")]);
        both.sort();
        assert_eq!(both, [flag(), said("x-tenant", "7")]);
        assert_eq!(of(&[Addition::new("x-tenant", "7").with("refresh_token")]), [flag()]);
        assert_eq!(of(&[Addition::new("Anthropic-Beta", "other")]), [flag()], "that of its own grant counts");
        let own = Addition::new("Anthropic-Beta", "newer").with("jwt-bearer");
        assert_eq!(of(&[own]), [said("Anthropic-Beta", "newer")]);
    }

    /// RFC 8693 §2.1.
    #[test]
    fn a_token_exchange_says_what_it_brings_and_what_it_wants() {
        let federation = Federation {
            audience: ["a".to_string(), "b".to_string()].into(),
            requested_token_type: Some("urn:x".into()),
            body: Some(TokenBody::Form),
            ..Federation::standard(Grant::TokenExchange, Identity::GitHub)
        };
        let (_, kind, body) = sent(&federation);
        assert_eq!(kind, "application/x-www-form-urlencoded");
        assert_eq!(
            body,
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=JWT&\
             subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&requested_token_type=urn%3Ax&\
             audience=a&audience=b"
        );
    }

    #[test]
    fn an_exchange_is_another_with_another_definition_place_or_holder() {
        let of = |change: &dyn Fn(&mut Federation)| {
            let mut federation = Federation::of_vendor(Identity::Surroundings);
            change(&mut federation);
            federation.name("https://t", None)
        };
        let plain = of(&|_| {});
        assert_eq!(plain, of(&|f| f.identity = Identity::GitHub), "a job's own place, however it is named");
        let others: [&dyn Fn(&mut Federation); 9] = [
            &|f| f.identity = Identity::Variable(names::IDENTITY_TOKEN.into()),
            &|f| f.holder = Some("a".into()),
            &|f| f.holder = Some("b".into()),
            &|f| f.identity = Identity::Command("c".into()),
            &|f| f.identity = Identity::File { path: "/x".into(), variable: None },
            &|f| f.grant = Grant::TokenExchange,
            &|f| f.audience = ["a".to_string()].into(),
            &|f| f.resource = ["a".to_string()].into(),
            &|f| drop(f.members.insert("federation_rule_id".into(), "r".into())),
        ];
        let names: alloc::collections::BTreeSet<_> =
            others.iter().map(|change| of(*change)).chain([plain]).collect();
        assert_eq!(names.len(), 10);
    }

    #[test]
    fn a_numbered_assertion_is_good_for_one_exchange() {
        let token = |claims: &str| IdentityToken::read(&jwt(claims), false).expect("a token");
        let mut federation = Federation::of_vendor(Identity::GitHub);
        assert!(
            federation.is_single_use(&token(r#"{"jti":"1"}"#)) && !federation.is_single_use(&token("{}"))
        );
        federation.single_use = Some(false);
        assert!(!federation.is_single_use(&token(r#"{"jti":"1"}"#)));
        let exchange = Federation::standard(Grant::TokenExchange, Identity::GitHub);
        assert!(!exchange.is_single_use(&token(r#"{"jti":"1"}"#)), "RFC 8693 has no such rule");
    }
}
