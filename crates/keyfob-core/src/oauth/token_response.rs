//! The only parser of token endpoint responses (RFC 6749 §5). Its order is: rescue, commit, judge.
//!
//! Responses are untrusted: nothing is used before its type, members and characters have been checked, and no text of
//! a response reaches an error unescaped. But a rotated refresh token is the only one that will work from now on,
//! whatever else the response contains. So [`read`] looks for it first, and [`Answer::open`] returns it before, and
//! together with, the meaning of the rest.

use alloc::{format, string::String, vec::Vec};

use serde_json::Value;

use super::{
    members::{End, Member, Members},
    refusal::{Refusal, Weight, refusal},
    reply::Reply,
};
use crate::{Secret, contract::settings::Scopes};

/// An answer of the token endpoint that has been read and not been opened.
#[derive(Debug)]
#[must_use = "a rotated refresh token may be in it"]
pub struct Answer {
    rotated: Option<Secret>,
    verdict: Verdict,
}

impl Answer {
    /// The refresh token that came with it, if exactly one well-formed one did, and what the answer means. The first
    /// is to be kept whatever the second says: it is the one the provider now expects. `None`: the old one stays good
    /// (RFC 6749 §6), unless the verdict is [`Verdict::Unknown`].
    pub fn open(self) -> (Option<Secret>, Verdict) {
        (self.rotated, self.verdict)
    }
}

/// A granted access token (RFC 6749 §5.1). The refresh token beside it is not in here: see [`Answer::open`].
#[derive(Debug)]
pub struct Tokens {
    /// The access token, of type Bearer.
    pub access_token: Secret,
    /// Lifetime in seconds; 0 is one that has ended already. `None` when the provider said nothing usable: nothing,
    /// or no number at all.
    pub expires_in: Option<i64>,
    /// The granted scope.
    pub scope: GrantedScope,
    /// Whether it is an access token, as far as the answer to an exchange says what it has issued (RFC 8693 §2.2.1).
    pub is_access_token: bool,
    /// The OpenID Connect ID token, unread.
    pub id_token: Option<Secret>,
    /// Whether the provider wants this machine to be a trusted device (`"trusted_device":"required"`).
    pub wants_device: bool,
}

/// What an answer says of the granted scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedScope {
    /// Nothing: it is that of the request (RFC 6749 §5.1).
    AsAsked,
    /// This.
    Named(Scopes),
    /// Something that cannot be read. It may be more than was asked for.
    Unreadable,
}

impl GrantedScope {
    /// What it names, if that can be read.
    #[must_use]
    pub fn named(&self) -> Option<&Scopes> {
        match self {
            Self::Named(scopes) => Some(scopes),
            Self::AsAsked | Self::Unreadable => None,
        }
    }
}

/// What an answer means, apart from the refresh token in it.
#[derive(Debug)]
pub enum Verdict {
    /// Tokens.
    Granted(Tokens),
    /// A success whose access token must not be used.
    Odd {
        /// What is odd about it.
        why: String,
    },
    /// A refusal. Whether it says something about the refresh token depends on what was asked:
    /// [`Refusal::asks_for_a_person`].
    Refused(Refusal),
    /// Ask again later, everything is kept: the provider says so, or the answer is not one of a token endpoint.
    Later(Refusal),
    /// The provider may have done what was asked, and its answer was lost on the way.
    Unknown(Refusal),
}

impl Verdict {
    /// The provider's error code, whatever it counts as.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Refused(said) | Self::Later(said) | Self::Unknown(said) => said.word.as_deref(),
            Self::Granted(_) | Self::Odd { .. } => None,
        }
    }
}

/// An access token (RFC 8693 §3).
pub(super) const TYPE_ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A JWT (RFC 8693 §3).
pub(super) const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A hundred years: beyond it a lifetime is a mistake, but not one to fail for.
const LONGEST: i64 = 100 * 365 * 24 * 3600;
/// No access token is longer. What is bounded here can be read again when it has been written.
const LONGEST_TOKEN: usize = 256 * 1024;

