//! What a client signs with its private key to prove itself: `private_key_jwt` (RFC 7521 §4.2, RFC 7523 §2.2, OpenID Connect
//! Core §9). Signing is the caller's; what is signed, and in whose time, is decided here.

use alloc::{
    format,
    string::{String, ToString},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    Ahead, ProviderTime, Secret, Timestamp,
    contract::settings::ClientId,
    digest::hex,
    oauth::{refusal, reply::Reply},
};

/// The `client_assertion_type` (RFC 7523 §2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// From `iat` to `exp`. One request needs seconds; whoever finds an assertion in a log later has nothing.
const LIFE: i64 = 60;
/// By how much `iat` lies in the past. Providers refuse what is issued in their future, some for milliseconds; two clocks
/// are never equal, and `Date` has whole seconds.
const BACK: i64 = 5;

/// What a client's key signs with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in a header and in metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// An assertion that is to be signed. Made for one request, and never sent twice.
#[derive(Debug)]
pub struct Assertion<'a> {
    /// Who says it, and of whom: the client, both times.
    pub client: &'a ClientId,
    /// Whom it is for: the issuer of the provider, and nobody else. Not the address of an endpoint, which a second
    /// provider could name as its own and so be given what the first one takes (RFC 7523bis §4: the audience is the issuer
    /// identifier alone).
    pub issuer: &'a str,
    /// The provider's time.
    pub now: ProviderTime,
    /// Sixteen random octets, so that a provider can refuse to take it twice.
    pub unique: [u8; 16],
}

impl Assertion<'_> {
    /// Header and claims in the form that is signed (RFC 7515 §5.1).
    ///
    /// There is no `nbf`, which providers hold against a clock that is a second off. The type is `JWT`: several verifiers
    /// refuse every other one, and none refuses this one.
    #[must_use]
    pub fn to_sign(&self, algorithm: Algorithm, key_id: Option<&str>) -> String {
        let mut header = json!({ "alg": algorithm.name(), "typ": "JWT" });
        if let Some(key_id) = key_id {
            header["kid"] = key_id.into();
        }
        let issued = self.now.plus(-BACK);
        let client = self.client.as_str();
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": self.issuer,
            "iat": issued.0,
            "exp": issued.plus(LIFE).0,
            "jti": hex(&self.unique),
        });
        let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&header), part(&claims))
    }
}

/// What was signed, with its signature (RFC 7515 §7.1).
#[must_use]
pub fn signed(to_sign: &str, signature: &[u8]) -> Secret {
    Secret::from(format!("{to_sign}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// How far the provider's clock is ahead, where an answer shows that an assertion made for `used` is dated wrongly. `Date`
/// was written between the request and the moment its answer was read, however long that took.
#[must_use]
pub fn misdated(reply: &Reply, now: Timestamp, used: Ahead) -> Option<Ahead> {
    let theirs = reply.provider_time()?;
    let (least, most) = (Ahead::between(theirs, now), Ahead::between(theirs, reply.begins(now)));
    if least.seconds() > used.seconds().saturating_add(BACK) {
        Some(least)
    } else if most.seconds() < used.seconds().saturating_sub(BACK) {
        Some(most)
    } else {
        None
    }
}

/// The clock to sign by when a request is made once more, because the provider refused the client and its clock is another
/// than was thought. A refused client has been given nothing (RFC 6749 §5.2), so nothing is spent.
#[must_use]
pub fn refused_for_its_date(reply: &Reply, now: Timestamp, used: Ahead) -> Option<Ahead> {
    let word = refusal::said(reply)?.word?;
    is_about_the_client(&word).then(|| misdated(reply, now, used)).flatten()
}

/// Whether an error code is about the client and its proof (RFC 6749 §5.2).
#[must_use]
pub fn is_about_the_client(word: &str) -> bool {
    matches!(word, "invalid_client" | "unauthorized_client")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own assertions")]
mod tests {
    use super::*;
    use serde_json::Value;

    fn assertion(client: &ClientId) -> Assertion<'_> {
        Assertion {
            client,
            issuer: "https://id.example/realm",
            now: ProviderTime(1_000_000),
            unique: [7; 16],
        }
    }

    fn parts(text: &str) -> (Value, Value) {
        let mut parts = text.split('.').map(|part| {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default())
                .unwrap_or_default()
        });
        (parts.next().unwrap(), parts.next().unwrap())
    }

    /// RFC 7523 §3, OpenID Connect Core §9: the five claims, and what keyfob promises of them.
    #[test]
    fn an_assertion_is_for_one_issuer_and_one_minute() {
        let client = ClientId::parse("ci").unwrap();
        let (header, claims) = parts(&assertion(&client).to_sign(Algorithm::Es256, None));
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT" }));
        let expected = json!({
            "iss": "ci", "sub": "ci", "aud": "https://id.example/realm",
            "iat": 999_995, "exp": 1_000_055, "jti": "07".repeat(16),
        });
        assert_eq!(claims, expected);
        let (header, _) = parts(&assertion(&client).to_sign(Algorithm::Rs256, Some("k\"1")));
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k\"1" }));
        assert_eq!(signed("a.b", &[1, 2, 0xff]).expose(), "a.b.AQL_");
    }

    fn reply(status: u16, body: &str, date: &str, asked_at: i64) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            body: body.into(),
            date: Some(date.into()),
            asked_at: Some(Timestamp(asked_at)),
            ..Reply::default()
        }
    }

    /// 784111777, RFC 9110 §5.6.7.
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const REFUSED: &str = r#"{"error":"invalid_client"}"#;

    #[test]
    fn a_wrong_clock_is_told_from_a_slow_answer() {
        let theirs = 784_111_777;
        let off = |asked: i64, read: i64, used: i64| {
            let reply = reply(401, REFUSED, DATE, theirs + asked);
            misdated(&reply, Timestamp(theirs + read), Ahead::by(used)).map(Ahead::seconds)
        };
        assert_eq!(off(0, 0, 0), None);
        assert_eq!(off(-20, 20, 0), None, "forty seconds on the way: the clocks may be equal");
        assert_eq!((off(-5, -5, 0), off(-6, -6, 0)), (None, Some(6)));
        assert_eq!((off(5, 5, 0), off(6, 6, 0)), (None, Some(-6)));
        assert_eq!(off(-90, -60, 0), Some(60), "no more than is certain");
        assert_eq!(off(60, 90, 0), Some(-60));
        assert_eq!(off(-60, -60, 60), None, "that was known");
        assert_eq!(off(0, 0, 60), Some(0), "and it was mended since");
    }

    #[test]
    fn only_a_refused_client_is_asked_for_again() {
        let again = |status, body: &str| {
            let reply = reply(status, body, DATE, 784_111_777 - 90);
            refused_for_its_date(&reply, Timestamp(784_111_777 - 90), Ahead::default()).map(Ahead::seconds)
        };
        assert_eq!(again(401, REFUSED), Some(90));
        assert_eq!(again(400, r#"{"error":"unauthorized_client"}"#), Some(90));
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (200, r#"{"access_token":"a","token_type":"Bearer"}"#),
            (503, "<html>"),
        ] {
            assert_eq!(again(status, body), None, "{body}");
        }
        let undated = Reply { date: None, ..reply(401, REFUSED, DATE, 0) };
        assert_eq!(refused_for_its_date(&undated, Timestamp(0), Ahead::default()), None);
    }
}
