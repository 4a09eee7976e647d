//! What a client signs to authenticate (RFC 7521 §4.2, RFC 7523 §3; OpenID Connect Core §9, `private_key_jwt`).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::state::{clients::Client, credential::Digest, shared::Shared};

/// The only `client_assertion_type` (RFC 7523 §2.2).
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What is good for longer was not made for one request.
const LONGEST: u64 = 300;
/// How far in the future an assertion may have been issued.
const AHEAD: u64 = 10;

/// A compact JWS, not yet believed.
pub(crate) struct Assertion<'a> {
    text: &'a str,
    header: Value,
    claims: Value,
}

impl<'a> Assertion<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        let (header, claims, _, None) = (parts.next()??, parts.next()??, parts.next()??, parts.next()) else {
            return None;
        };
        let object = |octets: &[u8]| serde_json::from_slice::<Value>(octets).ok().filter(Value::is_object);
        Some(Self { text, header: object(&header)?, claims: object(&claims)? })
    }

    /// The client it says it is of.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// Believes it, or says why not. A good one is spent by that: its `jti` is refused from then on (RFC 7523 §3, number 7).
    pub(crate) fn verify(
        &self,
        shared: &Shared,
        client: &Client,
        issuer: &str,
    ) -> Result<(), (&'static str, &'static str)> {
        let text = |name: &str| self.claims.get(name).and_then(Value::as_str);
        let number = |name: &str| self.claims.get(name).and_then(Value::as_u64);
        let header = |name: &str| self.header.get(name).and_then(Value::as_str);
        let (signed, signature) = self.text.rsplit_once('.').unwrap_or_default();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        let algorithm = header("alg").unwrap_or_default();
        let mut keys = client.keys.iter().filter(|key| key.is_meant(algorithm, header("kid"))).peekable();
        if keys.peek().is_none() {
            return Err((
                "no key of this client is for the algorithm or the kid of its assertion",
                "assertion-key",
            ));
        }
        if !keys.any(|key| key.made(signed.as_bytes(), &signature)) {
            return Err(("the signature of the assertion is not this client's", "assertion-signature"));
        }
        // OpenID Connect Core §9: issuer and subject are the client.
        if text("iss") != Some(&client.id) || text("sub") != Some(&client.id) {
            return Err(("iss and sub of the assertion must be the client", "assertion-subject"));
        }
        // The issuer alone (RFC 7523bis §4): an address could be another provider's idea of this one.
        if text("aud") != Some(issuer) {
            return Err(("the assertion is not for this issuer", "assertion-audience"));
        }
        let now = shared.clock.now();
        let (Some(exp), Some(jti)) = (number("exp"), text("jti").filter(|jti| !jti.is_empty())) else {
            return Err(("the assertion lacks exp or jti", "assertion-malformed"));
        };
        if exp <= now {
            return Err(("the assertion has expired", "assertion-expired"));
        }
        if exp > now + LONGEST || number("iat").is_some_and(|iat| iat > now + AHEAD) {
            return Err(("the assertion is of the future, or good for too long", "assertion-early"));
        }
        let digest = Digest::of(&format!("{}\n{jti}", client.id));
        shared.change(|tables, now| {
            tables.assertions.retain(|until| *until > now);
            if tables.assertions.contains(&digest) {
                return Err(("the assertion has been used before", "assertion-replayed"));
            }
            tables.assertions.insert(digest, exp);
            Ok(())
        })
    }
}