/// Reads an answer of the token endpoint.
pub fn read(reply: &Reply) -> Answer {
    let members = if reply.is_form() {
        Some(Members::of_form(&reply.body, reply.cut.is_some()))
    } else {
        // Whatever it calls itself: a token that is in it is in it.
        Members::of_json(&reply.body)
    };
    let rotated = members.as_ref().and_then(Members::rotated);
    // A type that is not named is judged by what it is.
    let typed = reply.is_json() || reply.is_form() || reply.essence().is_empty();
    let verdict = judge(reply, members.filter(|_| typed));
    Answer { rotated, verdict }
}

fn judge(reply: &Reply, members: Option<Members<'_>>) -> Verdict {
    let status = reply.status;
    let said = |why| Refusal { why, word: None, status };
    // An error code that may be incomplete decides nothing.
    let whole = members.as_ref().filter(|members| members.end() == End::Whole);
    if let Some(refusal) = whole.and_then(|members| refusal(members, reply)) {
        return match refusal.weight() {
            Weight::Refused => Verdict::Refused(refusal),
            Weight::Later => Verdict::Later(refusal),
            Weight::Unknown => Verdict::Unknown(refusal),
        };
    }
    match status {
        // A gateway waited for the provider and gave up: the outcome of the request is unknown (RFC 9110 §15.6.3,
        // §15.6.5; 520 and 524 are those of the largest gateway).
        408 | 502 | 504 | 520 | 524 => {
            return Verdict::Unknown(said(format!("the provider answered {status}")));
        }
        425 | 429 | 500..=599 => return Verdict::Later(said(format!("the provider answered {status}"))),
        300..=399 => {
            let why = format!("the provider answered {status} (a redirect), which is not followed");
            return Verdict::Later(said(why));
        }
        _ => {}
    }
    let Some(members) = members else {
        let what = match (&reply.cut, &reply.content_type) {
            (Some(why), _) => return Verdict::Unknown(said(why.clone())),
            _ if reply.body.trim_ascii().is_empty() => "nothing".into(),
            (None, Some(kind)) if !reply.is_json() => format!("`{}`", reply.quote(kind)),
            (None, _) => "something else".into(),
        };
        let why = format!("{what} came with status {status}, not an answer of a token endpoint");
        return Verdict::Later(said(why));
    };
    match members.end() {
        End::Whole => {}
        End::Cut => {
            let why = reply.cut.clone().unwrap_or_else(|| "the answer ends in the middle".into());
            return Verdict::Unknown(said(why));
        }
        End::Broken { .. } => return Verdict::Unknown(said("the answer is not JSON".into())),
    }
    if !(200..=299).contains(&status) {
        return Verdict::Refused(said(format!("the provider answered {status} without an OAuth error")));
    }
    if members.hides_a_rotated_one() {
        return Verdict::Unknown(said("`refresh_token` in the answer cannot be read".into()));
    }
    match granted(&members, reply) {
        Ok(tokens) => Verdict::Granted(tokens),
        Err(why) => Verdict::Odd { why },
    }
}

/// The tokens of a success. What is not needed is never fatal by its type.
fn granted(members: &Members<'_>, reply: &Reply) -> Result<Tokens, String> {
    let needed = |name: &str| match members.get(name) {
        Member::One(Value::String(text)) if !text.is_empty() => Ok(text),
        Member::Absent | Member::One(Value::String(_)) => Err(format!("`{name}` is missing")),
        Member::One(_) => Err(format!("`{name}` is not a text")),
        Member::Unreadable(why) => Err(format!("`{name}` {why}")),
    };
    let access_token = needed("access_token")?;
    if access_token.len() > LONGEST_TOKEN {
        return Err(format!("`access_token` is longer than {LONGEST_TOKEN} characters"));
    }
    let access_token = Secret::visible(&access_token).map_err(|why| format!("`access_token` {why}"))?;
    // RFC 6749 §7.1: one of an unknown type must not be used.
    let kind = needed("token_type")?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(format!("`token_type` is `{}`, not Bearer", reply.quote(&kind)));
    }
    let other = |name| match members.get(name) {
        Member::One(value) => Some(value),
        _ => None,
    };
    Ok(Tokens {
        access_token,
        expires_in: other("expires_in").as_ref().and_then(lifetime),
        scope: match members.get("scope") {
            Member::Absent => GrantedScope::AsAsked,
            Member::One(value) => scope(&value, reply).map_or(GrantedScope::Unreadable, GrantedScope::Named),
            Member::Unreadable(_) => GrantedScope::Unreadable,
        },
        is_access_token: match members.get("issued_token_type") {
            Member::Absent => true,
            Member::One(Value::String(kind)) => [TYPE_ACCESS_TOKEN, TYPE_JWT].contains(&&*kind),
            Member::One(_) | Member::Unreadable(_) => false,
        },
        id_token: match other("id_token") {
            Some(Value::String(text)) => Secret::visible(&text).ok(),
            _ => None,
        },
        wants_device: other("trusted_device").is_some_and(|wish| wish == "required"),
    })
}

