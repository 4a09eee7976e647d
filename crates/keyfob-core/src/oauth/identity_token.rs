//! The token by which a workload says what it is: the assertion of RFC 7523 §2.1, the subject token of RFC 8693 §2.1.
//!
//! Whether it is true is for the provider to judge, which has the keys. What is read here is for people and for one
//! decision: whether it is worth sending. So nothing of it is believed, and none of its text is ever shown but who issued
//! it, for whom, and about whom.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ProviderTime, Secret, Timestamp, digest, json, secret::strip_newline};

/// Issuers' clocks may differ from this machine's by this much.
const LEEWAY: i64 = 60;
/// No claim that is kept for people is longer.
const LONGEST_CLAIM: usize = 512;

/// An identity token, as it was fetched for one exchange.
#[derive(Debug)]
pub struct IdentityToken {
    token: Secret,
    claims: Option<Claims>,
    jti: Option<String>,
}

/// What an identity token says of itself, unverified: what reports show of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it (`iss`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What it is about (`sub`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For whom it is (`aud`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// When it ends (`exp`), by its issuer's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl IdentityToken {
    /// Reads one. It may end with one line break, as files and commands write it. `opaque` lets one pass that is no JWT,
    /// where the exchange takes such (RFC 8693 §3).
    ///
    /// # Errors
    /// Says what is wrong, never what was given.
    pub fn read(text: &str, opaque: bool) -> Result<Self, String> {
        let token = Secret::visible(strip_newline(text)).map_err(|why| why.sentence().to_string())?;
        match claims(&token) {
            Ok(claims) => Ok(Self { jti: text_of(&claims, "jti"), claims: Some(Claims::of(&claims)), token }),
            Err(_) if opaque => Ok(Self { token, claims: None, jti: None }),
            Err(why) => Err(why),
        }
    }

    /// The token itself, for the one request it is sent in.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// What it says of itself, if it can be read.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Whether it has a name by which a provider can notice that it comes again (RFC 7523 §3, item 7).
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        self.jti.is_some()
    }

    /// What distinguishes it from every other one: its issuer's number for it, or else a hash of its text. Not secret.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match &self.jti {
            Some(jti) => {
                let issuer = self.claims.as_ref().and_then(|claims| claims.issuer.as_deref());
                digest::name_of(["jti", issuer.unwrap_or_default(), jti])
            }
            None => self.token.fingerprint(),
        }
    }

    /// Whom it names, as a hash: the same for each token of one issuer about one subject, for the same audience. One that says
    /// neither stands for itself alone.
    #[must_use]
    pub fn holder(&self) -> String {
        match &self.claims {
            Some(claims) if claims.issuer.is_some() || claims.subject.is_some() => {
                let said =
                    [&claims.issuer, &claims.subject].map(|claim| claim.as_deref().unwrap_or_default());
                let audience = claims.audience.iter().map(String::as_str);
                digest::name_of(["holder"].into_iter().chain(said).chain(audience))
            }
            _ => digest::name_of(["token", &self.token.fingerprint()]),
        }
    }

    /// When it ended, if it has. `now` is the provider's: it is for the provider that it must be good.
    #[must_use]
    pub fn ended(&self, now: ProviderTime) -> Option<Timestamp> {
        let end = self.claims.as_ref()?.expires_at?;
        (end.saturating_add(LEEWAY) <= now.0).then_some(Timestamp(end))
    }

    /// The same without the leeway that clocks are given: for saying why a provider refused it.
    #[must_use]
    pub fn ended_to_the_second(&self, now: ProviderTime) -> bool {
        self.claims.as_ref().and_then(|claims| claims.expires_at).is_some_and(|end| end <= now.0)
    }
}

impl Claims {
    /// In words for people: who issued it, about whom, for whom. What is shown comes from outside.
    #[must_use]
    pub fn told(&self) -> String {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "nobody it names".into());
        let audience =
            if self.audience.is_empty() { "nobody it names".into() } else { self.audience.join(", ") };
        format!("issued by {} to {} for {audience}", or(&self.issuer), or(&self.subject))
    }

    fn of(claims: &Map<String, Value>) -> Self {
        let audience = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(16).map(bounded).collect(),
            Some(Value::String(one)) => Vec::from([bounded(one)]),
            _ => Vec::new(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number of seconds that does not fit is no date"
        )]
        let expires_at = claims.get("exp").and_then(Value::as_f64).map(|end| end as i64);
        Self { issuer: text_of(claims, "iss"), subject: text_of(claims, "sub"), audience, expires_at }
    }
}

