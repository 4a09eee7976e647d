//! What the answer to an exchange of an identity token means (RFC 6749 §5, RFC 8693 §2.2).

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{
    Cause, Error, Id, ProviderTime, Record, Timestamp,
    login::refresh::{self, After},
    oauth::{
        federation::{Federation, Identity, source},
        identity_token::IdentityToken,
        narrowed,
        refusal::Refusal,
        reply::Reply,
        token_response::{self, Verdict},
    },
};

/// What the answer to an exchange makes of its record. No refusal is final, and none of them means that a person has to
/// sign in: a rule or an issuer is mended by whoever runs the provider.
#[must_use]
pub fn answered(
    mut record: Record,
    federation: &Federation,
    token: &IdentityToken,
    reply: &Reply,
    now: Timestamp,
    kernel: Option<String>,
) -> After {
    let what = failed_at(&record);
    // RFC 7523 has no refresh token, and one of RFC 8693 §2.2.1 would outlive the identity it was got for.
    let verdict = token_response::read(reply).open().1;
    let fault = match &verdict {
        Verdict::Granted(tokens) => narrowed::fault(federation, token, tokens),
        _ => None,
    };
    let (id, said) = match (verdict, fault) {
        (_, Some(why)) => {
            // What was to be narrowed is not: nobody gets it.
            note_asked(&mut record, token);
            (Id::AnswerInvalid, Refusal { why: why.to_string(), word: None, status: reply.status })
        }
        (Verdict::Granted(mut tokens), None) => {
            tokens.expires_in = tokens.expires_in.or(Some(refresh::ASSUMED));
            record.scopes = federation.scopes.clone();
            let why = refresh::granted(&mut record, tokens, None, reply, now, kernel);
            let error = why.map(|why| Error::new(Id::AnswerInvalid, what, why));
            return After { record, error };
        }
        (Verdict::Odd { why }, None) => {
            note_asked(&mut record, token);
            (Id::AnswerInvalid, Refusal { why, word: None, status: reply.status })
        }
        (Verdict::Refused(said), None) => {
            // It was not exchanged: where the rule or the clock is mended, it is as good as before.
            if came_again(&said) {
                note_asked(&mut record, token);
            } else {
                forget(&mut record, token);
            }
            (Id::FederationRefused, said)
        }
        (Verdict::Later(said), None) => {
            if matches!(said.status, 425 | 429 | 503) {
                forget(&mut record, token);
            } else {
                note_asked(&mut record, token);
            }
            (Id::Unreachable, said)
        }
        (Verdict::Unknown(said), None) => {
            note_asked(&mut record, token);
            (Id::OutcomeUnknown, said)
        }
    };
    refresh::mend_clock(&mut record, reply, now, kernel.as_deref());
    let at = record.ahead(kernel.as_deref()).theirs(now);
    // A provider that does not narrow does not learn to by being asked again, and each time there is another token that is good for all.
    let asked = match fault {
        Some(_) => Some(refresh::LONGEST_COOLDOWN),
        None => reply.retry_after(at, refresh::LONGEST_COOLDOWN),
    };
    let (id, why, cause) = match id {
        _ if fault.is_some() => {
            (id, said.why, Some(Cause::NotNarrowed { environment: record.environment.clone() }))
        }
        Id::FederationRefused if token.ended_to_the_second(at) => {
            let why = format!("the identity token has expired, and the provider says: {}", said.why);
            (Id::IdentityTokenExpired, why, Some(Cause::IdentityExpired { source: source(federation) }))
        }
        Id::FederationRefused if came_again(&said) => {
            (Id::IdentityTokenUsed, said.why, Some(Cause::IdentityUsed { source: source(federation) }))
        }
        Id::FederationRefused => (id, said.why.clone(), Some(refusal_of(&record, federation, token, &said))),
        Id::OutcomeUnknown if !federation.is_single_use(token) => {
            (Id::Unreachable, said.why, Some(Cause::Uncertain {}))
        }
        Id::OutcomeUnknown => {
            let why = format!(
                "{}: the identity token may have been exchanged, and the next one is needed",
                said.why
            );
            (id, why, Some(Cause::IdentityUncertain { source: source(federation) }))
        }
        id => (id, said.why.clone(), said.busy(asked)),
    };
    let after = failed(record, id, asked, &why, at);
    After { error: after.error.map(|error| error.maybe_because(cause)), ..after }
}

