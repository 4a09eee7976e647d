//! The device authorization grant (RFC 8628): signing in with a code typed on another device.

use alloc::{
    format,
    string::{String, ToString},
};

use serde_json::{Map, Value};

use crate::{
    Cause, Error, Id, Result, Secret,
    contract::{
        settings::{ClientId, Scopes},
        values,
    },
    error::escape,
    json,
    oauth::{
        dialect::Addition,
        refusal,
        reply::Reply,
        token_request::TokenRequest,
        token_response::{self, Tokens, Verdict},
    },
};

/// What a provider may not promise longer than; a code that lives for days is a mistake or a trap.
const LONGEST: i64 = 3600;
/// How long a code lasts whose provider does not say: what most of them say.
const ASSUMED: i64 = 900;

/// A started grant: what to show, and how to ask.
#[derive(Debug)]
pub struct Pending {
    device_code: Secret,
    /// The code to type (RFC 8628 §3.2). Shown even where the address holds it already (§3.3.1).
    pub user_code: String,
    /// Where to type it. Untrusted text, checked to be a web address.
    pub verification_uri: String,
    /// The same with the code in it, if the provider offers that.
    pub verification_uri_complete: Option<String>,
    /// Seconds it all lasts.
    pub expires_in: i64,
    /// Seconds between two questions.
    pub interval: i64,
}

/// What a poll came to.
#[derive(Debug)]
pub enum Poll {
    /// Tokens.
    Granted(Tokens),
    /// Not yet: ask again after [`Pending::interval`], which may have grown.
    Wait,
    /// It is over.
    Over(Error),
}

/// The first request (RFC 8628 §3.1), with what else this provider wants.
#[must_use]
pub fn start(client_id: &ClientId, scopes: &Scopes, further: &[Addition]) -> TokenRequest {
    let request = TokenRequest::default().client(client_id).scope(scopes);
    further.iter().fold(request, |request, one| request.with(one.name.clone(), &*one.value))
}

impl Pending {
    /// Reads the answer to [`start`]. Providers that were built on the drafts call the address `verification_url`, and
    /// some write numbers as texts.
    ///
    /// # Errors
    /// [`Id::ProviderRefused`], [`Id::AnswerInvalid`], [`Id::Unreachable`].
    pub fn read(reply: &Reply) -> Result<Self> {
        let what = "signing in with a code was not started";
        if let Some(said) = refusal::said(reply) {
            return Err(Error::new(Id::ProviderRefused, what, said.why));
        }
        if !(200..300).contains(&reply.status) {
            return Err(match token_response::read(reply).open().1 {
                Verdict::Later(said) | Verdict::Unknown(said) => Error::new(Id::Unreachable, what, said.why),
                Verdict::Refused(said) => Error::new(Id::ProviderRefused, what, said.why),
                Verdict::Odd { why } => Error::new(Id::ProviderRefused, what, why),
                Verdict::Granted(_) => Error::new(Id::AnswerInvalid, what, "the provider answered tokens"),
            });
        }
        let odd = |why: String| Error::new(Id::AnswerInvalid, what, why);
        let members: Map<String, Value> =
            json::strict(&reply.body).map_err(|why| odd(format!("the answer {why}")))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let needed = |name: &str| text(name).ok_or_else(|| odd(format!("the answer has no `{name}`")));
        let uri = |text: &str| {
            values::url(text).map(|_| text.to_string()).map_err(|why| odd(format!("its address: {why}")))
        };
        let code = needed("user_code")?.trim();
        if code.is_empty() || code.len() > 32 || code.chars().any(char::is_control) {
            return Err(odd("its code for the person cannot be shown".into()));
        }
        let place = text("verification_uri").or_else(|| text("verification_url"));
        let place = place.ok_or_else(|| odd("the answer has no `verification_uri`".into()))?;
        let complete = text("verification_uri_complete").or_else(|| text("verification_url_complete"));
        if [code, place].into_iter().chain(complete).any(|shown| reply.sent.is_in(shown)) {
            return Err(odd("it repeats what it was sent".into()));
        }
        Ok(Self {
            device_code: Secret::visible(needed("device_code")?)
                .map_err(|why| odd(format!("its device code {why}")))?,
            user_code: escape(code),
            verification_uri: uri(place)?,
            // Only a convenience: a malformed one is left out.
            verification_uri_complete: complete.and_then(|text| uri(text).ok()),
            expires_in: seconds(&members, "expires_in").unwrap_or(ASSUMED).clamp(1, LONGEST),
            // RFC 8628 §3.2: five seconds where the provider says nothing.
            interval: seconds(&members, "interval").unwrap_or(5).clamp(1, 300),
        })
    }

