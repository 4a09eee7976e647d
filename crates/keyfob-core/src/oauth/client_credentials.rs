//! The client credentials grant (RFC 6749 §4.4), for a client that is itself the account. A new token is requested
//! instead of renewing the old one; there is no refresh token that could be lost or spent twice.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{
    Cause, Error, Id, ProviderTime, Record, Timestamp,
    contract::settings::Scopes,
    login::refresh::{self, After},
    oauth::{
        client_assertion::is_about_the_client,
        refusal::Refusal,
        reply::Reply,
        token_request::TokenRequest,
        token_response::{self, Verdict},
    },
};

/// The request for a token (RFC 6749 §4.4.2). If it names no scopes, the provider decides.
#[must_use]
pub fn request(scopes: &Scopes) -> TokenRequest {
    TokenRequest::grant("client_credentials").scope(scopes)
}

/// Updates the record with the answer to its request. No refusal is final: the operator of the provider can correct
/// its cause, and asking again costs nothing.
#[must_use]
pub fn answered(
    mut record: Record,
    asked: &Scopes,
    reply: &Reply,
    now: Timestamp,
    kernel: Option<String>,
) -> After {
    // RFC 6749 §4.4.3: a refresh token that comes nevertheless is of no use and must not be stored.
    let mut cause = None;
    let (id, why) = match token_response::read(reply).open().1 {
        Verdict::Granted(mut tokens) => {
            tokens.expires_in = tokens.expires_in.or(Some(refresh::ASSUMED));
            // The answer is laid over what was asked for today, which may be more than it was the last time.
            record.scopes = asked.clone();
            let why = refresh::granted(&mut record, tokens, None, reply, now, kernel);
            let what =
                || format!("client `{}` got no token from {}", record.client_id.as_str(), record.issuer);
            let error = why.map(|why| Error::new(Id::AnswerInvalid, what(), why));
            return After { record, error };
        }
        Verdict::Odd { why } => (Id::AnswerInvalid, why),
        Verdict::Refused(said) => {
            cause = refusal_of(&record, &said);
            (Id::ProviderRefused, said.why)
        }
        // Nothing is spent by asking: an answer that was lost is asked for again.
        Verdict::Later(said) | Verdict::Unknown(said) => {
            cause = said.busy(None);
            (Id::Unreachable, said.why)
        }
    };
    refresh::mend_clock(&mut record, reply, now, kernel.as_deref());
    let at = record.ahead(kernel.as_deref()).theirs(now);
    let asked = reply.retry_after(at, refresh::LONGEST_COOLDOWN);
    if let Some(Cause::Busy { seconds, .. }) = &mut cause {
        *seconds = asked;
    }
    let after = failed(record, id, asked, &why, at);
    After { error: after.error.map(|error| error.maybe_because(cause)), ..after }
}

/// Why this client was refused, for programs that advise a person.
fn refusal_of(record: &Record, said: &Refusal) -> Option<Cause> {
    Some(match said.word.as_deref()? {
        word if is_about_the_client(word) => refresh::client_refused(record),
        "invalid_scope" => Cause::ScopeUnknown { scopes: record.scopes.to_string() },
        _ => Cause::RequestRefused {},
    })
}

