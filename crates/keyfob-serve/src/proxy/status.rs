//! What the proxy says of itself, to whoever may ask through it: how much was asked, and whether there is a token.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;

use crate::{
    proxy::{
        open::Open,
        refusal::{Refusal, problem},
        upstream::Body,
    },
    wire,
};

/// Whether a request is for the proxy itself: it says so twice, as one to an agent does. No name of a target has no dot and is not
/// this machine.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let is = |name: &header::HeaderName, wanted: &str| {
        request.headers().get(name).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
    };
    is(&wire::MARK, wire::VERSION) && is(&header::HOST, wire::HOST)
}

pub(crate) async fn answer<B>(open: &Open, request: &Request<B>) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::GET || request.uri().path() != wire::STATUS {
        let why = format!("of the proxy itself, one asks GET {}", wire::STATUS);
        return Err(Refusal { status: StatusCode::NOT_FOUND, ..Refusal::malformed(&why) });
    }
    let known = open.credentials.known().await.map_err(Refusal::without)?;
    let traffic = open.tally.read();
    let (environment, profile) = &*open.whose;
    let counts = |counts: std::collections::BTreeMap<&'static str, u64>| {
        counts.into_iter().map(|(key, number)| (key.to_owned(), number)).collect()
    };
    let status = wire::ProxyStatus {
        v: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        to: format!("{}{}", open.target.origin(), open.target.path()),
        environment: environment.clone(),
        profile: profile.clone(),
        uptime: open.began.elapsed().as_secs(),
        connections: open.tally.connections(),
        streams: traffic.open,
        answered: counts(traffic.answered),
        refused: counts(traffic.refused),
        renewed: traffic.renewed,
        source: known.source.map(|source| source.name().into()),
        expires_at: known.expires_at.map(|end| end.to_string()),
        expires_in: known.expires_at.map(|end| end.since(open.host.now())),
        error: known.problem.as_ref().map(|error| problem(&*open.host, error)),
    };
    let mut text = serde_json::to_vec(&status).unwrap_or_default();
    text.push(b'\n');
    let mut answer =
        Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_proxy_if_it_says_so_twice() {
        let asked = |lines: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/v1/status");
            for (name, value) in lines {
                request = request.header(*name, *value);
            }
            is_asked(&request.body(()).unwrap())
        };
        assert!(asked(&[("host", "keyfob"), ("keyfob", "1")]));
        for other in
            [&[("host", "keyfob")][..], &[("keyfob", "1")], &[("host", "keyfob"), ("keyfob", "2")], &[]]
        {
            assert!(!asked(other), "{other:?}");
        }
    }
}
