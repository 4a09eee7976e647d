//! Identity tokens of workloads, as a platform issues them to its jobs: signed like ID tokens, for whatever audience is
//! asked for. `GET /v1/identity/token` gives one in the way of GitHub Actions.

use http::{StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json as object};

use crate::{
    http::{
        call::{Call, Refusal, Reply, json},
        form::Form,
    },
    oauth::faults,
    state::{
        credential::{self, NoEntropy},
        faults::{FaultGrant, FaultKind},
        shared::Shared,
        signing_key::Signer,
    },
};

/// The bearer token with which a job asks for an identity token.
pub const LOCAL_IDENTITY_REQUEST_TOKEN: &str = "kdev-identity-request";

/// The path of the issuer of identity tokens, below the base.
pub(crate) const ISSUER_PATH: &str = "/identity";
/// An identity token of GitHub's lives for five minutes.
const LIFE: i64 = 300;
/// The audience of one that was asked for without any.
const NOBODY: &str = "https://github.example/owner";
/// Whom it is about unless something else is said.
const SUBJECT: &str = "repo:owner/name:ref:refs/heads/main";

/// What an identity token is to say. [`DevServer::identity_token`](crate::DevServer::identity_token) makes one.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Whom it is about (`sub`).
    pub subject: String,
    /// For whom it is (`aud`).
    pub audience: String,
    /// Seconds from now to its end (`exp`); less than 0 is one that has ended.
    pub lifetime: i64,
    /// Whether it has a number (`jti`), and is good for one exchange.
    pub numbered: bool,
}

impl Workload {
    /// A numbered one of five minutes for this audience.
    #[must_use]
    pub fn of(audience: &str) -> Self {
        Self { subject: SUBJECT.to_owned(), audience: audience.to_owned(), lifetime: LIFE, numbered: true }
    }
}

/// An identity token, wrong in the way a fault says.
pub(crate) fn token(
    shared: &Shared,
    issuer: &str,
    workload: &Workload,
    fault: Option<FaultKind>,
) -> Result<String, NoEntropy> {
    let now = i64::try_from(shared.clock.now()).unwrap_or(i64::MAX);
    let mut claims = object!({
        "iss": issuer,
        "sub": workload.subject,
        "aud": workload.audience,
        "iat": now,
        "exp": now.saturating_add(workload.lifetime),
    });
    if workload.numbered {
        claims["jti"] = credential::mint("kdev-jti-")?.into();
    }
    match fault {
        Some(FaultKind::IdTokenIssuer) => claims["iss"] = "https://elsewhere.example".into(),
        Some(FaultKind::IdTokenAudience) => claims["aud"] = "https://elsewhere.example".into(),
        Some(FaultKind::IdTokenExpired) => claims["exp"] = (now - 24 * 3600).into(),
        Some(FaultKind::IdTokenSubject) => claims["sub"] = "repo:stranger/fork:pull_request".into(),
        _ => {}
    }
    let header = object!({ "alg": "ES256", "typ": "JWT", "kid": shared.signer.thumbprint() });
    match fault {
        Some(FaultKind::IdTokenSignature) => Signer::new()?.sign(&header, &claims),
        _ => shared.signer.sign(&header, &claims),
    }
}

/// `GET /v1/identity/token?audience=…`: what a job of GitHub Actions asks for.
pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Reply {
    let fault = shared.take_fault(FaultGrant::Identity);
    if let Some(reply) = fault.and_then(|kind| faults::before(kind, shared, call)) {
        return reply;
    }
    let bearer = call.header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    if bearer != Some(LOCAL_IDENTITY_REQUEST_TOKEN) {
        let refusal =
            Refusal::new("invalid_token", "this is no token of a job").status(StatusCode::UNAUTHORIZED);
        return refusal.reply(call);
    }
    let query = call.parts.uri.query().unwrap_or_default();
    let form = Form::parse(query.as_bytes()).unwrap_or_default();
    let workload = Workload::of(form.optional("audience").unwrap_or(NOBODY));
    let issuer = format!("{}{ISSUER_PATH}", call.base.as_str());
    match token(shared, &issuer, &workload, fault) {
        Ok(token) => {
            shared.change(|tables, _| tables.counters.identity_tokens += 1);
            call.note.outcome = fault.map_or("granted", FaultKind::outcome);
            json(StatusCode::OK, &object!({ "value": Value::from(token) }))
        }
        Err(error) => Refusal::from(error).reply(call),
    }
}