/// No token, for this reason: it is recorded for the next processes, so that not each of them runs into it.
#[must_use]
pub fn failed(mut record: Record, id: Id, asked: Option<i64>, why: &str, now: ProviderTime) -> After {
    refresh::cool_down(&mut record, now, asked, why);
    let what = format!("client `{}` got no token from {}", record.client_id.as_str(), record.issuer);
    After { record, error: Some(Error::new(id, what, why)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::dialect::Dialect;
    use crate::{
        login::{
            due::{Ask, Next, next},
            record::tests::record,
        },
        oauth::client_auth::Proof,
    };
    use alloc::{string::ToString, vec::Vec};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn machine() -> Record {
        let mut r = record(NOW.0, 60);
        r.refresh_token = None;
        r.proof = Some(Proof::Basic);
        r
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            body: Vec::from(body),
            ..Reply::default()
        }
    }

    /// A machine that slept between its request and the answer: the token had ended when it was read.
    #[test]
    fn a_machines_token_lives_from_its_request() {
        let body = r#"{"access_token":"a4","token_type":"Bearer","expires_in":60}"#;
        let slept = Reply { asked_at: Some(NOW), ..reply(200, body) };
        let r = answered(machine(), &Scopes::default(), &slept, NOW.plus(8 * 3600), None).record;
        assert_eq!(r.expires_at, Some(ProviderTime(NOW.0 + 60)));
    }

    #[test]
    fn asking_again_takes_the_place_of_a_refresh_token() {
        let r = machine();
        assert!(matches!(next(&r, &Ask::at(NOW.plus(61))), Next::Renew));
        let body = r#"{"access_token":"a4","token_type":"Bearer","refresh_token":"r4","scope":"a b"}"#;
        let After { record: r, error } = answered(r, &Scopes::default(), &reply(200, body), NOW, None);
        assert!(error.is_none() && r.refresh_token.is_none(), "RFC 6749 §4.4.3");
        assert_eq!(
            r.expires_at,
            Some(ProviderTime(NOW.0).plus(refresh::ASSUMED)),
            "a silent provider is asked once an hour"
        );
        assert_eq!((format!("{}", r.scopes), r.generation.number()), ("a b".into(), 4));
    }

    /// An administrator mends what is refused here; a login that has ended needs a person.
    #[test]
    fn client_credentials_refusal_is_retried_later() {
        for (body, id) in [
            (r#"{"error":"invalid_client"}"#, Id::ProviderRefused),
            (r#"{"error":"invalid_grant"}"#, Id::ProviderRefused),
        ] {
            let after = answered(machine(), &Scopes::default(), &reply(400, body), NOW.plus(61), None);
            assert_eq!(after.error.unwrap().id(), id);
            assert!(matches!(next(&after.record, &Ask::at(NOW.plus(62))), Next::Stop(_)), "for a moment");
            assert!(matches!(next(&after.record, &Ask::at(NOW.plus(64))), Next::Renew));
        }
    }

    /// RFC 6749 §4.4.2.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the request holds no secret")]
    fn the_request_names_its_grant_and_its_scopes() {
        let body =
            |scopes: &Scopes| request(scopes).encode(None, &Dialect::default()).body.1.expose().to_string();
        assert_eq!(body(&Scopes::parse("a b").unwrap()), "grant_type=client_credentials&scope=a+b");
        assert_eq!(body(&Scopes::default()), "grant_type=client_credentials");
    }

    /// RFC 6749 §5.1: what was asked for was granted, unless nothing was asked for: then only the answer says it.
    #[test]
    fn what_a_machine_asked_for_is_what_it_has() {
        let scopes = |asked: &str, said: &str| {
            let asked = Scopes::parse(asked).unwrap_or_default();
            let body = format!(r#"{{"access_token":"a4","token_type":"Bearer"{said}}}"#);
            let mut before = machine();
            before.scopes = Scopes::parse("before").unwrap();
            format!("{}", answered(before, &asked, &reply(200, &body), NOW, None).record.scopes)
        };
        assert_eq!(scopes("", r#","scope":"given""#), "given");
        assert_eq!(scopes("", ""), "");
        assert_eq!(scopes("asked", ""), "asked");
    }

    #[test]
    fn a_refused_client_has_a_cause() {
        use crate::Cause;
        let cause = |status, body: &str| {
            let after = answered(machine(), &Scopes::default(), &reply(status, body), NOW, None);
            after.error.expect("refused").cause().cloned()
        };
        let client = || Cause::ClientUnknown {
            environment: "local".into(),
            client: "keyfob-local".into(),
            secret: true,
        };
        assert_eq!(cause(401, r#"{"error":"invalid_client"}"#), Some(client()));
        assert_eq!(cause(400, r#"{"error":"unauthorized_client"}"#), Some(client()));
        let scopes = "user:profile user:inference".into();
        assert_eq!(cause(400, r#"{"error":"invalid_scope"}"#), Some(Cause::ScopeUnknown { scopes }));
        assert_eq!(cause(400, r#"{"error":"invalid_grant"}"#), Some(Cause::RequestRefused {}));
        assert!(matches!(cause(429, "{}"), Some(Cause::Busy { status: 429, .. })));
    }
}
