//! The lines of the answers.

use std::collections::BTreeMap;

use keyfob::{
    Error, Grant,
    internals::{
        core::Id,
        world::{Clock as _, system::clock::SystemClock},
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::question::VERSION;
use crate::{
    advice, hand_over,
    output::report::{Report, Result},
};

/// Every value of a header, by its name: as the credential helper specification has it.
type Headers<'g> = BTreeMap<&'g str, Vec<&'g str>>;

#[derive(Serialize)]
struct Credential<'g> {
    v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'g Value>,
    headers: Headers<'g>,
    token: &'g str,
    kind: &'static str,
    source: &'static str,
    /// What to name in `rejected` after a 401. `None`: nothing could replace it.
    handle: Option<String>,
    profile: Option<&'g str>,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Value>,
}

/// The answer in the specification's form.
#[derive(Serialize)]
struct Bare<'g> {
    headers: Headers<'g>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "the program that started this one asked for it")]
pub(super) fn credential(id: Option<&Value>, kind: &'static str, grant: &Grant) -> Result<()> {
    write(&Credential {
        v: VERSION,
        id,
        headers: headers(grant),
        token: grant.credential().expose(),
        kind,
        source: grant.source().name(),
        handle: hand_over::answer::handle(grant),
        profile: grant.profile(),
        expires_at: grant.expires_at().map(|end| end.to_string()),
        expires_in: grant.expires_at().map(|end| end.since(SystemClock.now())),
        warning: grant.warning().map(problem),
    })
}

pub(super) fn bare(grant: &Grant) -> Result<()> {
    write(&Bare { headers: headers(grant), expires: grant.expires_at().map(|end| end.to_string()) })
}

pub(super) fn hello(id: Option<&Value>) -> Result<()> {
    let hello = json!({ "versions": [VERSION], "keyfob": env!("CARGO_PKG_VERSION") });
    write(&named(id, "hello", &hello))
}

pub(super) fn error(id: Option<&Value>, error: &Error) -> Result<()> {
    write(&named(id, "error", &problem(error)))
}

fn named(id: Option<&Value>, what: &str, value: &Value) -> Value {
    let mut answer = json!({ "v": VERSION, what: value });
    if let Some(id) = id {
        answer["id"] = id.clone();
    }
    answer
}

/// The three lines of an error, by the names that the agent gives them too.
fn problem(error: &Error) -> Value {
    let told = advice::told(error);
    let mut value = json!({
        "id": error.id().word(),
        "what": told.what,
        "why": told.why,
        "hint": told.hint,
        "exit_code": error.exit_code(),
    });
    if let Some(cause) = error.cause() {
        value["cause"] = cause.word().into();
    }
    if !error.also().is_empty() {
        value["also"] = error.also().iter().map(problem).collect();
    }
    value
}

#[expect(clippy::disallowed_methods, reason = "the program that started this one asked for it")]
fn headers(grant: &Grant) -> Headers<'_> {
    let mut headers = Headers::new();
    for (name, value) in grant.headers() {
        headers.entry(name).or_default().push(value.expose());
    }
    headers
}

fn write(answer: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(answer).map(Zeroizing::new);
    Report::answer(&text.map_err(|_| Error::new(Id::Bug, "an answer", "it cannot be written as JSON"))?)
}