fn text_of(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(bounded)
}

fn bounded(text: &str) -> String {
    text.chars().take(LONGEST_CLAIM).collect()
}

/// The claims of a signed JWT (RFC 7519 §7.2). Its signature is the provider's to judge.
#[expect(clippy::disallowed_methods, reason = "taken apart here; nothing but the claims leaves")]
pub(super) fn claims(token: &Secret) -> Result<Map<String, Value>, String> {
    let mut parts = token.expose().split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it is not a signed JWT".to_string());
    };
    let decode =
        |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is not a signed JWT".to_string());
    let object = |what: &str, part: &str| -> Result<Map<String, Value>, String> {
        json::strict(&decode(part)?).map_err(|why| format!("it is a JWT with {what} that {why}"))
    };
    object("a header", header)?;
    if decode(signature)?.is_empty() {
        return Err("it is a JWT without a signature, which proves nothing".to_string());
    }
    object("claims", claims)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A JWT with these claims, and a signature that nobody here looks at.
    pub(crate) fn jwt(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"ES256"}"#), part(claims), part("signed"))
    }

    fn read(claims: &str) -> IdentityToken {
        IdentityToken::read(&jwt(claims), false).expect("a token")
    }

    #[test]
    fn a_token_says_who_issued_it_and_for_whom() {
        let token = read(r#"{"iss":"https://i","sub":"repo:a/b","aud":["x","y"],"exp":1000.5,"jti":"1"}"#);
        let claims = token.claims().unwrap();
        assert_eq!(
            (claims.issuer.as_deref(), claims.subject.as_deref()),
            (Some("https://i"), Some("repo:a/b"))
        );
        assert_eq!((&*claims.audience, claims.expires_at), (&["x".into(), "y".into()][..], Some(1000)));
        assert!(token.is_numbered());
        assert_eq!(read(r#"{"aud":"x"}"#).claims().unwrap().audience, ["x"]);
        assert!(!format!("{token:?}").contains("ey"), "{token:?}");
    }

    /// Two spellings of one numbered token are the same to the provider, and two of one issuer are not.
    #[test]
    fn a_number_is_what_makes_a_token_that_one() {
        let one = |claims: &str| read(claims).fingerprint();
        assert_eq!(one(r#"{"iss":"i","jti":"1","a":1}"#), one(r#"{"iss":"i","jti":"1","a":2}"#));
        assert_ne!(one(r#"{"iss":"i","jti":"1"}"#), one(r#"{"iss":"i","jti":"2"}"#));
        assert_ne!(one(r#"{"iss":"i","jti":"1"}"#), one(r#"{"iss":"k","jti":"1"}"#));
        assert_ne!(one(r#"{"iss":"i"}"#), one(r#"{"iss":"k"}"#));
    }

    #[test]
    fn what_is_no_token_is_told_without_quoting_it() {
        for (text, why) in [
            ("", "is empty"),
            ("MARKED MARKED", "blank"),
            ("MARKED", "not a signed JWT"),
            ("MARKED.MARKED.MARKED.MARKED", "not a signed JWT"),
            (&jwt("MARKED"), "claims that"),
            (
                &jwt("{}").rsplit_once('.').map(|(signed, _)| format!("{signed}.")).unwrap(),
                "without a signature",
            ),
        ] {
            let said = IdentityToken::read(text, false).expect_err(text);
            assert!(said.contains(why) && !said.contains("MARKED"), "{said}");
        }
        let opaque = IdentityToken::read("opaque\n", true).expect("RFC 8693 takes it");
        assert!(opaque.claims().is_none() && !opaque.is_numbered() && opaque.token().same_as("opaque"));
    }

    #[test]
    fn an_end_is_given_a_minute_for_clocks_that_differ() {
        let token = read(r#"{"exp":1000}"#);
        assert_eq!(token.ended(ProviderTime(1059)), None);
        assert_eq!(token.ended(ProviderTime(1060)), Some(Timestamp(1000)));
        assert!(
            token.ended_to_the_second(ProviderTime(1000)) && !token.ended_to_the_second(ProviderTime(999))
        );
        assert_eq!(read("{}").ended(ProviderTime(i64::MAX)), None, "it does not say");
    }
}