/// Whether the provider says that this very token was exchanged before. The vendor's word for it.
fn came_again(said: &Refusal) -> bool {
    said.word.as_deref() == Some("jti_reused") || said.why.contains("jti_reused")
}

fn note_asked(record: &mut Record, token: &IdentityToken) {
    if let Some(federated) = &mut record.federated {
        federated.note_asked(token);
    }
}

fn forget(record: &mut Record, token: &IdentityToken) {
    if let Some(federated) = &mut record.federated {
        federated.take_back(token);
    }
}

/// Whether this answer may mean that the login's access token is accepted no more, whatever its record says of its end (RFC 8693 §2.2.2:
/// `invalid_request`): then one that is renewed may be exchanged.
#[must_use]
pub fn doubts_the_login(federation: &Federation, reply: &Reply) -> bool {
    let words = ["invalid_request", "invalid_token", "invalid_grant"];
    federation.narrows()
        && matches!(token_response::read(reply).open().1, Verdict::Refused(said)
            if said.word.as_deref().is_some_and(|word| words.contains(&word)))
}

/// Why the exchange was refused, for programs that advise a person.
fn refusal_of(record: &Record, federation: &Federation, token: &IdentityToken, said: &Refusal) -> Cause {
    let (word, environment) = (said.word.as_deref(), record.environment.clone());
    if let Identity::Login { profile } = &federation.identity {
        match word {
            // RFC 6749 §5.2 and RFC 8707 §2: it does not do that, or not for this client.
            Some("unsupported_grant_type" | "unauthorized_client" | "invalid_target" | "access_denied") => {
                return Cause::NotNarrowed { environment };
            }
            Some("invalid_scope") => {
                return Cause::DoorScope { scopes: federation.scopes.to_string(), environment };
            }
            Some("invalid_client") => {}
            _ => return Cause::LoginNotExchanged { profile: profile.clone(), environment },
        }
    }
    match word {
        Some("invalid_client" | "unauthorized_client") => Cause::ClientUnknown {
            environment,
            client: record.client_id.as_str().into(),
            secret: record.secret_at.is_some(),
        },
        Some("invalid_scope") => Cause::ScopeUnknown { scopes: federation.scopes.to_string() },
        _ => {
            let claims = token.claims().cloned().unwrap_or_default();
            let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            Cause::IdentityNotAccepted {
                issuer: or(claims.issuer),
                subject: or(claims.subject),
                audience: if claims.audience.is_empty() { "-".into() } else { claims.audience.join(" ") },
            }
        }
    }
}

/// No token, for this reason: it is recorded for the next processes, so that not each of them runs into it.
#[must_use]
pub fn failed(mut record: Record, id: Id, asked: Option<i64>, why: &str, now: ProviderTime) -> After {
    refresh::cool_down(&mut record, now, asked, why);
    let what = failed_at(&record);
    After { record, error: Some(Error::new(id, what, why)) }
}

