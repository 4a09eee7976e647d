//! Prints the token in the formats of other tools.

use keyfob::{Grant, Source, core::contract::names, world::system::env as environment};
use serde_json::json;

use crate::args::Format;

/// The answer, without its final newline.
#[expect(clippy::disallowed_methods, reason = "printing it on stdout is what this command is for")]
pub(crate) fn write(format: Format, grant: &Grant) -> String {
    let token = grant.credential.expose();
    let end = grant.expires_at;
    match format {
        // gitcredentials(7): `name=value` lines; `password_expiry_utc` keeps git from storing a dead one.
        Format::GitCredential => {
            let expiry = end.map_or(String::new(), |end| format!("\npassword_expiry_utc={}", end.0));
            format!("username=oauth2\npassword={token}{expiry}")
        }
        Format::Kubernetes => json!({
            "apiVersion": exec_version(),
            "kind": "ExecCredential",
            "status": { "token": token, "expirationTimestamp": end.map(|end| end.to_string()) },
        })
        .to_string(),
        Format::AwsProcess => json!({
            "Version": 1,
            "Token": token,
            "TokenType": if is_key(grant.source) { "ApiKey" } else { "Bearer" },
            "Expiration": end.map(|end| end.to_string()),
        })
        .to_string(),
        Format::Env => format!("{}={token}", variable(grant.source)),
    }
}

/// The form the caller asks for, as it tells every plugin of its kind (Kubernetes: client-go credential plugins): two
/// forms of one content. A caller that tells nothing gets the stable one.
fn exec_version() -> &'static str {
    const BETA: &str = "client.authentication.k8s.io/v1beta1";
    let asked = environment::variables()
        .text("KUBERNETES_EXEC_INFO")
        .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    match asked.as_ref().and_then(|info| info["apiVersion"].as_str()) {
        Some(BETA) => BETA,
        _ => "client.authentication.k8s.io/v1",
    }
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
