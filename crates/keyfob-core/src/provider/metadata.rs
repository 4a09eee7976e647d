//! What a provider says of itself (RFC 8414, OpenID Connect Discovery), and what of it is believed.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use crate::provider::{
    Endpoints,
    environment::{Discovery, Environment, origin},
};
use crate::{Error, Id, Result, contract::values, error::escape, json};

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

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

impl Environment {
    /// Lays the provider's own metadata over what is known. What somebody named explicitly stays; what only
    /// lay below a base gives way.
    ///
    /// # Errors
    /// [`Id::MetadataInvalid`]: the issuer is not the one asked, character by character (RFC 8414 §3.3); the
    /// authorization endpoint is not the approved one; PKCE with S256 is not announced (RFC 9700 §2.1.1); an
    /// endpoint is not https, or not where the approval says.
    pub fn completed_by(&self, body: &[u8]) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(Id::MetadataInvalid, format!("the metadata of {} is not believed", self.issuer), why)
        };
        let said: Metadata = json::strict(body).map_err(|why| refuse(format!("the answer {why}")))?;
        if said.issuer != self.issuer {
            return Err(refuse(format!("it is that of `{}`", escape(&said.issuer))));
        }
        if self.machine.is_none()
            && !said.code_challenge_methods_supported.iter().any(|method| method == "S256")
        {
            return Err(refuse("it does not announce PKCE with S256".into()));
        }
        let (needed_origin, relative) = match &self.discovery {
            Discovery::Needed { origin, relative } => (origin.as_deref(), relative.as_ref().clone()),
            Discovery::Done => (None, Endpoints::default()),
        };
        // Anybody on this machine may listen on loopback: only a provider that is there itself may point there.
        let may_be_http = values::url(&self.issuer).is_ok_and(|issuer| values::is_loopback(&issuer));
        let endpoint = |name: &str, url: &Option<String>| -> Result<Option<String>> {
            let Some(url) = url else { return Ok(None) };
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
            authorize_url: endpoint("authorization_endpoint", &said.authorization_endpoint)?,
            token_url: endpoint("token_endpoint", &said.token_endpoint)?,
            revoke_url: endpoint("revocation_endpoint", &said.revocation_endpoint)?,
            introspect_url: endpoint("introspection_endpoint", &said.introspection_endpoint)?,
            device_url: endpoint("device_authorization_endpoint", &said.device_authorization_endpoint)?,
            userinfo_url: endpoint("userinfo_endpoint", &said.userinfo_endpoint)?,
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
        complete.iss_promised = said.authorization_response_iss_parameter_supported;
        complete.jwks_url = endpoint("jwks_uri", &said.jwks_uri)?;
        let takes = |method: &str| said.token_endpoint_auth_methods_supported.iter().any(|m| m == method);
        complete.takes_post_only = takes("client_secret_post") && !takes("client_secret_basic");
        complete.discovery = Discovery::Done;
        complete.token_url()?;
        if complete.machine.is_none() {
            complete.sign_in(false)?;
        }
        Ok(complete)
    }
}