/// What failed.
#[must_use]
pub fn failed_at(record: &Record) -> String {
    let narrows = record.federated.as_ref().is_some_and(|federated| federated.login.is_some());
    let what = if narrows {
        "the login's access token was not narrowed"
    } else {
        "the identity token of this machine was not exchanged"
    };
    format!("{what} at {}", record.issuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::settings::Scopes,
        login::{federated::Federated, record::tests::record},
        oauth::{federation::Narrowing, identity_token::tests::jwt},
    };
    use alloc::vec::Vec;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn token() -> IdentityToken {
        let claims = r#"{"iss":"i","sub":"s","aud":"a","exp":1000300,"jti":"1"}"#;
        IdentityToken::read(&jwt(claims), false).expect("a token")
    }

    fn reply(status: u16, body: &str) -> Reply {
        let content_type = Some("application/json".into());
        Reply { status, content_type, body: Vec::from(body), ..Reply::default() }
    }

    /// The record after this answer to an exchange, and whether its token may be presented again.
    fn after(status: u16, body: &str, now: Timestamp) -> (After, bool) {
        let federation = Federation::of_vendor(Identity::Surroundings);
        let token = token();
        let mut before = record(NOW.0, -1);
        before.refresh_token = None;
        before.federated = Some(Federated::default());
        let generation = before.generation.number();
        before.federated.get_or_insert_default().present(&token, true, generation, NOW);
        let after = answered(before, &federation, &token, &reply(status, body), now, None);
        let known = after.record.federated.clone().unwrap_or_default();
        let spent = known.was_presented(&token, after.record.generation.number(), false);
        (after, !spent)
    }

    /// The contract: an `error` that is an object is read by its type and message; no word means that a person signs in.
    #[test]
    fn no_refusal_of_an_exchange_asks_for_a_person() {
        for (status, body, id, again) in [
            (
                401,
                r#"{"error":{"type":"authentication_error","message":"no rule"}}"#,
                Id::FederationRefused,
                true,
            ),
            (400, r#"{"error":"invalid_grant"}"#, Id::FederationRefused, true),
            (400, r#"{"error":"login_required"}"#, Id::FederationRefused, true),
            (401, r#"{"error":{"type":"jti_reused","message":"again"}}"#, Id::IdentityTokenUsed, false),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"jti_reused"}"#,
                Id::IdentityTokenUsed,
                false,
            ),
            (429, r#"{"error":"rate_limited"}"#, Id::Unreachable, true),
            (503, "", Id::Unreachable, true),
            (500, "", Id::Unreachable, false),
            (504, "", Id::OutcomeUnknown, false),
            (200, r#"{"access_token":"a","token_type":"mac"}"#, Id::AnswerInvalid, false),
        ] {
            let (after, may_again) = after(status, body, NOW);
            let error = after.error.unwrap_or_else(|| panic!("{body}"));
            assert_eq!((error.id(), may_again), (id, again), "{status} {body}: {error}");
            assert_ne!(error.exit_code(), 4, "{body}");
            assert!(after.record.cooldown.is_some(), "the next processes wait: {body}");
        }
    }

    #[test]
    fn what_was_exchanged_is_spent_and_its_token_lives_as_said() {
        let body = r#"{"access_token":"a4","token_type":"Bearer","expires_in":600,"refresh_token":"r4"}"#;
        let (after, again) = after(200, body, NOW);
        assert!(after.error.is_none() && !again);
        assert_eq!(after.record.expires_at, Some(ProviderTime(NOW.0 + 600)));
        assert!(after.record.refresh_token.is_none(), "it would outlive the identity");
    }

    /// A client that signs and was refused learns the provider's clock, and by that clock it is said whether a token has ended.
    #[test]
    fn a_refusal_tells_the_providers_clock() {
        use crate::oauth::client_auth::{Place, Proof, SecretAt};
        let refused = |fast: i64, body: &str| {
            let mut before = record(NOW.0, -1);
            before.refresh_token = None;
            before.federated = Some(Federated::default());
            let at = Place::Command("c".into());
            before.secret_at = Some(SecretAt { at, auth: Proof::PrivateKeyJwt, key_id: None });
            let now = NOW.plus(fast);
            let reply = Reply {
                date: Some("Mon, 12 Jan 1970 13:46:40 GMT".into()),
                asked_at: Some(now),
                ..reply(401, body)
            };
            let federation = Federation::of_vendor(Identity::Surroundings);
            answered(before, &federation, &token(), &reply, now, Some("k".into()))
        };
        let after = refused(360, r#"{"error":"invalid_client"}"#);
        assert_eq!(after.record.ahead(Some("k")).seconds(), -360);
        assert_eq!(after.error.expect("refused").id(), Id::FederationRefused, "the token has not ended");
        assert_eq!(after.record.cooldown.expect("the next processes wait").since, ProviderTime(NOW.0));
        let after = refused(0, r#"{"error":"invalid_client"}"#);
        assert!(after.record.clocks.is_empty());
    }

    #[test]
    fn a_refused_token_that_has_ended_is_told_so() {
        let (after, _) = after(400, r#"{"error":"invalid_grant"}"#, Timestamp(1_000_301));
        assert_eq!(after.error.expect("refused").id(), Id::IdentityTokenExpired);
    }

    /// The record and the error after an answer to a login's access token that was to be narrowed to one scope.
    fn narrowed(status: u16, body: &str) -> (Record, Option<Error>) {
        let scopes = Scopes::parse("read").expect("a scope");
        let federation = Federation::narrowing("work", Narrowing { scopes, ..Narrowing::default() });
        let token = IdentityToken::read("an-opaque-token", federation.takes_opaque()).expect("a token");
        let mut before = record(NOW.0, -1);
        (before.refresh_token, before.access_token) = (None, None);
        before.federated.get_or_insert_default().login = Some("07".into());
        let After { record, error } = answered(before, &federation, &token, &reply(status, body), NOW, None);
        (record, error)
    }

    /// RFC 8693 §2.2.1 and RFC 6749 §5.1: without a scope in the answer it is that of the request.
    #[test]
    fn a_token_that_was_not_narrowed_as_asked_is_not_taken() {
        let answer = |scope: &str| {
            format!(r#"{{"access_token":"narrow","token_type":"Bearer","expires_in":60{scope}}}"#)
        };
        for scope in ["", r#","scope":"read""#] {
            let (record, error) = narrowed(200, &answer(scope));
            assert!(error.is_none() && record.access_token.is_some(), "{scope}: {error:?}");
            assert_eq!(record.scopes.to_string(), "read");
        }
        let longest = format!(r#","scope":"{}""#, "a".repeat(64 * 1024 + 1));
        for wider in [
            r#","scope":"read write""#,
            r#","scope":"write""#,
            // What cannot be read is not what was asked for.
            r#","scope":"read","scope":"read write""#,
            r#","scope":7"#,
            r#","scope":{}"#,
            r#","scope":["read",7]"#,
            r#","scope":"read wr\"ite""#,
            r#","scope":"""#,
            &longest,
        ] {
            let (record, error) = narrowed(200, &answer(wider));
            let error = error.unwrap_or_else(|| panic!("{wider}"));
            assert_eq!(error.id(), Id::AnswerInvalid, "{wider}");
            assert!(matches!(error.cause(), Some(Cause::NotNarrowed { .. })), "{wider}: {error:?}");
            assert!(record.access_token.is_none(), "{wider}");
            // Nothing that passes by itself: it is not asked for another one every few seconds.
            let pause = record.cooldown.expect("a pause");
            assert_eq!(pause.until.since(pause.since), refresh::LONGEST_COOLDOWN, "{wider}");
        }
        // The login's own token is what it was, however the provider calls it.
        let own = r#"{"access_token":"an-opaque-token","token_type":"Bearer","expires_in":60}"#;
        let (record, error) = narrowed(200, own);
        assert_eq!(error.map(|error| error.id()), Some(Id::AnswerInvalid));
        assert!(record.access_token.is_none());
    }

    #[test]
    fn a_provider_without_token_exchange_is_told_as_that() {
        for word in ["unsupported_grant_type", "unauthorized_client", "invalid_target", "access_denied"] {
            let (_, error) = narrowed(400, &format!(r#"{{"error":"{word}"}}"#));
            let error = error.expect(word);
            assert_eq!(error.id(), Id::FederationRefused, "{word}");
            assert!(matches!(error.cause(), Some(Cause::NotNarrowed { .. })), "{word}: {error:?}");
            assert!(error.what().starts_with("the login's access token was not narrowed at "), "{error}");
        }
        let cause = |word: &str| {
            let (_, error) = narrowed(400, &format!(r#"{{"error":"{word}"}}"#));
            error.expect(word).cause().cloned()
        };
        let environment = || record(NOW.0, -1).environment;
        let scope = Cause::DoorScope { scopes: "read".into(), environment: environment() };
        assert_eq!(cause("invalid_scope"), Some(scope));
        assert!(matches!(cause("invalid_client"), Some(Cause::ClientUnknown { .. })));
        let login = Cause::LoginNotExchanged { profile: "work".into(), environment: environment() };
        for word in ["invalid_request", "invalid_token", "invalid_grant", "something_else"] {
            assert_eq!(cause(word), Some(login.clone()), "{word}");
        }
        let federation = Federation::narrowing("work", Narrowing::default());
        let doubts =
            |word: &str| doubts_the_login(&federation, &reply(400, &format!(r#"{{"error":"{word}"}}"#)));
        assert!(doubts("invalid_request") && doubts("invalid_token") && doubts("invalid_grant"));
        assert!(!doubts("invalid_target") && !doubts("unsupported_grant_type"));
    }
}