    /// A poll (RFC 8628 §3.4).
    #[must_use]
    pub fn poll(&self, client_id: &ClientId) -> TokenRequest {
        TokenRequest::grant("urn:ietf:params:oauth:grant-type:device_code")
            .with_secret("device_code", self.device_code.duplicate())
            .client(client_id)
    }

    /// Reads the answer to a poll. What its words say counts at every status: GitHub says `authorization_pending` with
    /// 200, others with 428, and `slow_down` comes with 403 and 429 too. It makes the interval five seconds longer
    /// for good (RFC 8628 §3.5); every error but the two that mean "wait" ends it.
    pub fn answered(&mut self, reply: &Reply) -> Poll {
        let over = |id, why| Poll::Over(Error::new(id, "signing in was not finished", why));
        let verdict = token_response::read(reply).open().1;
        match verdict.word() {
            Some("authorization_pending") => return Poll::Wait,
            Some("slow_down") => {
                self.interval = self.interval.saturating_add(5);
                return Poll::Wait;
            }
            _ => {}
        }
        match verdict {
            Verdict::Granted(tokens) => Poll::Granted(tokens),
            Verdict::Odd { why } => over(Id::AnswerInvalid, why),
            Verdict::Later(_) | Verdict::Unknown(_) => {
                self.back_off();
                Poll::Wait
            }
            Verdict::Refused(said) => match said.word.as_deref() {
                Some("access_denied" | "authorization_declined") => Poll::Over(
                    Error::new(Id::LoginDenied, "signing in was refused", said.why)
                        .because(Cause::Declined {}),
                ),
                Some("expired_token") => Poll::Over(
                    Error::new(Id::LoginTimeout, "signing in was not finished", said.why)
                        .because(Cause::CodeExpired {}),
                ),
                _ => over(Id::ProviderRefused, said.why),
            },
        }
    }

    /// No answer came: ask less often (RFC 8628 §3.5 wants exponential back-off after time-outs), and never more often
    /// than the provider allows.
    pub fn back_off(&mut self) {
        self.interval = self.interval.max(self.interval.saturating_mul(2).min(60));
    }
}

