//! The only reader of token-endpoint replies (RFC 6749 §5).
//!
//! The token endpoint is treated as an attacker: nothing of a reply is believed before its type, its members
//! and their characters are right, and no text of it reaches an error unescaped. But a rotated refresh token
//! inside an answer that must be refused is still handed back: it is the only one that will work.

use alloc::{format, string::String, vec::Vec};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::{Secret, Timestamp, contract::settings::Scopes, error::escape, json};

/// What came back over HTTP. The body is already bounded in size by the transport.
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// `Retry-After`, as sent: seconds or an HTTP-date (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
    /// `Date`: the provider's own clock.
    pub date: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    /// The provider's clock when it answered, if it said.
    #[must_use]
    pub fn provider_time(&self) -> Option<Timestamp> {
        Timestamp::from_http_date(self.date.as_deref()?)
    }

    /// Whether the body calls itself JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let essence = self.content_type.as_deref().unwrap_or("").split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case("application/json")
    }

    /// Seconds to wait before asking again, at most `cap`; `None` when the provider did not say.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp, cap: i64) -> Option<i64> {
        let text = self.retry_after.as_deref()?.trim();
        let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().unwrap_or(i64::MAX)
        } else {
            // The date is the provider's: measured by its clock when it told its clock.
            Timestamp::from_http_date(text)?.since(self.provider_time().unwrap_or(now))
        };
        Some(seconds.clamp(0, cap))
    }
}

/// A granted set of tokens (RFC 6749 §5.1).
#[derive(Debug)]
pub struct Tokens {
    /// The access token, of type Bearer.
    pub access_token: Secret,
    /// Lifetime in seconds, at least one. `None` when the provider said nothing usable: absent, zero,
    /// negative, or no number at all.
    pub expires_in: Option<i64>,
    /// The refresh token, if a (new) one came. If none came, the old one stays good (RFC 6749 §6).
    pub refresh_token: Option<Secret>,
    /// The granted scope, if the provider named it.
    pub scope: Option<Scopes>,
    /// The OpenID Connect ID token, unread.
    pub id_token: Option<Secret>,
    /// Whether the provider wants this machine to be a trusted device (`"trusted_device":"required"`).
    pub wants_device: bool,
}

/// What an answer means.
#[derive(Debug)]
pub enum Outcome {
    /// Tokens.
    Granted(Tokens),
    /// A success whose access token must not be used. If it held exactly one well-formed refresh token, that
    /// is the one the provider now expects: commit it first, then refuse the rest.
    Odd {
        /// What is odd about it.
        why: String,
        /// The rotated refresh token inside.
        refresh_token: Option<Secret>,
    },
    /// `invalid_grant`: this refresh token or code is dead (RFC 6749 §5.2). The only final answer.
    InvalidGrant {
        /// The provider's own words, escaped.
        why: String,
    },
    /// Any other refusal: says nothing about the refresh token.
    Refused {
        /// The provider's error code and words, escaped.
        why: String,
        /// The error code, if the answer had a well-formed one (RFC 8628 §3.5 needs it).
        error: Option<String>,
    },
    /// 429, 5xx and their like: ask again later, everything is kept.
    Later {
        /// The status, in words.
        why: String,
    },
}

/// A hundred years: beyond it a lifetime is a mistake, but not one to fail for.
const LONGEST: i64 = 100 * 365 * 24 * 3600;

/// Reads an answer of the token endpoint.
#[must_use]
pub fn read(reply: &Reply) -> Outcome {
    match reply.status {
        200 => granted(reply),
        408 | 425 | 429 | 500..=599 => {
            Outcome::Later { why: format!("the provider answered {}", reply.status) }
        }
        300..=399 => {
            refused(format!("the provider answered {} (a redirect), which is not followed", reply.status))
        }
        status => error_answer(reply, status),
    }
}

fn refused(why: String) -> Outcome {
    Outcome::Refused { why, error: None }
}

