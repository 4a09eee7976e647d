//! The ID token of an OpenID provider (OpenID Connect Core §2): who signed in, in the issuer's own words.
//!
//! Everything is checked here but the signature itself, which needs arithmetic this crate does not have: the host
//! takes [`IdToken::signed`], [`IdToken::signature`] and the keys that [`IdToken::candidates`] leaves.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{Secret, Timestamp, contract::values, error::escape, json, login::identity::Identity};

/// Seconds by which two clocks may differ before a token counts as ended, or as of the future.
const LEEWAY: i64 = 300;

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). Those that are not here are refused: `none` proves nothing,
/// and with `HS256` whoever knows the client's secret could have written the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what a provider uses that says nothing else.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nonce: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => core::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// An ID token as it was sent, taken apart and not yet believed.
pub struct IdToken {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
    signed: Secret,
    signature: Vec<u8>,
}

/// What an ID token has to say to be ours.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// The issuer that was asked, to the letter.
    pub issuer: &'e str,
    /// The client it was asked as.
    pub client_id: &'e str,
    /// The `nonce` of the authorization request. `None` where there was no such request.
    pub nonce: Option<&'e Secret>,
    /// Now, by the clock of the provider that answered if it told it.
    pub now: Timestamp,
}

impl IdToken {
    /// Takes a token apart (RFC 7515 §7.1, RFC 7519 §7.2).
    ///
    /// # Errors
    /// Says what is wrong, never what the token holds but for the names of its algorithm.
    #[expect(
        clippy::disallowed_methods,
        reason = "taken apart here; the parts that are kept are a secret again"
    )]
    pub fn read(token: &Secret) -> Result<Self, String> {
        let (signed, signature) = token.expose().rsplit_once('.').ok_or("is not a signed JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("is not a signed JWT")?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "is not a signed JWT");
        let header: Header =
            json::strict(&decode(header)?).map_err(|why| format!("has a header that {why}"))?;
        if header.crit.is_some() {
            return Err("has critical extensions, of which keyfob knows none (RFC 7515 §4.1.11)".into());
        }
        let algorithm = Algorithm::of(&header.alg)
            .ok_or_else(|| format!("is signed with `{}`, which is not accepted", escape(&header.alg)))?;
        let claims = json::strict(&decode(claims)?).map_err(|why| format!("has claims that {why}"))?;
        let signature = decode(signature)?;
        Ok(Self { algorithm, key_id: header.kid, claims, signed: Secret::new(signed), signature })
    }

    /// The checks of OpenID Connect Core §3.1.3.7.
    ///
    /// # Errors
    /// The first that fails.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), String> {
        let claims = &self.claims;
        if claims.iss != expected.issuer {
            return Err(format!("was issued by `{}`", escape(&claims.iss)));
        }
        if !claims.aud.all().iter().any(|audience| audience == expected.client_id) {
            return Err("was issued to another client (`aud`)".into());
        }
        match &claims.azp {
            Some(party) if party == expected.client_id => {}
            Some(_) => return Err("was issued to another client (`azp`)".into()),
            // Whom else it was issued to is nobody we trust; who asked for it must be said then.
            None if claims.aud.all().len() > 1 => {
                return Err("has several audiences and does not say who asked for it (`azp`)".into());
            }
            None => {}
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
        let (now, leeway) = (expected.now.0 as f64, LEEWAY as f64);
        if claims.exp + leeway <= now {
            return Err("has expired (`exp`)".into());
        }
        if claims.iat - leeway >= now {
            return Err("was issued in the future (`iat`)".into());
        }
        match (expected.nonce, &claims.nonce) {
            (Some(nonce), Some(said)) if nonce.same_as(said) => {}
            (Some(_), Some(_)) => return Err("belongs to another sign-in (`nonce`)".into()),
            (Some(_), None) => return Err("does not say which sign-in it belongs to (`nonce`)".into()),
            (None, _) => {}
        }
        let subject = &claims.sub;
        if subject.is_empty() || subject.len() > 255 || !subject.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
            return Err("has no usable `sub`".into());
        }
        Ok(())
    }

    /// What the signature is over (RFC 7515 §5.2).
    #[must_use]
    pub fn signed(&self) -> &Secret {
        &self.signed
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// How it was made.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The keys it may have been made with: of the kind its algorithm needs and, if it names a key, with that name.
    pub fn candidates<'k>(&'k self, keys: &'k [Key]) -> impl Iterator<Item = &'k PublicKey> {
        keys.iter()
            .filter(|key| self.key_id.is_none() || key.id == self.key_id)
            .filter(|key| key.only_for.is_none_or(|algorithm| algorithm == self.algorithm))
            .map(|key| &key.key)
            .filter(|key| {
                matches!(
                    (self.algorithm, key),
                    (Algorithm::Rs256 | Algorithm::Ps256, PublicKey::Rsa { .. })
                        | (Algorithm::Es256, PublicKey::P256(_))
                        | (Algorithm::Es384, PublicKey::P384(_))
                        | (Algorithm::EdDsa, PublicKey::Ed25519(_))
                )
            })
    }

    /// Who it says signed in. A subject that is a UUID is the account's.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            account_uuid: values::uuid(&self.claims.sub).ok(),
            organization_uuid: None,
            email: self.claims.email.as_deref().and_then(|email| values::email(email).ok()),
            subject: Some(self.claims.sub.to_string()),
        }
    }
}

