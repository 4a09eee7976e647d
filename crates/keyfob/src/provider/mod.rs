//! Requests to a provider over HTTP. All are sent from here, and a missing answer or an unexpected status becomes an
//! error here.

pub(crate) mod discovery;
pub(crate) mod jwks;
pub(crate) mod revoke;
pub(crate) mod token;
pub(crate) mod userinfo;

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Secret,
    oauth::{header::Header, reply::Reply, token_request::Encoded},
};

use crate::{
    lasting,
    world::{Answer, Connected, NoAnswer, Request, World, waiting::Waiting},
};

/// How long an exchange may take unless [`Call::within`] says otherwise.
const ANSWER: Duration = Duration::from_secs(10);

/// A request that is ready to be sent, once or again.
pub struct Call<'c> {
    world: &'c World,
    request: Request<'c>,
}

/// Requests what is at this URL.
pub fn get<'c>(world: &'c World, url: &'c str) -> Call<'c> {
    Call::new(world, "GET", url, None)
}

/// Sends the parameters of a token request, or of one in the same form.
pub fn post<'c>(world: &'c World, url: &'c str, request: Encoded) -> Call<'c> {
    Call::new(world, "POST", url, Some(request.body)).with(request.headers)
}

/// Sends a JSON document.
pub fn post_json<'c>(world: &'c World, url: &'c str, document: Secret) -> Call<'c> {
    Call::new(world, "POST", url, Some(("application/json", document)))
}

/// Asks for what is at this URL to be removed.
pub fn delete<'c>(world: &'c World, url: &'c str) -> Call<'c> {
    Call::new(world, "DELETE", url, None)
}

impl<'c> Call<'c> {
    fn new(
        world: &'c World,
        method: &'static str,
        url: &'c str,
        body: Option<(&'static str, Secret)>,
    ) -> Self {
        Self { world, request: Request { method, url, headers: Vec::new(), body, timeout: ANSWER } }
    }

    /// Adds headers.
    pub fn with(mut self, headers: Vec<Header>) -> Self {
        self.request.headers.extend(headers);
        self
    }

    /// Sets how long the whole exchange may take.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout;
        self
    }

    /// Sends the request. An answer of any status will do.
    pub fn send(&self) -> Result<Answer, Failure> {
        let what = || Waiting::Provider { origin: origin(self.request.url) };
        let sent = lasting::during(self.world, what, || self.world.http.send(&self.request));
        sent.map_err(Failure::NoAnswer)
    }

    /// Sends the request, and takes only an answer of one of these statuses.
    pub fn expect(&self, statuses: &[u16]) -> Result<Answer, Failure> {
        let answer = self.send()?;
        if statuses.contains(&answer.reply.status) { Ok(answer) } else { Err(Failure::Status(answer.into())) }
    }

    /// Sends the request once `connected` has written down that it is sent: see [`crate::world::Http::send_when`].
    pub fn send_when(&self, connected: Connected) -> Result<Answer, NoAnswer> {
        self.world.http.send_when(&self.request, connected)
    }
}

/// Why a request did not get the answer it was for.
#[derive(Debug)]
pub enum Failure {
    /// No whole answer came.
    NoAnswer(NoAnswer),
    /// An answer of another status came.
    Status(Box<Answer>),
}

impl Failure {
    /// The answer of another status, if one came.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::NoAnswer(_) => None,
            Self::Status(answer) => Some(&answer.reply),
        }
    }

    /// What happened, in words.
    pub fn why(self) -> String {
        match self {
            Self::NoAnswer(no_answer) => no_answer.why,
            Self::Status(answer) => format!("the provider answered {}", answer.reply.status),
        }
    }

    /// The error for a caller that wanted `what`.
    pub fn error(self, what: impl Into<String>) -> Error {
        let id = match self {
            Self::NoAnswer(_) => Id::Unreachable,
            Self::Status(_) => Id::ProviderRefused,
        };
        let cause = self.cause();
        Error::new(id, what, self.why()).maybe_because(cause)
    }

    /// The same as a type, for programs that advise a person.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self {
            Self::NoAnswer(no_answer) => no_answer.cause.as_deref().cloned(),
            Self::Status(answer) => {
                let reply = &answer.reply;
                let seconds = || reply.retry_after.as_ref().and_then(|text| text.trim().parse().ok());
                match reply.status {
                    status @ 401 => Some(Cause::TokenRejected { status }),
                    status @ 403 => Some(Cause::TokenNotAllowed { status }),
                    status @ (425 | 429 | 500..=599) => Some(Cause::Busy { status, seconds: seconds() }),
                    _ => None,
                }
            }
        }
    }
}

/// Scheme, host and port, for messages.
pub(crate) fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| "the provider".into(), |url| url.origin().ascii_serialization())
}