fn granted(reply: &Reply) -> Outcome {
    let odd = |why: &str| Outcome::Odd { why: String::from(why), refresh_token: salvage(&reply.body) };
    if !reply.is_json() {
        return odd("the answer is not application/json");
    }
    let members: Map<String, Value> = match json::strict(&reply.body) {
        Ok(members) => members,
        Err(why) => return odd(&format!("the answer {why}")),
    };
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{name}` is not a text")),
    };
    let secret = |name: &str| match text(name)? {
        None => Ok(None),
        Some(text) => Secret::visible(text).map(Some).map_err(|why| format!("`{name}` {why}")),
    };
    let read = || -> Result<Tokens, String> {
        let access_token = secret("access_token")?.ok_or("`access_token` is missing")?;
        match text("token_type")? {
            Some(word) if word.eq_ignore_ascii_case("bearer") => {}
            Some(word) => return Err(format!("`token_type` is `{}`, not Bearer", escape(word))),
            None => return Err(String::from("`token_type` is missing")),
        }
        let scope = match text("scope")? {
            None | Some("") => None,
            Some(scope) => Some(Scopes::parse(scope).map_err(|_| "`scope` is malformed")?),
        };
        Ok(Tokens {
            access_token,
            expires_in: members.get("expires_in").and_then(lifetime),
            refresh_token: secret("refresh_token")?,
            scope,
            id_token: secret("id_token")?,
            wants_device: members.get("trusted_device").is_some_and(|wish| wish == "required"),
        })
    };
    match read() {
        Ok(tokens) => Outcome::Granted(tokens),
        Err(why) => odd(&why),
    }
}

/// `expires_in` as providers really send it: an integer, a float, a text of digits. What is not a positive
/// number says nothing.
fn lifetime(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_u64().map(|_| LONGEST))
            .or_else(|| floor(number.as_f64()?))?,
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().unwrap_or(LONGEST)
        }
        _ => return None,
    };
    (seconds > 0).then_some(seconds.min(LONGEST))
}

fn floor(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the caller clamps")]
    seconds.is_finite().then_some(seconds as i64)
}

/// Error answers (RFC 6749 §5.2). Their words are untrusted text.
fn error_answer(reply: &Reply, status: u16) -> Outcome {
    #[derive(serde::Deserialize)]
    struct Wire {
        error: String,
        error_description: Option<Value>,
    }
    let Ok(wire) = json::strict::<Wire>(&reply.body) else {
        return refused(format!("the provider answered {status} without an OAuth error"));
    };
    let well_formed = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let error = Some(wire.error.as_str()).filter(|e| !e.is_empty() && e.bytes().all(well_formed));
    let mut why = match error {
        Some(word) => format!("the provider said `{}`", escape(word)),
        None => format!("the provider answered {status} with a malformed error"),
    };
    if let Some(Value::String(description)) = wire.error_description {
        why.push_str(": ");
        why.push_str(&escape(&description));
    }
    match error {
        Some("invalid_grant") => Outcome::InvalidGrant { why },
        Some("temporarily_unavailable" | "server_error") => Outcome::Later { why },
        _ => Outcome::Refused { why, error: error.map(String::from) },
    }
}

/// The one well-formed `refresh_token` at the top of an object, if there is exactly one, however wrong the
/// rest of it is.
fn salvage(body: &[u8]) -> Option<Secret> {
    struct Found;
    impl<'de> Visitor<'de> for Found {
        type Value = Vec<Value>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(key) = map.next_key::<String>()? {
                let value = map.next_value::<Value>()?;
                if key == "refresh_token" {
                    found.push(value);
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = reader.deserialize_map(Found).ok()?;
    // What is followed by something else is not the provider's answer but a part of something.
    reader.end().ok()?;
    match found.as_slice() {
        [Value::String(only)] => Secret::visible(only).ok(),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json; charset=utf-8".into()),
            retry_after: None,
            date: None,
            body: body.into(),
        }
    }

    fn tokens(body: &str) -> Tokens {
        match read(&reply(200, body)) {
            Outcome::Granted(tokens) => tokens,
            other => panic!("{other:?}"),
        }
    }

    fn odd(reply: &Reply) -> (String, Option<String>) {
        match read(reply) {
            Outcome::Odd { why, refresh_token } => (why, refresh_token.map(|t| t.expose().into())),
            other => panic!("{other:?}"),
        }
    }

    /// RFC 6749 §5.1, its own example.
    #[test]
    fn the_example_of_the_rfc() {
        let t = tokens(
            r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,
                "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}"#,
        );
        assert_eq!(t.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
        assert_eq!(t.expires_in, Some(3600));
        assert!(t.refresh_token.is_some() && t.scope.is_none() && !t.wants_device);
        let wish = r#"{"access_token":"a","token_type":"Bearer","trusted_device":"required"}"#;
        assert!(tokens(wish).wants_device);
    }

    /// Every way providers have written a lifetime.
    #[test]
    fn lifetimes_are_read_or_say_nothing() {
        for (text, seconds) in [
            ("3600", Some(3600)),
            ("3599.9", Some(3599)),
            ("\"7200\"", Some(7200)),
            ("0", None),
            ("-5", None),
            ("-0.5", None),
            ("null", None),
            ("\"soon\"", None),
            ("[1]", None),
            ("1e300", Some(LONGEST)),
            ("18446744073709551615", Some(LONGEST)),
            ("99999999999999999999999", Some(LONGEST)),
        ] {
            let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{text}}}"#);
            assert_eq!(tokens(&body).expires_in, seconds, "{text}");
        }
        assert_eq!(tokens(r#"{"access_token":"a","token_type":"BEARER"}"#).expires_in, None);
    }

    /// RFC 6749 §7.1: an unknown token type must not be used. But what was rotated was rotated.
    #[test]
    fn an_odd_success_still_gives_its_refresh_token() {
        let body = r#"{"access_token":"a","token_type":"mac","refresh_token":"next"}"#;
        assert_eq!(odd(&reply(200, body)), ("`token_type` is `mac`, not Bearer".into(), Some("next".into())));
        let html = Reply { content_type: Some("text/html".into()), ..reply(200, body) };
        assert_eq!(odd(&html).1.as_deref(), Some("next"));
        let twice = reply(200, r#"{"access_token":"a","access_token":"b","refresh_token":"next"}"#);
        assert_eq!(odd(&twice), ("the answer names a member twice".into(), Some("next".into())));
        let two = reply(200, r#"{"refresh_token":"x","refresh_token":"y"}"#);
        assert_eq!(odd(&two).1, None, "nobody knows which one is right");
        let injected =
            reply(200, r#"{"access_token":"a\r\nX: y","token_type":"bearer","refresh_token":"n"}"#);
        assert_eq!(odd(&injected).0, "`access_token` has a line break inside");
        assert_eq!(odd(&reply(200, "<html>")).1, None);
        let followed = reply(200, "{\"refresh_token\":\"next\"}\u{4}");
        assert_eq!(odd(&followed), ("the answer is not JSON".into(), None), "found by the fuzzer");
    }

    /// Only `invalid_grant` is final.
    #[test]
    fn refusals_are_sorted() {
        let kind = |status, body: &str| match read(&reply(status, body)) {
            Outcome::InvalidGrant { .. } => "final",
            Outcome::Refused { .. } => "refused",
            Outcome::Later { .. } => "later",
            Outcome::Granted(_) | Outcome::Odd { .. } => "granted",
        };
        assert_eq!(kind(400, r#"{"error":"invalid_grant"}"#), "final");
        assert_eq!(kind(401, r#"{"error":"invalid_client"}"#), "refused");
        assert_eq!(kind(400, "<html>"), "refused");
        assert_eq!(kind(403, r#"{"error":"invalid_grant","error":"x"}"#), "refused");
        assert_eq!(kind(307, ""), "refused");
        assert_eq!(kind(429, r#"{"error":"invalid_grant"}"#), "later");
        assert_eq!(kind(503, "<html>"), "later");
    }

    #[test]
    fn the_providers_words_are_escaped() {
        let body = "{\"error\":\"invalid_grant\",\"error_description\":\"\\u001b[31mred\\u202e\"}";
        let Outcome::InvalidGrant { why } = read(&reply(400, body)) else { panic!("final") };
        assert_eq!(why, "the provider said `invalid_grant`: \\u{1b}[31mred\\u{202e}");
    }

    /// RFC 9110 §10.2.3: seconds or a date; a date is measured by the clock it came with.
    #[test]
    fn retry_after_in_both_forms() {
        let now = Timestamp(784_111_700);
        let with = |text: &str| Reply { retry_after: Some(text.into()), ..reply(429, "") };
        assert_eq!(with("120").retry_after(now, 900), Some(120));
        assert_eq!(with("99999999999999999999").retry_after(now, 900), Some(900));
        assert_eq!(with("Sun, 06 Nov 1994 08:49:37 GMT").retry_after(now, 900), Some(77));
        let dated = Reply {
            date: Some("Sun, 06 Nov 1994 08:49:07 GMT".into()),
            ..with("Sun, 06 Nov 1994 08:49:37 GMT")
        };
        assert_eq!(dated.retry_after(now, 900), Some(30));
        assert_eq!(with("soon").retry_after(now, 900), None);
        assert_eq!(with("-5").retry_after(now, 900), None);
    }
}
