//! Provider metadata (RFC 8414, OpenID Connect Discovery), and the checks it must pass before it is used.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Map, Value};

use crate::provider::{
    Endpoints,
    environment::{Discovery, Environment, origin},
};
use crate::{Cause, Error, Id, Result, contract::values, error::escape, json};

/// How clients may prove themselves (RFC 8414 §2).
const METHODS: &str = "token_endpoint_auth_methods_supported";

/// Where an issuer's metadata may lie: RFC 8414 §3.1 puts the well-known part between host and path, OpenID
/// Connect Discovery §4 appends it.
#[must_use]
pub fn well_known(issuer: &str) -> [String; 2] {
    let host = origin(issuer);
    let path = issuer.get(issuer.find("://").map_or(0, |at| at + 3)..).unwrap_or("");
    let path = path.find('/').map_or("", |at| path[at..].trim_end_matches('/'));
    [
        format!("{host}/.well-known/oauth-authorization-server{path}"),
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
    ]
}

/// Whether this declares itself to be an issuer's metadata. A page that an application shows at every path does not.
#[must_use]
pub fn is_metadata(body: &[u8]) -> bool {
    json::strict::<Map<String, Value>>(body)
        .is_ok_and(|said| said.get("issuer").is_some_and(Value::is_string))
}

impl Environment {
    /// Merges the provider's own metadata into what is known. What was named explicitly stays; what was only
    /// derived from a base is replaced. A member that is not needed is left out if it is invalid.
    ///
    /// # Errors
    /// [`Id::MetadataInvalid`]: the issuer is not the one asked, character by character (RFC 8414 §3.3); the
    /// provider names its PKCE methods and S256 is not among them (RFC 9700 §2.1.1); an endpoint leads to another
    /// origin than the approved one, or to http where the issuer is https; or what is needed is missing.
    pub fn completed_by(&self, body: &[u8]) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(Id::MetadataInvalid, format!("the metadata of {} was rejected", self.issuer), why)
        };
        let said: Map<String, Value> =
            json::strict(body).map_err(|why| refuse(format!("the answer {why}")))?;
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let lists = |name: &str, wanted: &str| {
            let list = said.get(name).and_then(Value::as_array);
            list.map(|list| list.iter().any(|word| word == wanted))
        };
        let issuer = text("issuer").ok_or_else(|| refuse("it names no issuer".into()))?;
        if issuer != self.issuer {
            // One that differs by a final slash is this provider's own, spelt otherwise. Any other is another
            // provider's, and the user is not advised to trust it.
            let spelling = issuer.trim_end_matches('/') == self.issuer.trim_end_matches('/');
            let cause = spelling.then(|| Cause::IssuerSpelling {
                environment: self.name.clone(),
                configured: self.issuer.clone(),
                told: escape(issuer),
            });
            return Err(refuse(format!("it is that of `{}`", escape(issuer))).maybe_because(cause));
        }
        // RFC 8414 §2 has silence mean "no PKCE"; the largest providers take S256 and are silent about it. It is sent
        // in any case, and a provider that does not know it ignores it (RFC 6749 §3.1): nothing is lost by trying.
        let says_s256 = lists("code_challenge_methods_supported", "S256");
        if self.machine.is_none() && !self.pkce_is_assumed && says_s256 == Some(false) {
            return Err(refuse("it names its PKCE methods, and S256 is not among them".into()));
        }
        let (needed_origin, relative) = match &self.discovery {
            Discovery::Needed { origin, relative } => (origin.as_deref(), relative.as_ref().clone()),
            Discovery::Done => (None, Endpoints::default()),
        };
        // Anybody on this machine may listen on loopback: only a provider that is there itself may point there.
        let may_be_http = values::url(&self.issuer).is_ok_and(|issuer| values::is_loopback(&issuer));
        let endpoint = |name: &str| -> Result<Option<String>> {
            let Some(url) = text(name).filter(|url| !url.is_empty()) else { return Ok(None) };
            let url = values::endpoint(url).map_err(|why| refuse(format!("its `{name}`: {why}")))?;
            if url.starts_with("http:") && !may_be_http {
                return Err(refuse(format!("its `{name}`: expected https")));
            }
            match needed_origin {
                Some(needed) if origin(&url) != needed => {
                    Err(refuse(format!("its `{name}` is not on the approved {needed}")))
                }
                _ => Ok(Some(url)),
            }
        };
        let discovered = Endpoints {
            authorize_url: endpoint("authorization_endpoint")?,
            token_url: endpoint("token_endpoint")?,
            revoke_url: endpoint("revocation_endpoint")?,
            introspect_url: endpoint("introspection_endpoint")?,
            device_url: endpoint("device_authorization_endpoint")?,
            userinfo_url: endpoint("userinfo_endpoint")?,
            ..Endpoints::default()
        };
        if let (Some(_), Some(ours)) = (needed_origin, &self.endpoints.authorize_url) {
            let bare = |url: &str| url.split('?').next().unwrap_or("").to_string();
            if discovered.authorize_url.as_deref().map(bare) != Some(bare(ours)) {
                return Err(refuse("its `authorization_endpoint` is not the custom URL".into()));
            }
        }
        let mut complete = self.clone();
        complete.endpoints = complete.endpoints.or(&discovered).or(&relative);
        let promised = "authorization_response_iss_parameter_supported";
        complete.iss_promised = said.get(promised) == Some(&Value::Bool(true));
        complete.jwks_url = endpoint("jwks_uri")?;
        let takes = |method| lists(METHODS, method) == Some(true);
        complete.takes_post_only = takes("client_secret_post") && !takes("client_secret_basic");
        let names = |name: &str| {
            let list = said.get(name).and_then(Value::as_array)?;
            Some(list.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>())
        };
        complete.signs_with = names("token_endpoint_auth_signing_alg_values_supported");
        if let Some(offered) = names(METHODS) {
            complete.offers_its_way(&offered)?;
        }
        complete.discovery = Discovery::Done;
        complete.token_url()?;
        if complete.machine.is_none() {
            complete.sign_in(false)?;
            complete.left_open = complete.what_is_left_open(says_s256 == Some(true));
        }
        Ok(complete)
    }

    /// Refuses a client whose way to prove itself is not among those that the provider names. That many leave `none` out
    /// and have public clients all the same is no reason to refuse one.
    fn offers_its_way(&self, offered: &[String]) -> Result<()> {
        let Some(client) = self.confidential_client() else { return Ok(()) };
        let way = self.proof(client).name();
        if offered.is_empty() || offered.iter().any(|one| one == way) {
            return Ok(());
        }
        let offered = offered.join(", ");
        let what = format!("{} does not let a client prove itself by {way}", self.issuer);
        let why = format!("its metadata names {offered}");
        Err(Error::new(Id::ClientAuthUnsupported, what, why)
            .because(Cause::ClientAuthOffered { environment: self.name.clone(), offered }))
    }

    /// What a person who signs in should know of: it is no reason not to.
    fn what_is_left_open(&self, says_s256: bool) -> Vec<&'static str> {
        let mut open = Vec::new();
        if !says_s256 && !self.pkce_is_assumed {
            open.push(
                "PKCE with S256 (it is used all the same; `pkce = \"assume\"` says that this provider takes it)",
            );
        }
        if self.jwks_url.is_none() && self.scopes.iter().any(|scope| scope == "openid") {
            open.push("keys for ID tokens (their signature is not checked)");
        }
        if self.endpoints.revoke_url.is_none() {
            open.push("a revocation endpoint (a logout here ends nothing there)");
        }
        open
    }
}
