//! Requests over HTTP and their answers, as a trait.

use std::{fmt, io, sync::Arc, time::Duration};

use keyfob_core::{
    Cause, Error, Secret,
    oauth::{header::Header, reply::Reply},
};

use crate::world::headers::Headers;

/// One HTTP request. Redirects are never followed and no body larger than a mebibyte is read.
pub struct Request<'r> {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL: https, or http on loopback.
    pub url: &'r str,
    /// Credentials to send as headers.
    pub headers: Vec<Header>,
    /// The body and its type.
    pub body: Option<(&'static str, Secret)>,
    /// An upper bound for the whole exchange.
    pub timeout: Duration,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// No whole answer came.
#[derive(Debug)]
pub struct NoAnswer {
    /// Whether the request may have reached the other side. `false` only when it certainly did not.
    pub sent: bool,
    /// What happened, without any part of the request's body or headers.
    pub why: String,
    /// The same as a type, where it is clear.
    pub cause: Option<Box<Cause>>,
    /// What had arrived when the connection broke, including [`Reply::cut`]. Only for callers that look for the one
    /// thing in it that cannot be requested again.
    pub part: Option<Box<Reply>>,
    /// Whether it failed on this machine, for want of a thread, a descriptor or memory: then it says nothing about the
    /// network, and no other process has to wait.
    pub system: bool,
}

impl NoAnswer {
    /// It certainly did not reach the other side.
    pub(crate) fn not_sent(why: impl Into<String>) -> Self {
        Self { sent: false, why: why.into(), cause: None, part: None, system: false }
    }
}

/// Called once there is a connection (proxy and TLS included) and before the first byte of the request. When it fails,
/// the request is not sent.
pub type Connected = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Requests and whole answers.
pub trait Http: Send + Sync {
    /// Whether requests can be made at all. To be checked before something is spent for one.
    ///
    /// # Errors
    /// What is wrong with the proxies and certificates that were named: then every request fails, unsent.
    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// [`NoAnswer`] unless a complete answer came (RFC 9112 §8: an incomplete one is no result).
    fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        self.send_when(request, Arc::new(|| Ok(())))
    }
    /// The same for a request whose being sent has to be written down first: `connected` is called exactly where
    /// [`NoAnswer::sent`] becomes true.
    ///
    /// # Errors
    /// As [`Http::send`]; also when `connected` fails, and then nothing was sent.
    fn send_when(&self, request: &Request<'_>, connected: Connected) -> Result<Answer, NoAnswer>;
}

/// An answer: what the token endpoint's reader wants, and the headers others want.
#[derive(Debug)]
pub struct Answer {
    /// Status, type, times and body.
    pub reply: Reply,
    /// Every header.
    pub headers: Headers,
}