/// `expires_in` as providers really send it: an integer, a float, a text of either. What has ended already is 0; what
/// is no number says nothing.
fn lifetime(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_u64().map(|_| LONGEST))
            .or_else(|| floor(number.as_f64()?))?,
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| floor(text.parse().ok()?))?
        }
        _ => return None,
    };
    Some(seconds.clamp(0, LONGEST))
}

fn floor(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the caller clamps")]
    seconds.is_finite().then_some(seconds as i64)
}

/// `scope` as a text (RFC 6749 §3.3), with commas for blanks, or as a list of texts.
fn scope(value: &Value, reply: &Reply) -> Option<Scopes> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" "),
        _ => return None,
    };
    Scopes::granted(&text).filter(|_| !reply.sent.is_in(&text))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;
    use crate::{
        ProviderTime, Timestamp,
        oauth::refusal::{A_PERSON, NOT_NOW},
    };

    fn reply(status: u16, body: impl AsRef<[u8]>) -> Reply {
        Reply {
            status,
            content_type: Some("application/json; charset=utf-8".into()),
            body: body.as_ref().into(),
            ..Reply::default()
        }
    }

    fn form(status: u16, body: &str) -> Reply {
        Reply { content_type: Some("application/x-www-form-urlencoded".into()), ..reply(status, body) }
    }

    /// The rotated token and what the verdict is called, with its reason.
    fn opened(reply: &Reply) -> (Option<String>, &'static str, String) {
        let (rotated, verdict) = read(reply).open();
        let (kind, why) = match verdict {
            Verdict::Granted(_) => ("granted", String::new()),
            Verdict::Odd { why } => ("odd", why),
            Verdict::Refused(said) => ("refused", said.why),
            Verdict::Later(said) => ("later", said.why),
            Verdict::Unknown(said) => ("unknown", said.why),
        };
        (rotated.map(|token| token.expose().into()), kind, why)
    }

    fn kind(reply: &Reply) -> &'static str {
        opened(reply).1
    }

    fn tokens(reply: &Reply) -> Tokens {
        match read(reply).open().1 {
            Verdict::Granted(tokens) => tokens,
            other => panic!("{other:?}"),
        }
    }

    const WHOLE: &str =
        r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"next"}"#;

    /// RFC 6749 §5.1, its own example.
    #[test]
    fn rfc_6749_example_response_is_read() {
        let example = reply(
            200,
            r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,
                "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}"#,
        );
        let t = tokens(&example);
        assert_eq!(t.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
        assert_eq!(t.expires_in, Some(3600));
        assert!(t.scope == GrantedScope::AsAsked && t.is_access_token && !t.wants_device);
        assert_eq!(opened(&example).0.as_deref(), Some("tGzv3JOkF0XG5Qx2TlKWIA"));
        let wish = r#"{"access_token":"a","token_type":"Bearer","trusted_device":"required"}"#;
        assert!(tokens(&reply(200, wish)).wants_device);
    }

    /// Any 2xx with a right body is a success, and a form is as right as JSON.
    #[test]
    fn every_2xx_and_both_forms() {
        for status in [200, 201, 202, 203, 206, 226] {
            assert_eq!(opened(&reply(status, WHOLE)), (Some("next".into()), "granted", String::new()));
        }
        let pairs = "access_token=a%2Bb&token_type=bearer&expires_in=60&scope=repo%2Cgist&refresh_token=next";
        let answer = form(200, pairs);
        let t = tokens(&answer);
        assert_eq!((t.access_token.expose(), t.expires_in), ("a+b", Some(60)));
        assert_eq!(format!("{}", t.scope.named().unwrap()), "repo gist");
        assert_eq!(opened(&answer).0.as_deref(), Some("next"));
        let cut = Reply { cut: Some("the line was cut".into()), ..answer };
        assert_eq!(
            opened(&cut),
            (None, "unknown", "the line was cut".into()),
            "its last value may be a part"
        );
        let further = form(200, &format!("{pairs}&x=y"));
        let cut = Reply { cut: Some("the line was cut".into()), ..further };
        assert_eq!((opened(&cut).0.as_deref(), kind(&cut)), (Some("next"), "unknown"));
        for named in ["application/json", "Application/JSON;charset=utf-8", "text/json", "application/x+json"]
        {
            let answer = Reply { content_type: Some(named.into()), ..reply(200, WHOLE) };
            assert_eq!(kind(&answer), "granted", "{named}");
        }
        let silent = Reply { content_type: None, ..reply(200, WHOLE) };
        assert_eq!(kind(&silent), "granted", "RFC 9110 §8.3: a type that is not named may be looked for");
    }

    /// Every way providers have written a lifetime. What ended at once is not what was never said.
    #[test]
    fn lifetimes_are_read_or_say_nothing() {
        for (text, seconds) in [
            ("3600", Some(3600)),
            ("3599.9", Some(3599)),
            ("\"7200\"", Some(7200)),
            ("\"7200.5\"", Some(7200)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("-0.5", Some(0)),
            ("\"-5\"", Some(0)),
            ("null", None),
            ("\"soon\"", None),
            ("\"\"", None),
            ("[1]", None),
            ("1e400", None),
            ("1e300", Some(LONGEST)),
            ("18446744073709551615", Some(LONGEST)),
            ("99999999999999999999999", Some(LONGEST)),
        ] {
            let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{text}}}"#);
            assert_eq!(tokens(&reply(200, body)).expires_in, seconds, "{text}");
        }
        assert_eq!(tokens(&reply(200, r#"{"access_token":"a","token_type":"BEARER"}"#)).expires_in, None);
    }

    /// A member that is not needed is never fatal: not its type, not its octets, not its depth.
    #[test]
    fn what_is_not_needed_spoils_nothing() {
        let odd: [&[u8]; 15] = [
            br#""account":{"name":"Ada \ud83d"}"#,
            b"\"account\":{\"name\":\"J\xfcrgen\"}",
            b"\"\xff\":1",
            b"\"note\":\"a\nb\"",
            br#""quota":1e400"#,
            br#""rate":NaN"#,
            br#""a":1,"a":2"#,
            br#""scope":["chat:read","user_read",7]"#,
            br#""scope":[]"#,
            br#""scope":{}"#,
            br#""scope":"a\"b""#,
            br#""expires_in":{}"#,
            br#""id_token":7"#,
            br#""error":null"#,
            br#""x":[{"refresh_token":"inside"},"}","\""]"#,
        ];
        let deep = format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200));
        for more in odd.into_iter().chain([deep.as_bytes()]) {
            for behind in [true, false] {
                let (first, last) = if behind { (WHOLE.as_bytes(), more) } else { (more, WHOLE.as_bytes()) };
                let body = if behind {
                    [&first[..first.len() - 1], b",", last, b"}"].concat()
                } else {
                    [b"{", first, b",", &last[1..]].concat()
                };
                let shown = String::from_utf8_lossy(&body).into_owned();
                assert_eq!(
                    opened(&reply(200, &body)),
                    (Some("next".into()), "granted", String::new()),
                    "{shown}"
                );
            }
        }
        let marked = [b"\xef\xbb\xbf \r\n", WHOLE.as_bytes(), b"\n"].concat();
        assert_eq!(opened(&reply(200, &marked)).1, "granted", "RFC 8259 §8.1");
        let list = WHOLE.replace("3600", r#"3600,"scope":["chat:read","user_read"]"#);
        assert_eq!(format!("{}", tokens(&reply(200, list)).scope.named().unwrap()), "chat:read user_read");
    }

    /// RFC 6749 §7.1: an unknown token type must not be used. But what was rotated was rotated.
    #[test]
    fn whatever_is_wrong_the_rotated_token_is_handed_over() {
        let next = Some(String::from("next"));
        for (from, to, kind, why) in [
            ("Bearer", "mac", "odd", "`token_type` is `mac`, not Bearer"),
            (r#""token_type":"Bearer","#, "", "odd", "`token_type` is missing"),
            (r#""access_token":"a","#, "", "odd", "`access_token` is missing"),
            (r#":"a""#, r#":["a"]"#, "odd", "`access_token` is not a text"),
            (r#":"a""#, r#":"a\r\nX: y""#, "odd", "`access_token` has a line break inside"),
            (r#":"a""#, r#":"a","access_token":"b""#, "odd", "`access_token` is there twice"),
            ("}", ",", "unknown", "the answer ends in the middle"),
            ("}", "", "unknown", "the answer ends in the middle"),
            ("}", "}\u{4}", "unknown", "the answer is not JSON"),
            (
                r#":3600"#,
                r#":3600,"error":"invalid_request""#,
                "refused",
                "the provider said `invalid_request`",
            ),
        ] {
            let body = WHOLE.replacen(from, to, 1);
            assert_eq!(opened(&reply(200, &body)), (next.clone(), kind, why.into()), "{body}");
        }
        for status in [301, 400, 403, 408, 429, 500, 504] {
            assert_eq!(opened(&reply(status, WHOLE)).0, next, "{status}");
        }
        let page = Reply { content_type: Some("text/html".into()), ..reply(200, WHOLE) };
        assert_eq!((opened(&page).0, kind(&page)), (next.clone(), "later"));
        let long = WHOLE.replace(":\"a\"", &format!(":\"{}\"", "x".repeat(LONGEST_TOKEN + 1)));
        assert_eq!((opened(&reply(200, &long)).0, kind(&reply(200, &long))), (next.clone(), "odd"));
        // Wherever the line breaks behind it, it is there; before its end, it is not known.
        let from = WHOLE.find("next").unwrap() + "next\"".len();
        for end in 0..WHOLE.len() {
            let part = Reply { cut: Some("the line was cut".into()), ..reply(200, &WHOLE[..end]) };
            let expected =
                (next.clone().filter(|_| end >= from), "unknown", String::from("the line was cut"));
            assert_eq!(opened(&part), expected, "cut at {end}");
        }
        let last_chunk = Reply { cut: Some("the line was cut".into()), ..reply(200, WHOLE) };
        assert_eq!(kind(&last_chunk), "granted", "an object says itself where it ends");
    }

    /// If it cannot be read, the old one must not be taken to be still good.
    #[test]
    fn a_rotated_token_that_cannot_be_read_is_an_unknown_outcome() {
        for token in [r#""x","refresh_token":"y""#, "7", "[\"x\"]", r#""a b""#, r#""\ud83d""#] {
            let body = WHOLE.replace(r#""next""#, token);
            assert_eq!(
                (opened(&reply(200, &body)).0, kind(&reply(200, &body))),
                (None, "unknown"),
                "{token}"
            );
        }
        let two = format!("{WHOLE}{WHOLE}");
        assert_eq!(opened(&reply(200, two)).0, None, "nobody knows which one is right");
        for silent in ["null", "\"\""] {
            let body = WHOLE.replace(r#""next""#, silent);
            assert_eq!(
                (opened(&reply(200, &body)).0, kind(&reply(200, &body))),
                (None, "granted"),
                "{silent}"
            );
        }
    }

    /// What cannot have come from a token endpoint says nothing about it.
    #[test]
    fn html_from_the_token_endpoint_is_not_a_response() {
        let page = |status, kind: Option<&str>, body: &str| Reply {
            content_type: kind.map(Into::into),
            ..reply(status, body)
        };
        for status in [200, 204, 302, 307, 400, 401, 403, 404, 429, 500, 503, 511] {
            for (named, body) in [
                (Some("text/html; charset=utf-8"), "<!doctype html><title>Back soon</title>"),
                (Some("text/plain"), ""),
                (None, ""),
                (Some("application/json"), ""),
                (Some("application/json"), "<html>"),
                (Some("text/html"), r#"{"error":"invalid_grant"}"#),
            ] {
                let (rotated, kind, why) = opened(&page(status, named, body));
                assert_eq!((rotated, kind), (None, "later"), "{status} {named:?} {body}: {why}");
            }
        }
        let (_, _, why) = opened(&page(200, Some("text/html"), "<html>"));
        assert_eq!(why, "`text/html` came with status 200, not an answer of a token endpoint");
        assert_eq!(kind(&reply(200, "{")), "unknown", "the beginning of one");
        assert_eq!(kind(&page(200, Some("text/html"), "{")), "later");
    }

    /// A gateway that gave up knows no more than a line that broke.
    #[test]
    fn a_gateway_that_gave_up_leaves_the_outcome_unknown() {
        for status in [408, 502, 504, 520, 524] {
            for body in ["", "<html>", r#"{"error":"bad_gateway"}"#] {
                assert_eq!(kind(&reply(status, body)), "unknown", "{status} {body}");
            }
            assert_eq!(kind(&reply(status, r#"{"error":"invalid_client"}"#)), "refused");
            assert_eq!(kind(&reply(status, r#"{"error":"temporarily_unavailable"}"#)), "later");
        }
        for status in [425, 429, 500, 501, 503] {
            assert_eq!(kind(&reply(status, r#"{"error":"too_many"}"#)), "later", "{status}");
        }
    }

    /// The words decide, not the status.
    #[test]
    fn token_error_codes_are_classified() {
        let of = |status, body: &str| match read(&reply(status, body)).open().1 {
            Verdict::Refused(said) if said.asks_for_a_person([]) => "a person",
            Verdict::Refused(_) => "refused",
            Verdict::Later(_) => "later",
            other => panic!("{other:?}"),
        };
        for status in [200, 400, 401, 403, 429, 500, 502] {
            for word in A_PERSON {
                assert_eq!(of(status, &format!(r#"{{"error":"{word}"}}"#)), "a person", "{status} {word}");
            }
            for word in NOT_NOW {
                assert_eq!(of(status, &format!(r#"{{"error":"{word}"}}"#)), "later", "{status} {word}");
            }
            assert_eq!(of(status, r#"{"error":"invalid_client"}"#), "refused");
        }
        assert_eq!(of(400, r#"{"error":"authorization_pending"}"#), "refused");
        assert_eq!(of(403, r#"{"error":"invalid_grant","error":"x"}"#), "refused");
        assert_eq!(of(400, r#"{"error":"invalid_grant\u0000"}"#), "refused");
        assert_eq!(of(400, r#"{"error":7}"#), "refused");
        assert_eq!(of(401, "{}"), "refused");
        assert_eq!(kind(&reply(400, r#"{"error":"invalid_grant"}x"#)), "unknown", "not its whole word");
        assert_eq!(kind(&form(400, "error=invalid_client&error_description=no")), "refused");
    }

    /// Some providers have their own error codes, and send them with their own statuses.
    #[test]
    fn a_provider_may_have_its_own_words() {
        let of = |status, body: &str, own: &[&'static str]| match read(&reply(status, body)).open().1 {
            Verdict::Refused(said) => said.asks_for_a_person(own.iter().copied()),
            other => panic!("{other:?}"),
        };
        let (slack, atlassian) =
            (r#"{"ok":false,"error":"invalid_refresh_token"}"#, r#"{"error":"unauthorized_client"}"#);
        assert!(of(200, slack, &["invalid_refresh_token"]) && !of(200, slack, &[]));
        assert!(of(403, atlassian, &["403 unauthorized_client"]));
        assert!(!of(401, atlassian, &["403 unauthorized_client"]));
        assert!(!of(400, r#"{"error":7}"#, &[""]));
    }

    /// The form of an API's errors rather than of OAuth's.
    #[test]
    fn an_error_may_be_an_object() {
        let body = r#"{"type":"error","error":{"type":"authentication_error","message":"no \u001b[31m"}}"#;
        let (_, kind, why) = opened(&reply(401, body));
        assert_eq!(
            (kind, why.as_str()),
            ("refused", "the provider said `authentication_error`: no \\u{1b}[31m")
        );
    }

    #[test]
    fn the_providers_words_are_escaped() {
        let body = "{\"error\":\"invalid_grant\",\"error_description\":\"\\u001b[31mred\\u202e\"}";
        assert_eq!(opened(&reply(400, body)).2, "the provider said `invalid_grant`: \\u{1b}[31mred\\u{202e}");
    }

    /// Hours after the request, where the machine slept; a clock that was set back meanwhile says nothing.
    #[test]
    fn what_is_granted_begins_when_it_was_asked_for() {
        let asked = |at| Reply { asked_at: at, ..Reply::default() };
        for (at, begins) in [(None, 9000), (Some(Timestamp(100)), 100), (Some(Timestamp(9500)), 9000)] {
            assert_eq!(asked(at).begins(Timestamp(9000)), Timestamp(begins));
        }
    }

    /// RFC 9110 §10.2.3: seconds or a date; a date is measured by the clock it came with.
    #[test]
    fn retry_after_in_both_forms() {
        let now = ProviderTime(784_111_700);
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

    /// What arrived is reported as what it is: nothing, another type, or a redirect.
    #[test]
    fn what_is_no_answer_is_told_as_what_it_is() {
        let page = |kind: Option<&str>, status, body: &str| {
            opened(&Reply { content_type: kind.map(Into::into), ..reply(status, body) })
        };
        let told = |found: (Option<String>, &'static str, String), kind: &str, words: &str| {
            assert!(found.1 == kind && found.2.contains(words), "{found:?}");
        };
        told(page(Some("text/html"), 200, " "), "later", "nothing came with status 200");
        told(page(Some("text/html"), 200, "<p>"), "later", "`text/html` came");
        told(page(Some("application/json"), 200, "<p>"), "later", "something else came");
        told(page(Some("text/html"), 302, "<p>"), "later", "302 (a redirect)");
        told(page(Some("application/json"), 429, "{}"), "later", "answered 429");
        told(page(Some("application/json"), 503, "{}"), "later", "answered 503");
    }

    #[test]
    fn needed_members_are_told_when_they_are_empty_or_long() {
        let body = |token: &str| alloc::format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
        assert_eq!(opened(&reply(200, body(""))).2, "`access_token` is missing");
        assert_eq!(kind(&reply(200, body(&"a".repeat(LONGEST_TOKEN)))), "granted");
        assert_eq!(kind(&reply(200, body(&"a".repeat(LONGEST_TOKEN + 1)))), "odd");
    }

    #[test]
    fn an_id_token_is_kept_unread() {
        let body = r#"{"access_token":"a","token_type":"Bearer","id_token":"h.c.s"}"#;
        assert!(tokens(&reply(200, body)).id_token.unwrap().same_as("h.c.s"));
    }

    /// An error that names nothing is none; one that is no error code is malformed.
    #[test]
    fn an_empty_error_is_none() {
        let body = WHOLE.replacen('{', r#"{"error":"","#, 1);
        assert_eq!(kind(&reply(200, body)), "granted");
        let words = opened(&reply(400, r#"{"error":"a\"b","error_description":"x"}"#)).2;
        assert!(words.contains("malformed error: x"), "{words}");
    }
}
