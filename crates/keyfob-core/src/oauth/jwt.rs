//! What a JWT says of itself (RFC 7519), for reports: nothing here verifies anything, and nobody may rely on it.

use alloc::string::String;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{Secret, Timestamp, json};

/// A JWT taken apart. Whoever made it may have written anything into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Jwt {
    /// Takes a signed or unsigned JWT apart (RFC 7515 §7.1). `None`: it is none, and says nothing that could be read.
    /// Some issuers put a word and a hyphen before it, which tells the kind of token.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "taken apart here; what is kept is what it says, without its signature"
    )]
    pub fn read(token: &Secret) -> Option<Self> {
        let text = token.expose();
        Self::of(text).or_else(|| {
            // Every JSON object begins with `{"` or `{ `, and so every such token with these letters.
            let at = text.find("-eyJ")?;
            Self::of(&text[at + 1..])
        })
    }

    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let object = |part: &str| json::strict(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self { header: object(header)?, claims: object(claims)? })
    }

    /// Its header (RFC 7515 §4).
    #[must_use]
    pub const fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// Its claims (RFC 7519 §4).
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// A NumericDate among its claims (RFC 7519 §2).
    #[must_use]
    pub fn time(&self, claim: &str) -> Option<Timestamp> {
        let seconds = self.claims.get(claim)?.as_f64()?;
        // Until the year 9999, the last one that RFC 3339 can write.
        #[expect(clippy::cast_possible_truncation, reason = "it is within the range of the check before")]
        (0.0..=253_402_300_799.0).contains(&seconds).then_some(Timestamp(seconds as i64))
    }

    /// When it ends, as it says itself (`exp`).
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.time("exp")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn read(header: &str, claims: &str) -> Option<Jwt> {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        Jwt::read(&Secret::from(format!("{}.{}.c2ln", part(header), part(claims))))
    }

    /// RFC 7519 §3.1 (signed) and §6.1 (unsigned), their own examples.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        for token in [
            format!(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            ),
            format!("eyJhbGciOiJub25lIn0.{claims}."),
            format!("a-kind-of-token-eyJhbGciOiJub25lIn0.{claims}."),
        ] {
            let jwt = Jwt::read(&Secret::from(token)).expect("a JWT");
            assert_eq!(jwt.claims()["iss"], "joe");
            assert_eq!(jwt.expires_at(), Some(Timestamp(1_300_819_380)));
        }
        assert_eq!(read(r#"{"alg":"ES256"}"#, "{}").expect("a JWT").header()["alg"], "ES256");
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for text in
            ["", "opaque", "a.b.c", "e30.e30", "e30.e30.e30.e30", "e30.W10.c2ln", "sk-eyJ", "-eyJ.e30.x"]
        {
            assert_eq!(Jwt::read(&Secret::new(text)), None, "{text}");
        }
        assert_eq!(read("{}", r#"{"a":1,"a":2}"#), None, "RFC 7519 §4: a claim stands once");
        for end in [r#"{"exp":"soon"}"#, r#"{"exp":-1}"#, r#"{"exp":1e99}"#, "{}"] {
            assert_eq!(read("{}", end).expect("a JWT").expires_at(), None, "{end}");
        }
    }
}
