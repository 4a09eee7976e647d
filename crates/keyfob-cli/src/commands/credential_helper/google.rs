//! Google's libraries (AIP-4117, executable-sourced credentials): they run a command and exchange the identity token that it
//! prints at Google's token service.

use std::process::ExitCode;

use keyfob::internals::world::system::env as environment;
use serde_json::{Value, json};

use crate::{
    advice,
    args::{Global, Wanted},
    hand_over::grant,
    output::report::{Failure, Report, Result},
};

/// The version of the form.
const VERSION: u32 = 1;
/// Set by the library: what the configuration has as `subject_token_type`.
const ASKED: &str = "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What failed is said in the form too, and then the exit code says that there is an answer.
pub(super) fn answer(global: &Global) -> Result {
    let kind = environment::variables().text(ASKED).unwrap_or(ID_TOKEN);
    let answer = match kind {
        ID_TOKEN | JWT => token(global, kind)?,
        _ => failed("usage", "the configuration wants a SAML assertion, and a login has an ID token"),
    };
    Report::answer(&answer.to_string())?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "the library asked for it")]
fn token(global: &Global, kind: &str) -> Result<Value> {
    let wanted = Wanted { id_token: true, ..Wanted::default() };
    match grant::grant(global, &wanted) {
        Ok(grant) => {
            let mut answer = json!({
                "version": VERSION, "success": true, "token_type": kind, "id_token": grant.credential().expose(),
            });
            if let Some(end) = grant.expires_at() {
                answer["expiration_time"] = end.0.into();
            }
            Ok(answer)
        }
        Err(Failure::Error(error)) => {
            let told = advice::told(&error);
            let message = format!("{}: {}; {}", told.what, told.why, told.hint);
            Ok(failed(error.id().word(), &message))
        }
        Err(failure) => Err(failure),
    }
}

fn failed(code: &str, message: &str) -> Value {
    json!({ "version": VERSION, "success": false, "code": code, "message": message })
}
