//! docker, podman, skopeo and buildah (docker/docker-credential-helpers): `get` with the registry on standard input, `list`,
//! `store`, `erase`. They show what a helper that fails writes on standard output.

use std::process::ExitCode;

use keyfob::internals::core::provider::web_origin;
use serde_json::json;

use super::asked;
use crate::{
    args::Global,
    output::report::{Failure, Report, Result},
};

/// The words by which they know that there is no credential: they go on without one.
const NONE: &str = "credentials not found in native keychain";

/// A name for the token as a password. `<token>` would mean that the secret is a refresh token of the registry's own
/// (distribution: Token Authentication), which is not what a login hands out.
const USER: &str = "oauth2";

pub(super) fn answer(global: &Global, action: &str) -> Result {
    match action {
        "get" => get(global).inspect_err(|failure| {
            if let Failure::Error(error) = failure {
                let _ = Report::answer(error.what());
            }
        }),
        // It is for whoever wants to show or copy all of them; what is used is asked for by name.
        "list" => Report::answer("{}").map(|()| ExitCode::SUCCESS),
        "store" | "erase" => {
            let why = "a login is made and ended by its provider";
            let hint = "use `keyfob login` or `keyfob logout`";
            let error = asked::unknown("docker", action, why, hint);
            Report::answer(error.what())?;
            Err(error.into())
        }
        _ => {
            Err(asked::unknown("docker", action, "it is none of get, list, store, erase", "see `--help`")
                .into())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tool asked for it, for a registry it may go to")]
fn get(global: &Global) -> Result {
    let question = asked::question("docker")?;
    let server = question.trim();
    let Some(grant) = asked::granted(global, &origins(server))? else {
        Report::answer(NONE)?;
        return Ok(ExitCode::FAILURE);
    };
    let secret = grant.credential().expose();
    let answer = json!({ "ServerURL": server, "Username": USER, "Secret": secret });
    Report::answer(&answer.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// A registry is named by its host, with a port or without. It is asked by https, or on this machine by http.
fn origins(server: &str) -> Vec<String> {
    if server.contains("://") {
        return web_origin(server).into_iter().collect();
    }
    ["https", "http"].iter().filter_map(|scheme| web_origin(&format!("{scheme}://{server}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_by_its_host() {
        for (server, are) in [
            ("registry.example", &["https://registry.example"][..]),
            ("registry.example:5000/v2/", &["https://registry.example:5000"]),
            ("https://registry.example/v1/", &["https://registry.example"]),
            ("http://registry.example", &[]),
            ("127.0.0.1:5000", &["https://127.0.0.1:5000", "http://127.0.0.1:5000"]),
            ("registry.example@evil.example", &[]),
            ("", &[]),
        ] {
            assert_eq!(origins(server), are, "{server}");
        }
    }
}
