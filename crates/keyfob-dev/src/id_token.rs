//! ID tokens (OpenID Connect Core §2), signed with a key that lives as long as the server.

use crate::account;
use crate::call::{Call, Reply, json};
use crate::credential::NoEntropy;
use crate::faults::FaultKind;
use crate::scope::Scopes;
use crate::shared::Shared;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json as object};
use sha2::{Digest as _, Sha256};

/// How long an ID token can be shown to be fresh; nobody keeps one.
const LIFE: u64 = 600;

/// The server's key (RFC 7518 §3.4: ES256).
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new() -> Result<Self, NoEntropy> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| NoEntropy)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random);
        Ok(Self { pair: pair.map_err(|_| NoEntropy)?, random })
    }

    /// The public key: an uncompressed point, 4, x, y.
    fn point(&self) -> (String, String) {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y))
    }

    /// RFC 7638 §3: members in order, without blanks.
    fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// A compact JWS (RFC 7515 §7.1).
    fn sign(&self, header: &Value, claims: &Value) -> Result<String, NoEntropy> {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| NoEntropy)?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Whom an ID token is about and for.
pub(crate) struct About<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) email: &'a str,
    pub(crate) scope: Scopes,
    pub(crate) nonce: Option<&'a str>,
}

/// The ID token of a grant, where `openid` was asked for; wrong in the way a fault says.
pub(crate) fn of(
    shared: &Shared,
    about: &About<'_>,
    fault: Option<FaultKind>,
    now: u64,
) -> Result<Option<String>, NoEntropy> {
    if !about.scope.contains("openid") {
        return Ok(None);
    }
    let mut claims = object!({
        "iss": about.issuer,
        "sub": account::account_uuid(about.email),
        "aud": about.client_id,
        "iat": now,
        "auth_time": now,
        "exp": now.saturating_add(LIFE),
    });
    if let Some(nonce) = about.nonce {
        claims["nonce"] = nonce.into();
    }
    if about.scope.contains("email") {
        claims["email"] = about.email.into();
        claims["email_verified"] = true.into();
    }
    let mut header = object!({ "alg": "ES256", "typ": "JWT", "kid": shared.signer.thumbprint() });
    match fault {
        Some(FaultKind::IdTokenIssuer) => claims["iss"] = "https://elsewhere.example".into(),
        Some(FaultKind::IdTokenAudience) => claims["aud"] = "another-client".into(),
        Some(FaultKind::IdTokenExpired) => claims["exp"] = now.saturating_sub(24 * 3600).into(),
        Some(FaultKind::IdTokenNonce) => claims["nonce"] = "of-another-sign-in".into(),
        Some(FaultKind::IdTokenUnsigned) => header["alg"] = "none".into(),
        _ => {}
    }
    let signer = match fault {
        Some(FaultKind::IdTokenSignature) => &Signer::new()?,
        _ => &shared.signer,
    };
    signer.sign(&header, &claims).map(Some)
}

/// `GET /oauth/jwks`: the public key (RFC 7517 §5).
pub(crate) fn keys(shared: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let (x, y) = shared.signer.point();
    let key = object!({
        "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": shared.signer.thumbprint(),
    });
    json(StatusCode::OK, &object!({ "keys": [key] }))
}