/// A public key of the provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    id: Option<String>,
    only_for: Option<Algorithm>,
    key: PublicKey,
}

/// Its numbers, big-endian.
#[derive(Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA (RFC 7518 §6.3.1).
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The exponent.
        exponent: Vec<u8>,
    },
    /// A point on P-256, uncompressed: 4, x, y.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed: 4, x, y.
    P384(Vec<u8>),
    /// An Ed25519 key (RFC 8037 §2).
    Ed25519(Vec<u8>),
}

/// Reads a JWK Set (RFC 7517 §5). Keys of kinds, uses and algorithms keyfob does not know are left out.
///
/// # Errors
/// When it is not one.
pub fn keys(body: &[u8]) -> Result<Vec<Key>, &'static str> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = json::strict(body)?;
    Ok(set.keys.into_iter().filter_map(key).collect())
}

fn key(value: serde_json::Value) -> Option<Key> {
    #[derive(Deserialize)]
    struct Wire {
        kty: String,
        kid: Option<String>,
        #[serde(rename = "use")]
        purpose: Option<String>,
        alg: Option<String>,
        crv: Option<String>,
        n: Option<String>,
        e: Option<String>,
        x: Option<String>,
        y: Option<String>,
    }
    let wire: Wire = serde_json::from_value(value).ok()?;
    if wire.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let only_for = match wire.alg {
        None => None,
        Some(name) => Some(Algorithm::of(&name)?),
    };
    let number = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok().filter(|n| !n.is_empty());
    let point = |x: Option<String>, y: Option<String>, size: usize| {
        let (x, y) = (number(x)?, number(y)?);
        (x.len() == size && y.len() == size).then(|| [&[4], &*x, &*y].concat())
    };
    let key = match (wire.kty.as_str(), wire.crv.as_deref()) {
        ("RSA", _) => PublicKey::Rsa { modulus: number(wire.n)?, exponent: number(wire.e)? },
        ("EC", Some("P-256")) => PublicKey::P256(point(wire.x, wire.y, 32)?),
        ("EC", Some("P-384")) => PublicKey::P384(point(wire.x, wire.y, 48)?),
        ("OKP", Some("Ed25519")) => PublicKey::Ed25519(number(wire.x)?),
        _ => return None,
    };
    Some(Key { id: wire.kid, only_for, key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_311_281_000);

    /// The claims of OpenID Connect Core §2, its own example.
    fn claims() -> Value {
        json!({
            "iss": "https://server.example.com", "sub": "24400320", "aud": "s6BhdRkqt3", "nonce": "n-0S6_WzA2Mj",
            "exp": 1_311_281_970, "iat": 1_311_280_970, "auth_time": 1_311_280_969, "email": "ada@example.com"
        })
    }

    fn token(header: &Value, claims: &Value) -> Secret {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        Secret::from(format!("{}.{}.c2ln", part(header), part(claims)))
    }

    fn said(claims: &Value, nonce: Option<&Secret>) -> Result<(), String> {
        let expected =
            Expected { issuer: "https://server.example.com", client_id: "s6BhdRkqt3", nonce, now: NOW };
        IdToken::read(&token(&json!({"alg": "RS256"}), claims))?.check(&expected)
    }

    #[test]
    fn the_example_of_the_specification_is_ours() {
        let nonce = Secret::new("n-0S6_WzA2Mj");
        assert_eq!(said(&claims(), Some(&nonce)), Ok(()));
        assert_eq!(said(&claims(), None), Ok(()), "a token of the device grant answers no request");
        let identity = IdToken::read(&token(&json!({"alg": "ES256"}), &claims())).unwrap().identity();
        assert_eq!(identity.subject.as_deref(), Some("24400320"));
        assert_eq!(identity.email.as_deref(), Some("ada@example.com"));
        assert_eq!(identity.account_uuid, None);
    }

    /// OpenID Connect Core §3.1.3.7, a claim at a time.
    #[test]
    fn each_claim_is_checked() {
        let nonce = Secret::new("n-0S6_WzA2Mj");
        for (claim, value, why) in [
            ("iss", json!("https://server.example.com/"), "was issued by `https://server.example.com/`"),
            ("iss", json!("https://evil.example\u{1b}[2J"), "was issued by `https://evil.example\\u{1b}[2J`"),
            ("aud", json!("another"), "was issued to another client (`aud`)"),
            ("aud", json!([]), "was issued to another client (`aud`)"),
            (
                "aud",
                json!(["s6BhdRkqt3", "x"]),
                "has several audiences and does not say who asked for it (`azp`)",
            ),
            ("azp", json!("another"), "was issued to another client (`azp`)"),
            ("exp", json!(1_311_280_699), "has expired (`exp`)"),
            ("exp", json!(1_311_280_701), ""),
            ("exp", json!("soon"), "has claims that has a member of the wrong type, or lacks one"),
            ("exp", Value::Null, "has claims that has a member of the wrong type, or lacks one"),
            ("iat", json!(1_311_281_301), "was issued in the future (`iat`)"),
            ("nonce", json!("n-0S6_WzA2Mk"), "belongs to another sign-in (`nonce`)"),
            ("nonce", Value::Null, "does not say which sign-in it belongs to (`nonce`)"),
            ("sub", json!(""), "has no usable `sub`"),
            ("sub", json!("a\nb"), "has no usable `sub`"),
            ("sub", json!("x".repeat(256)), "has no usable `sub`"),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            assert_eq!(said(&claims, Some(&nonce)).err().unwrap_or_default(), why, "{claim} = {value}");
        }
        let mut both = claims();
        both["aud"] = json!(["s6BhdRkqt3", "x"]);
        both["azp"] = json!("s6BhdRkqt3");
        assert_eq!(said(&both, Some(&nonce)), Ok(()));
    }

    /// RFC 8725 §3.1, §3.2: what algorithm counts is decided here and not by the token.
    #[test]
    fn algorithms_that_prove_nothing_are_refused() {
        let why = |header: &Value| IdToken::read(&token(header, &claims())).err().unwrap_or_default();
        for alg in ["none", "None", "HS256", "RS1", "", "rs256"] {
            assert_eq!(why(&json!({"alg": alg})), format!("is signed with `{alg}`, which is not accepted"));
        }
        assert!(why(&json!({"alg": "RS256", "crit": ["exp"]})).contains("critical"));
        assert!(why(&json!({"kid": "1"})).contains("header"));
        for text in ["", "a", "a.b", "....", "eyJhbGciOiJub25lIn0.e30."] {
            assert!(IdToken::read(&Secret::new(text)).is_err(), "{text}");
        }
        assert!(format!("{:?}", IdToken::read(&Secret::new("a.b")).err()).contains("not a signed JWT"));
    }

    /// RFC 7517 appendix A.1, its own example, and what must not be taken for a key.
    #[test]
    fn keys_are_chosen_by_kind_name_and_use() {
        let set = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "enc", "kid": "1",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "EC", "crv": "P-256", "kid": "1",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
            {"kty": "OKP", "crv": "X25519", "x": "AQAB"},
            {"kty": "RSA", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"},
            7
        ]});
        let keys = keys(set.to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 2);
        let found = |header: Value| {
            let token = IdToken::read(&token(&header, &claims())).unwrap();
            token.candidates(&keys).count()
        };
        assert_eq!(found(json!({"alg": "ES256", "kid": "1"})), 1);
        assert_eq!(found(json!({"alg": "ES256"})), 1);
        assert_eq!(found(json!({"alg": "ES256", "kid": "2"})), 0);
        assert_eq!(found(json!({"alg": "RS256", "kid": "1"})), 0, "a key of another kind");
        assert_eq!(found(json!({"alg": "PS256"})), 0, "the key is for RS256 only (RFC 8725 §3.1)");
        assert!(super::keys(b"[]").is_err());
    }
}