/// A number of seconds, also as a text or with a fraction.
fn seconds(members: &Map<String, Value>, name: &str) -> Option<i64> {
    match members.get(name)? {
        Value::Number(number) => number.as_i64().or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the caller clamps")]
            number.as_f64().map(|seconds| seconds as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::dialect::Dialect;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, content_type: Some("application/json".into()), body: body.into(), ..Reply::default() }
    }

    const STARTED: &str = r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT",
        "verification_uri":"https://example.com/device",
        "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_in":1800}"#;

    /// RFC 8628 §3.2, its own example, without an interval.
    #[test]
    fn rfc_8628_example_response_is_read() {
        let pending = Pending::read(&reply(200, STARTED)).unwrap();
        assert_eq!(
            (pending.user_code.as_str(), pending.interval, pending.expires_in),
            ("WDJB-MJHT", 5, 1800)
        );
        assert!(pending.verification_uri_complete.is_some());
        for (from, to) in [
            ("https://example.com/device\"", "javascript:alert(1)\""),
            ("WDJB-MJHT\",", "A\\u001b[2J\","),
            ("user_code", "code"),
            ("\"device_code\":\"G", "\"device_code\":7,\"x\":\"G"),
        ] {
            let bad = STARTED.replacen(from, to, 1);
            assert_ne!(bad, STARTED);
            assert!(Pending::read(&reply(200, &bad)).is_err(), "{to}");
        }
    }

    /// What the largest providers answer instead.
    #[test]
    fn the_drafts_and_texts_for_numbers() {
        let read = |from: &str, to: &str| {
            let changed = STARTED.replace(from, to);
            assert_ne!(changed, STARTED);
            Pending::read(&reply(200, &changed)).expect(&changed)
        };
        let draft = read("verification_uri", "verification_url");
        assert_eq!(draft.verification_uri, "https://example.com/device");
        assert!(draft.verification_uri_complete.is_some());
        let texts = read("1800", "\"600\",\"interval\":\"7\"");
        assert_eq!((texts.expires_in, texts.interval), (600, 7));
        assert_eq!(read("1800", "899.5").expires_in, 899);
        for unread in ["\"soon\"", "null", "[1]"] {
            assert_eq!(read("1800", unread).expires_in, ASSUMED, "{unread}");
        }
        assert!(
            read("\"https://example.com/device?user_code=WDJB-MJHT\"", "7")
                .verification_uri_complete
                .is_none()
        );
        assert_eq!(Pending::read(&reply(201, STARTED)).expect("a success").interval, 5);
        let refused =
            Pending::read(&reply(200, r#"{"error":"unauthorized_client","error_description":"no"}"#));
        let refused = refused.expect_err("an error member is an error");
        assert_eq!(
            (refused.id(), refused.why()),
            (Id::ProviderRefused, "the provider said `unauthorized_client`: no")
        );
    }

    /// RFC 8628 §3.5.
    #[test]
    fn device_polling_obeys_interval_and_slow_down() {
        let mut pending = Pending::read(&reply(200, STARTED)).unwrap();
        let mut said = |status, error: &str| match pending
            .answered(&reply(status, &format!("{{\"error\":\"{error}\"}}")))
        {
            Poll::Wait => format!("wait {}", pending.interval),
            Poll::Over(error) => error.id().word().to_string(),
            Poll::Granted(_) => "granted".to_string(),
        };
        assert_eq!(said(400, "authorization_pending"), "wait 5");
        assert_eq!(said(400, "slow_down"), "wait 10");
        assert_eq!(said(400, "authorization_pending"), "wait 10", "for good");
        assert_eq!(said(503, "x"), "wait 20");
        // The words count, whatever the status.
        for status in [200, 400, 401, 428] {
            assert_eq!(said(status, "authorization_pending"), "wait 20", "{status}");
        }
        for (status, wait) in [(200, "wait 25"), (403, "wait 30"), (429, "wait 35")] {
            assert_eq!(said(status, "slow_down"), wait, "{status}: five seconds, RFC 8628 §3.5");
        }
        assert_eq!(said(429, "something"), "wait 60", "and a status without such a word too");
        for status in [200, 400, 403] {
            assert_eq!(said(status, "access_denied"), "login-denied", "{status}");
            assert_eq!(said(status, "authorization_declined"), "login-denied", "{status}");
        }
        assert_eq!(said(400, "expired_token"), "login-timeout");
        assert_eq!(said(400, "invalid_grant"), "provider-refused");
        assert_eq!(said(400, "anything_else"), "provider-refused");
        assert_eq!(said(200, "anything_else"), "provider-refused");
        let form = Reply {
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8".into()),
            ..reply(200, "error=slow_down&error_description=Too+fast&interval=10")
        };
        assert!(matches!(pending.answered(&form), Poll::Wait));
        let granted = r#"{"access_token":"a","token_type":"bearer"}"#;
        assert!(matches!(pending.answered(&reply(200, granted)), Poll::Granted(_)));
    }

    /// RFC 8628 §3.5: an outage does not permit polling more often than the provider said.
    #[test]
    fn an_outage_never_makes_it_faster() {
        for interval in [1, 5, 40, 60, 70, 300] {
            let mut pending = Pending::read(&reply(200, STARTED)).unwrap();
            pending.interval = interval;
            for _ in 0..4 {
                let before = pending.interval;
                assert!(matches!(pending.answered(&reply(503, "<html>")), Poll::Wait));
                assert!(pending.interval >= before, "{interval}: {before} became {}", pending.interval);
            }
        }
    }

    /// RFC 8628 §3.1 and §3.4, the requests of the RFC's examples.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the specification's own invented code")]
    fn the_requests_are_those_of_rfc_8628() {
        let client = ClientId::parse("1406020730").unwrap();
        let body =
            |request: TokenRequest| request.encode(None, &Dialect::default()).body.1.expose().to_string();
        let scopes = Scopes::parse("example_scope").unwrap();
        assert_eq!(body(start(&client, &scopes, &[])), "client_id=1406020730&scope=example_scope");
        let pending = Pending::read(&reply(200, STARTED)).unwrap();
        assert_eq!(
            body(pending.poll(&client)),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
                &device_code=GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS&client_id=1406020730"
        );
    }

    #[test]
    fn a_code_for_the_person_is_one_they_can_type() {
        let read = |code: &str| Pending::read(&reply(200, &STARTED.replacen("WDJB-MJHT", code, 1)));
        assert_eq!(read(&"A".repeat(32)).unwrap().user_code.len(), 32);
        for wrong in [String::new(), " ".into(), "A".repeat(33), "A\\u0007".into()] {
            assert_eq!(read(&wrong).expect_err(&wrong).id(), Id::AnswerInvalid);
        }
    }
}
