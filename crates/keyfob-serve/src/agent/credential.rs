//! A credential, an error and any other answer, as they are written.

use keyfob::{Error, ErrorId, Result, Secret};
use serde::Serialize;

use crate::{
    agent::{flight::Credential, open::Open},
    wire::{self, Header, Problem},
};

/// What is written of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// All of it.
    Token,
    /// The headers, for a request that was named.
    Headers,
    /// All of it, for somebody who reads it some time: seconds from now say nothing to them.
    File,
}

#[expect(
    clippy::disallowed_methods,
    reason = "handing it to this peer, who may have it, is what the agent is for"
)]
pub(crate) fn write(open: &Open, lent: &Credential, what: What) -> Result<Vec<u8>> {
    let authorization = lent.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let scheme =
        authorization.and_then(|(_, value)| value.expose().split_once(' ')).map_or("", |(scheme, _)| scheme);
    let header = |(name, value): &(String, Secret)| -> (String, Secret) { (name.clone(), value.duplicate()) };
    let headers: Vec<_> = lent.headers.iter().map(header).collect();
    json(&wire::Credential {
        v: 1,
        token: (what != What::Headers).then(|| lent.token.expose()),
        scheme,
        headers: headers
            .iter()
            .map(|(name, value)| Header { name: &**name, value: value.expose() })
            .collect(),
        source: lent.source.name(),
        login: lent.generation.login(),
        generation: lent.generation.number(),
        handle: lent.generation.to_string(),
        profile: lent.profile.as_deref(),
        environment: &open.door.terms.environment,
        expires_at: lent.expires_at.map(|end| end.to_string()),
        expires_in: lent.expires_at.filter(|_| what != What::File).map(|end| end.since(open.host.now())),
        warning: lent.warning.as_ref().map(|warning| problem(open, warning)),
    })
}

pub(crate) fn problem(open: &Open, error: &Error) -> Problem {
    let told = open.host.told(error);
    Problem {
        id: error.id().word().into(),
        cause: error.cause().map(|cause| cause.word().into()),
        what: told.what,
        why: told.why,
        hint: told.hint,
        exit_code: error.exit_code(),
    }
}

pub(crate) fn json(answer: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(answer)
        .map_err(|_| Error::new(ErrorId::Bug, "the agent's answer", "it cannot be written as JSON"))?;
    text.push(b'\n');
    Ok(text)
}
