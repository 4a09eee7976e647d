//! Prints the token in the formats of other tools.

use keyfob::{
    Error, Grant, Source,
    internals::{core::Id, core::contract::names, world::system::env as environment},
};
use serde_json::json;

use crate::args::Format;

/// The answer, without its final newline.
#[expect(clippy::disallowed_methods, reason = "printing it on stdout is what this command is for")]
pub(crate) fn write(format: Format, grant: &Grant) -> Result<String, Error> {
    let token = grant.credential().expose();
    let end = grant.expires_at();
    Ok(match format {
        // What git asks decides whether there is an answer: `commands/git.rs`.
        Format::GitCredential => String::new(),
        Format::Kubernetes => json!({
            "apiVersion": exec_version(),
            "kind": "ExecCredential",
            "status": { "token": token, "expirationTimestamp": end.map(|end| end.to_string()) },
        })
        .to_string(),
        Format::Env => return for_files_of_variables(variable(grant.source()), token),
    })
}

/// A line that shells, make, systemd and the many readers of `.env` files all parse alike: they share no way of
/// quoting, so a token with a character that is special to one of them is not written at all. The characters that RFC
/// 6750 §2.1 allows in a bearer token (b64token) are special to none.
fn for_files_of_variables(name: &str, token: &str) -> Result<String, Error> {
    let means_nothing = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=:@%,".contains(&b);
    if token.starts_with('~') || !token.bytes().all(means_nothing) {
        let what = "the credential cannot be written into a file of variables";
        let why = "it has a character that a shell would act on";
        return Err(Error::new(Id::Usage, what, why).hint("hand it over with `keyfob exec`"));
    }
    Ok(format!("{name}={token}"))
}

/// The cluster that the caller names, if its configuration has it do so (`provideClusterInfo`).
pub(crate) fn cluster() -> Option<String> {
    exec_info()?["spec"]["cluster"]["server"].as_str().map(str::to_owned)
}

/// The version the caller asks for: two versions of one content. A caller that names none gets the stable one.
fn exec_version() -> &'static str {
    const BETA: &str = "client.authentication.k8s.io/v1beta1";
    match exec_info().as_ref().and_then(|info| info["apiVersion"].as_str()) {
        Some(BETA) => BETA,
        _ => "client.authentication.k8s.io/v1",
    }
}

/// What every such plugin is told in a variable (Kubernetes: client-go credential plugins).
fn exec_info() -> Option<serde_json::Value> {
    environment::variables().text("KUBERNETES_EXEC_INFO").and_then(|text| serde_json::from_str(text).ok())
}

fn is_key(source: Source) -> bool {
    matches!(source, Source::ApiKey | Source::ApiKeyDescriptor | Source::ApiKeyHelper)
}

fn variable(source: Source) -> &'static str {
    match source {
        source if is_key(source) => names::API_KEY,
        Source::AuthToken => names::AUTH_TOKEN,
        Source::SessionToken | Source::WebSocketDescriptor => names::SESSION_TOKEN,
        _ => names::OAUTH_TOKEN,
    }
}
