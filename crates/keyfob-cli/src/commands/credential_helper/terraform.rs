//! Terraform and OpenTofu (Terraform: Credentials Helpers): `get HOST`, `store HOST`, `forget HOST`.

use std::process::ExitCode;

use keyfob::internals::core::provider::web_origin;
use serde_json::json;

use super::asked;
use crate::{
    args::Global,
    output::report::{Report, Result},
};

#[expect(clippy::disallowed_methods, reason = "Terraform asked for it, for a host it may go to")]
pub(super) fn answer(global: &Global, action: &str, host: &str) -> Result {
    match action {
        "get" => {}
        "store" | "forget" => {
            let why = "a login is made and ended by its provider";
            let hint = "use `keyfob login` or `keyfob logout`";
            return Err(asked::unknown("Terraform", action, why, hint).into());
        }
        _ => {
            let why = "it is none of get, store, forget";
            return Err(asked::unknown("Terraform", action, why, "see `--help`").into());
        }
    }
    // An empty object says that there is none: Terraform goes on without.
    let answer = match asked::granted(global, origin(host).as_slice())? {
        Some(grant) => json!({ "token": grant.credential().expose() }),
        None => json!({}),
    };
    Report::answer(&answer.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// A host, with a port or without; its services are asked by https alone.
fn origin(host: &str) -> Option<String> {
    web_origin(&format!("https://{host}/"))
}
