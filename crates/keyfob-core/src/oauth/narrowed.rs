//! Whether what a provider gave for a login's access token is good for less, as it was asked to make it. A provider ignores what it does
//! not know of a request (RFC 6749 §3.2), so an answer that looks like a success may hold as much as the login.

use alloc::{string::String, vec::Vec};

use serde_json::{Map, Value};

use super::{
    federation::Federation,
    identity_token::{self, IdentityToken},
    token_response::{GrantedScope, Tokens},
};
use crate::contract::settings::Scopes;

/// What is wrong with these tokens, if it can be seen. Of an access token that is no JWT nothing can be seen but what the answer says.
pub(super) fn fault(
    federation: &Federation,
    subject: &IdentityToken,
    tokens: &Tokens,
) -> Option<&'static str> {
    if !federation.narrows() {
        return None;
    }
    if is_same(subject, tokens) {
        return Some("the provider gave the login's own access token back");
    }
    if !tokens.is_access_token {
        return Some("the provider gave another kind of token than an access token");
    }
    let asked = &federation.scopes;
    match &tokens.scope {
        _ if asked.is_empty() => {}
        // RFC 6749 §5.1: what is not named is as it was asked for. What cannot be read is not that.
        GrantedScope::AsAsked => {}
        GrantedScope::Named(granted) if granted.iter().all(|scope| has(asked, scope)) => {}
        GrantedScope::Named(_) => return Some("the provider granted more scopes than it was asked for"),
        GrantedScope::Unreadable => return Some("it cannot be read which scopes the provider granted"),
    }
    let claims = identity_token::claims(&tokens.access_token).ok()?;
    if has_more_scopes(asked, &claims) {
        return Some("the token that the provider gave has more scopes than it was asked for");
    }
    is_for_others(federation, subject, &claims)
        .then_some("the token that the provider gave is for somebody else than it was asked for")
}

#[expect(clippy::disallowed_methods, reason = "compared with the other one here, and goes nowhere")]
fn is_same(subject: &IdentityToken, tokens: &Tokens) -> bool {
    subject.token().same_as(tokens.access_token.expose())
}

fn has(asked: &Scopes, scope: &str) -> bool {
    asked.iter().any(|asked| asked == scope)
}

/// By `scope` (RFC 9068 §2.2.3), or `scp`, as some providers call it; a list of them in either.
fn has_more_scopes(asked: &Scopes, claims: &Map<String, Value>) -> bool {
    let is_asked =
        |text: &str| text.split(' ').filter(|scope| !scope.is_empty()).all(|scope| has(asked, scope));
    let is_within = |claim: &Value| match claim {
        Value::String(text) => is_asked(text),
        Value::Array(list) => list.iter().all(|one| one.as_str().is_some_and(is_asked)),
        _ => false,
    };
    !asked.is_empty()
        && ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)).any(|claim| !is_within(claim))
}

