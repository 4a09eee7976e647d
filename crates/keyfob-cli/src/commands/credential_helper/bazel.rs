//! Bazel, uv and others (EngFlow: Credential Helpers Specification): `get`, with the address on standard input.

use std::{collections::BTreeMap, process::ExitCode};

use keyfob::{
    Error,
    internals::{core::Id, core::provider::web_origin},
};
use serde::Deserialize;
use serde_json::json;

use super::asked;
use crate::{
    args::Global,
    output::report::{Report, Result},
};

/// "Credential Helpers SHOULD NOT fail if the input contains additional properties."
#[derive(Deserialize)]
struct Question {
    uri: String,
}

impl Question {
    /// gRPC is HTTP/2: its `grpcs` is the https of the host.
    fn origin(&self) -> Option<String> {
        let (scheme, rest) = self.uri.split_once("://")?;
        let scheme = match scheme {
            "grpcs" => "https",
            "grpc" => "http",
            other => other,
        };
        web_origin(&format!("{scheme}://{rest}"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the tool asked for it, for a host it may go to")]
pub(super) fn answer(global: &Global, action: &str) -> Result {
    if action != "get" {
        let why = "the specification has `get` alone";
        return Err(asked::unknown("the tool", action, why, "see whether it is set up for keyfob").into());
    }
    let question: Question = serde_json::from_str(&asked::question("the tool")?).map_err(|_| {
        let what = "the question could not be read";
        let why = "it is not an object in JSON with the member `uri`";
        Error::new(Id::Usage, what, why).hint("write {\"uri\": \"https://…\"} on standard input")
    })?;
    let origin = question.origin();
    let Some(grant) = asked::granted(global, origin.as_slice())? else {
        let what = format!("keyfob has no credential for {}", origin.as_deref().unwrap_or("that address"));
        let why = "it is no host of the environment";
        let hint =
            "list its origin under `hosts` of the environment in config.toml, if the token may go there";
        return Err(Error::new(Id::Usage, what, why).hint(hint).into());
    };
    let headers: BTreeMap<_, _> = grant.headers().map(|(name, value)| (name, [value.expose()])).collect();
    let mut answer = json!({ "headers": headers });
    if let Some(end) = grant.expires_at() {
        answer["expires"] = end.to_string().into();
    }
    Report::answer(&answer.to_string())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address() {
        for (uri, is) in [
            ("https://api.example/a/b?c", Some("https://api.example")),
            ("grpcs://api.example/a.b/C", Some("https://api.example")),
            ("grpc://127.0.0.1:8980/a", Some("http://127.0.0.1:8980")),
            ("grpc://api.example/a", None),
            ("http://api.example/", None),
            ("https://api.example@evil.example/", None),
            ("file:///etc/passwd", None),
            ("api.example", None),
        ] {
            assert_eq!(Question { uri: uri.into() }.origin().as_deref(), is, "{uri}");
        }
    }
}
