//! `keyfob header`: prints one `Name: value` line for each header.

use std::process::ExitCode;

use crate::{
    args::{Global, Header},
    hand_over::{grant, shadows},
    output::report::{Report, Result},
};

#[expect(clippy::disallowed_methods, reason = "printing them on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Header) -> Result {
    let grant = grant::grant(global, &args.wanted)?;
    if global.json {
        let headers: Vec<_> = grant
            .headers()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value.expose() }))
            .collect();
        Report::json(&serde_json::json!({
            "headers": headers,
            "source": grant.source().name(),
            "shadows": shadows::names(&grant),
            "expires_at": grant.expires_at().map(|t| t.to_string()),
        }))?;
    } else {
        let lines: Vec<_> =
            grant.headers().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
        Report::answer(&lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
