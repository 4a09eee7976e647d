//! One request, and the reply to it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA, WWW_AUTHENTICATE},
    request::Parts,
};
use serde_json::{Value, json as object};

use crate::{
    http::{base::Base, form::Form},
    state::credential::NoEntropy,
};

pub(crate) type Reply = Response<Body>;

/// A request whose body has been read and whose Host is ours.
pub(crate) struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) base: Base,
    /// The path without the prefix of the apps or console base.
    pub(crate) path: String,
    /// That prefix: empty, `/apps` or `/console`.
    pub(crate) prefix: &'static str,
    pub(crate) note: Note,
    /// The successor of the device token that came with the request.
    pub(crate) successor: Option<String>,
    /// How long the finished answer is held back.
    pub(crate) delay: Duration,
    /// Close the connection instead of answering.
    pub(crate) hang_up: bool,
    /// How the answer of the token endpoint is written.
    pub(crate) manner: Manner,
}

/// How an answer of the token endpoint is written, apart from what it says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// As a form, as some providers do whatever was asked for.
    pub(crate) form: bool,
    /// With status 200, also where it is an error.
    pub(crate) ok: bool,
}

/// The log entry of a request.
#[derive(Debug, Default)]
pub(crate) struct Note {
    pub(crate) client_id: Option<String>,
    pub(crate) grant_type: Option<&'static str>,
    pub(crate) outcome: &'static str,
    pub(crate) family: Option<u64>,
    pub(crate) credential: Vec<&'static str>,
}

/// An OAuth error that will become a JSON body (RFC 6749 §5.2).
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    /// The word for the log; the error itself when there is no more exact one.
    pub(crate) outcome: &'static str,
    pub(crate) authenticate: Option<String>,
}

impl Refusal {
    pub(crate) fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description, outcome: error, authenticate: None }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn outcome(self, outcome: &'static str) -> Self {
        Self { outcome, ..self }
    }

    pub(crate) fn authenticate(self, challenge: String) -> Self {
        Self { authenticate: Some(challenge), ..self }
    }

    pub(crate) fn reply(self, call: &mut Call) -> Reply {
        call.note.outcome = self.outcome;
        let body = object!({ "error": self.error, "error_description": self.description });
        let mut reply = json(self.status, &body);
        if let Some(challenge) = self.authenticate.and_then(|c| HeaderValue::from_str(&c).ok()) {
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}

impl From<NoEntropy> for Refusal {
    fn from(_: NoEntropy) -> Self {
        Self::new("server_error", "the system has no randomness to give")
            .status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl Call {
    /// The issuer whose endpoint this is.
    pub(crate) fn issuer(&self) -> String {
        format!("{}{}", self.base.as_str(), self.prefix)
    }

    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The form in the body: of the right type, UTF-8, no parameter twice (RFC 6749 §3.2, App. B).
    pub(crate) fn form(&self) -> Result<Form, Refusal> {
        if !self.is("application/x-www-form-urlencoded") {
            let text = "the body must be application/x-www-form-urlencoded";
            return Err(Refusal::new("invalid_request", text));
        }
        let form = Form::parse(&self.body).ok_or_else(|| {
            Refusal::new("invalid_request", "the form is not UTF-8 or has too many parameters")
        })?;
        if form.repeats() {
            return Err(Refusal::new("invalid_request", "a parameter stands more than once"));
        }
        Ok(form)
    }

    /// The parameters in a body that is a JSON object, and nothing else.
    pub(crate) fn object(&self) -> Result<Form, Refusal> {
        if !self.is("application/json") {
            return Err(Refusal::new("invalid_request", "the body must be application/json"));
        }
        let form = Form::of_object(&self.body).ok_or_else(|| {
            Refusal::new("invalid_request", "the body is no JSON object of texts, numbers and lists of texts")
        })?;
        if form.repeats() {
            return Err(Refusal::new("invalid_request", "a member stands more than once"));
        }
        Ok(form)
    }

    /// Whether the body calls itself this.
    fn is(&self, kind: &str) -> bool {
        let said = self.header(CONTENT_TYPE).unwrap_or_default();
        said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
    }
}

/// A JSON answer that must not be cached (RFC 6749 §5.1).
pub(crate) fn json(status: StatusCode, body: &Value) -> Reply {
    let mut reply = status_only(status);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *reply.body_mut() = body.to_string().into();
    reply.extensions_mut().insert(Said(body.clone()));
    reply
}

/// What a JSON answer says, kept beside its text for whoever writes it otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Said(pub(crate) Value);

/// An answer without a body that must not be cached.
pub(crate) fn status_only(status: StatusCode) -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    reply
}

/// The answer for an unknown path.
pub(crate) fn not_found(call: &mut Call) -> Reply {
    Refusal::new("not_found", "there is nothing here").status(StatusCode::NOT_FOUND).reply(call)
}
