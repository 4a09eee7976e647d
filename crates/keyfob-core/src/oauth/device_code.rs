//! The device authorization grant (RFC 8628): a code typed on another device.

use alloc::{
    format,
    string::{String, ToString},
};

use serde::Deserialize;

use crate::{
    Error, Id, Result, Secret,
    contract::{
        settings::{ClientId, Scopes},
        values,
    },
    error::escape,
    json,
    oauth::token_response::{Outcome, Reply, Tokens},
};

/// What a provider may not promise longer than; a code that lives for days is a mistake or a trap.
const LONGEST: i64 = 3600;

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

#[derive(Deserialize)]
struct Wire {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: i64,
    interval: Option<i64>,
}

/// The form of the first request (RFC 8628 §3.1).
#[must_use]
pub fn start(client_id: &ClientId, scopes: &Scopes) -> Secret {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", client_id.as_str())
        .append_pair("scope", &scopes.to_string())
        .finish();
    Secret::from(form)
}

impl Pending {
    /// Reads the answer to [`start`].
    ///
    /// # Errors
    /// [`Id::ProviderRefused`], [`Id::AnswerInvalid`], [`Id::Unreachable`].
    pub fn read(reply: &Reply) -> Result<Self> {
        let what = "signing in with a code was not started";
        if reply.status != 200 {
            return Err(match crate::oauth::token_response::read(reply) {
                Outcome::Later { why } => Error::new(Id::Unreachable, what, why),
                Outcome::InvalidGrant { why } | Outcome::Refused { why, .. } | Outcome::Odd { why, .. } => {
                    Error::new(Id::ProviderRefused, what, why)
                }
                Outcome::Granted(_) => Error::new(Id::AnswerInvalid, what, "the provider answered tokens"),
            });
        }
        let odd = |why: String| Error::new(Id::AnswerInvalid, what, why);
        let wire: Wire = json::strict(&reply.body).map_err(|why| odd(format!("the answer {why}")))?;
        let uri = |text: &str| {
            values::url(text).map(|_| text.to_string()).map_err(|why| odd(format!("its address: {why}")))
        };
        let code = wire.user_code.trim();
        if code.is_empty() || code.len() > 32 || code.chars().any(char::is_control) {
            return Err(odd("its code for the person cannot be shown".into()));
        }
        Ok(Self {
            device_code: Secret::visible(&wire.device_code)
                .map_err(|why| odd(format!("its device code {why}")))?,
            user_code: escape(code),
            verification_uri: uri(&wire.verification_uri)?,
            // Only a convenience: a malformed one is left out.
            verification_uri_complete: wire
                .verification_uri_complete
                .as_deref()
                .and_then(|text| uri(text).ok()),
            expires_in: wire.expires_in.clamp(1, LONGEST),
            // RFC 8628 §3.2: five seconds where the provider says nothing.
            interval: wire.interval.unwrap_or(5).clamp(1, 300),
        })
    }

    /// The form of a poll (RFC 8628 §3.4).
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the device code goes into the body of the request it is for"
    )]
    pub fn poll(&self, client_id: &ClientId) -> Secret {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
            .append_pair("device_code", self.device_code.expose())
            .append_pair("client_id", client_id.as_str())
            .finish();
        Secret::from(form)
    }

    /// Reads the answer to a poll. `slow_down` makes the interval five seconds longer for good (RFC 8628 §3.5);
    /// every error but the two that mean "wait" ends it.
    pub fn answered(&mut self, reply: &Reply) -> Poll {
        let over = |id, why| Poll::Over(Error::new(id, "signing in was not finished", why));
        match crate::oauth::token_response::read(reply) {
            Outcome::Granted(tokens) => Poll::Granted(tokens),
            Outcome::Later { .. } => {
                self.back_off();
                Poll::Wait
            }
            Outcome::Refused { error, why } => match error.as_deref() {
                Some("authorization_pending") => Poll::Wait,
                Some("slow_down") => {
                    self.interval = self.interval.saturating_add(5);
                    Poll::Wait
                }
                Some("access_denied") => over(Id::LoginDenied, why),
                Some("expired_token") => Poll::Over(
                    Error::new(Id::LoginTimeout, "signing in was not finished", why)
                        .hint("start again with `keyfob login --device`"),
                ),
                _ => over(Id::ProviderRefused, why),
            },
            Outcome::InvalidGrant { why } => over(Id::ProviderRefused, why),
            Outcome::Odd { why, .. } => over(Id::AnswerInvalid, why),
        }
    }

    /// No answer came: ask less often (RFC 8628 §3.5 wants exponential back-off after time-outs).
    pub fn back_off(&mut self) {
        self.interval = self.interval.saturating_mul(2).min(60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            retry_after: None,
            date: None,
            body: body.into(),
        }
    }

    const STARTED: &str = r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT",
        "verification_uri":"https://example.com/device",
        "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_in":1800}"#;

    /// RFC 8628 §3.2, its own example, without an interval.
    #[test]
    fn the_example_of_the_rfc() {
        let pending = Pending::read(&reply(200, STARTED)).unwrap();
        assert_eq!(
            (pending.user_code.as_str(), pending.interval, pending.expires_in),
            ("WDJB-MJHT", 5, 1800)
        );
        assert!(pending.verification_uri_complete.is_some());
        for (from, to) in [
            ("https://example.com/device\"", "javascript:alert(1)\""),
            ("WDJB-MJHT\",", "A\\u001b[2J\","),
            ("1800}", "\"x\"}"),
        ] {
            assert!(Pending::read(&reply(200, &STARTED.replacen(from, to, 1))).is_err(), "{to}");
        }
    }

    /// RFC 8628 §3.5.
    #[test]
    fn polling_obeys() {
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
        assert_eq!(said(400, "access_denied"), "login-denied");
        assert_eq!(said(400, "expired_token"), "login-timeout");
        assert_eq!(said(400, "invalid_grant"), "provider-refused");
        assert_eq!(said(400, "anything_else"), "provider-refused");
        let granted = r#"{"access_token":"a","token_type":"bearer"}"#;
        assert!(matches!(pending.answered(&reply(200, granted)), Poll::Granted(_)));
    }
}
