//! What the proxy answers itself: an error of keyfob's, in its three lines, as JSON.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use keyfob::{Cause, Error, ErrorId};

use crate::{
    agent::host::Host,
    proxy::upstream::Body,
    wire::{Failed, Problem},
};

/// The header that tells an answer of the proxy's own from one of the target's: the id of the error.
pub(crate) const MARK: HeaderName = HeaderName::from_static("keyfob-error");

/// After how long one may try again, where nobody has said.
const LATER: u64 = 2;

/// An error as it is told.
pub(crate) fn problem(host: &dyn Host, error: &Error) -> Problem {
    let told = host.told(error);
    Problem {
        id: error.id().word().into(),
        cause: error.cause().map(|cause| cause.word().into()),
        what: told.what,
        why: told.why,
        hint: told.hint,
        exit_code: error.exit_code(),
    }
}

/// A request that the proxy answers itself.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl Refusal {
    /// Not through this proxy.
    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        let what = "the proxy does not forward this request";
        Self { status: StatusCode::FORBIDDEN, error: Error::new(ErrorId::ProxyRefused, what, why) }
    }

    /// The client has not shown that it may ask.
    pub(crate) fn stranger() -> Self {
        let what = "the proxy does not know who asks";
        let why = "the request has not the token of this run";
        Self { status: StatusCode::UNAUTHORIZED, error: Error::new(ErrorId::ProxyRefused, what, why) }
    }

    pub(crate) fn malformed(why: &str) -> Self {
        let what = "the proxy does not forward this request";
        Self { status: StatusCode::BAD_REQUEST, error: Error::new(ErrorId::ProxyRefused, what, why) }
    }

    /// The target did not answer, or not so that it can be passed on.
    pub(crate) fn gateway(id: ErrorId, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, error: Error::new(id, what, why) }
    }

    /// There is no valid credential. Never 401: that is about the client's own.
    pub(crate) fn without(error: Error) -> Self {
        let passes = error.exit_code() == 6 || error.id() == ErrorId::LeaseBusy;
        let status = if passes { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        Self { status, error }
    }

    pub(crate) fn answer(&self, host: &dyn Host) -> Response<Body> {
        let failed = Failed { v: 1, error: problem(host, &self.error) };
        let mut text = serde_json::to_vec(&failed).unwrap_or_default();
        text.push(b'\n');
        let mut answer =
            Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(MARK, HeaderValue::from_static(self.error.id().word()));
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2 wants it.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keyfob\""));
            // Whoever guesses has to connect again each time.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = match self.error.cause() {
                Some(Cause::CoolingDown { seconds } | Cause::Busy { seconds: Some(seconds), .. }) => {
                    u64::try_from(*seconds).unwrap_or(LATER)
                }
                _ => LATER,
            };
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        answer
    }
}