/// By `aud` (RFC 7519 §4.1.3), where an audience or a resource was asked for. A provider may give a resource another name in a token
/// (RFC 8707 §2): then it is for others if one of those is there for whom the login's own token is.
fn is_for_others(federation: &Federation, subject: &IdentityToken, claims: &Map<String, Value>) -> bool {
    let (audience, resource) = (&federation.audience, &federation.resource);
    if audience.is_empty() && resource.is_empty() {
        return false;
    }
    let all: Vec<Option<&str>> = match claims.get("aud") {
        None | Some(Value::Null) => return false,
        Some(Value::Array(all)) => all.iter().map(Value::as_str).collect(),
        Some(one) => Vec::from([one.as_str()]),
    };
    let own = subject.claims().map(|claims| &*claims.audience).unwrap_or_default();
    let is_another = |name: Option<&str>| {
        let Some(name) = name else { return true };
        let is_asked = audience.iter().chain(resource).any(|asked| asked == name);
        !is_asked && (resource.is_empty() || own.iter().any(|own| own == name))
    };
    all.into_iter().any(is_another)
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;
    use crate::oauth::{
        federation::Narrowing,
        identity_token::tests::jwt,
        reply::Reply,
        token_response::{Verdict, read},
    };

    const LOGIN: &str = r#"{"scope":"read write","aud":["https://api","account"]}"#;

    /// What is wrong with this access token, and these members beside it, where a login's was to be narrowed.
    fn found(narrowing: Narrowing, token: &str, members: &str) -> Option<&'static str> {
        let federation = Federation::narrowing("work", narrowing);
        let subject = IdentityToken::read(&jwt(LOGIN), true).expect("a token");
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"{members}}}"#);
        let reply = Reply {
            status: 200,
            content_type: Some("application/json".into()),
            body: body.into_bytes(),
            ..Reply::default()
        };
        match read(&reply).open().1 {
            Verdict::Granted(tokens) => fault(&federation, &subject, &tokens),
            other => panic!("{other:?}"),
        }
    }

    fn to(scopes: &[&str], audience: &[&str], resource: &[&str]) -> Narrowing {
        let all = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Narrowing::read(&all(scopes), all(audience), all(resource)).expect("one").expect("it narrows")
    }

    /// RFC 6749 §3.2: a provider that does not know `audience` or `resource` gives as much as before.
    #[test]
    fn the_logins_own_token_is_not_a_narrowed_one() {
        for narrowing in [to(&["read"], &[], &[]), to(&[], &["a"], &[]), to(&[], &[], &["https://api/a"])] {
            assert!(found(narrowing.clone(), "another", "").is_none());
            let own = found(narrowing, &jwt(LOGIN), "");
            assert_eq!(own, Some("the provider gave the login's own access token back"));
        }
    }

    /// RFC 8693 §2.2.1.
    #[test]
    fn what_is_no_access_token_is_not_a_narrowed_one() {
        let issued =
            |kind: &str| found(to(&["read"], &[], &[]), "t", &format!(r#","issued_token_type":{kind}"#));
        for right in ["access_token", "jwt"] {
            assert_eq!(issued(&format!(r#""urn:ietf:params:oauth:token-type:{right}""#)), None);
        }
        for wrong in [
            r#""urn:ietf:params:oauth:token-type:refresh_token""#,
            r#""""#,
            "7",
            r#""a","issued_token_type":"b""#,
        ] {
            assert!(issued(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_says_what_it_is_good_for_is_held_against_what_was_asked() {
        let of = |narrowing: Narrowing, claims: &str| found(narrowing, &jwt(claims), "").is_some();
        let scopes = || to(&["read", "list"], &[], &[]);
        for right in [
            r#"{"scope":"read"}"#,
            r#"{"scope":"list read"}"#,
            r#"{"scp":["read"]}"#,
            r#"{"scope":""}"#,
            r#"{"aud":"b"}"#,
        ] {
            assert!(!of(scopes(), right), "{right}");
        }
        for wrong in [
            r#"{"scope":"read write"}"#,
            r#"{"scope":"read","scp":["write"]}"#,
            r#"{"scope":7}"#,
            r#"{"scp":["read",7]}"#,
        ] {
            assert!(of(scopes(), wrong), "{wrong}");
        }
        let audience = || to(&[], &["a", "b"], &[]);
        for right in [r#"{"aud":"a"}"#, r#"{"aud":["b","a"]}"#, r#"{"scope":"read write"}"#, "{}"] {
            assert!(!of(audience(), right), "{right}");
        }
        for wrong in
            [r#"{"aud":"account"}"#, r#"{"aud":["a","account"]}"#, r#"{"aud":["a",7]}"#, r#"{"aud":7}"#]
        {
            assert!(of(audience(), wrong), "{wrong}");
        }
        // A resource may be called otherwise, but not as the whole is.
        let resource = || to(&[], &["a"], &["https://api/r"]);
        for right in [r#"{"aud":"https://api/r"}"#, r#"{"aud":["reports","a"]}"#] {
            assert!(!of(resource(), right), "{right}");
        }
        assert!(of(resource(), r#"{"aud":["reports","account"]}"#));
    }
}
