//! cargo (The Cargo Book: Credential Provider Protocol): a line of JSON for each message, on both streams.

use std::{
    io::{self, BufRead, Read},
    process::ExitCode,
};

use keyfob::{Error, Grant, internals::core::provider::web_origin};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked;
use crate::{
    advice,
    args::Global,
    output::report::{Failure, Report, Result},
};

/// The version of the protocol.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Request {
    v: u32,
    kind: String,
    registry: Registry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    index_url: String,
}

impl Registry {
    /// How the index is kept says nothing of its host.
    fn origin(&self) -> Option<String> {
        let url = ["sparse+", "registry+"].iter().find_map(|kind| self.index_url.strip_prefix(kind));
        web_origin(url.unwrap_or(&self.index_url))
    }
}

pub(super) fn answer(global: &Global) -> Result {
    asked::not_a_terminal("cargo")?;
    Report::answer(&json!({ "v": [VERSION] }).to_string())?;
    let mut input = io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = input.by_ref().take(asked::LONGEST).read_line(&mut line);
        if read.map_err(|error| asked::unreadable("cargo", error))? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer_to(global, &request)?,
            Err(_) => other("keyfob cannot read what cargo asks", &[]),
        };
        Report::answer(&answer.to_string())?;
    }
}

fn answer_to(global: &Global, request: &Request) -> Result<Value> {
    if request.v != VERSION {
        return Ok(other("cargo speaks another version of the protocol than keyfob", &[]));
    }
    // Tokens are made by the provider: `login` and `logout` of a registry are for those that it hands out itself.
    if request.kind != "get" {
        return Ok(json!({ "Err": { "kind": "operation-not-supported" } }));
    }
    Ok(match asked::granted(global, request.registry.origin().as_slice()) {
        Ok(Some(grant)) => token(&grant),
        // cargo asks its next provider.
        Ok(None) => json!({ "Err": { "kind": "url-not-supported" } }),
        Err(Failure::Error(error)) => told(&error),
        Err(failure) => return Err(failure),
    })
}

/// What cargo sends as the whole value of the header `Authorization`.
#[expect(clippy::disallowed_methods, reason = "cargo asked for it, for a registry it may go to")]
fn token(grant: &Grant) -> Value {
    let header = grant.headers().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = header.map_or_else(|| grant.credential(), |(_, value)| value).expose();
    let mut answer = json!({ "kind": "get", "token": token, "operation_independent": true });
    match grant.expires_at() {
        Some(end) => {
            answer["cache"] = "expires".into();
            answer["expiration"] = end.0.into();
        }
        None => answer["cache"] = "session".into(),
    }
    json!({ "Ok": answer })
}

fn told(error: &Error) -> Value {
    let told = advice::told(error);
    other(&told.what, &[&told.why, &told.hint])
}

fn other(what: &str, causes: &[&str]) -> Value {
    json!({ "Err": { "kind": "other", "message": what, "caused-by": causes } })
}
