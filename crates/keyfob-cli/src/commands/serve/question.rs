//! A question, as it is read from a line.

use std::time::Duration;

use keyfob::{
    Error, Purpose,
    internals::core::{Id, provider::web_origin},
};
use serde_json::{Map, Value};

use crate::args::{Rejected, Wanted};

/// The version of the form.
pub(super) const VERSION: u64 = 1;
/// How long an answer may take where the question does not say; and at most, in seconds.
const USUAL_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: u64 = 60;
/// As `--min-valid` takes it: a year.
const LONGEST_VALIDITY: u64 = 31_536_000;
/// The longest text that can be the id of a question.
const LONGEST_ID: usize = 128;

/// What names a question: repeated in its answer.
pub(super) type Name = Option<Value>;

/// A question.
#[derive(Debug)]
pub(super) enum Question {
    /// Which versions there are.
    Hello,
    /// A credential, in our own form.
    Get(Get),
    /// A credential, in the form of the credential helper specification, which has no version and no name.
    Bare(Get),
}

/// Which credential.
#[derive(Debug)]
pub(super) struct Get {
    /// Where it is to go. `None`: the program does not say, and decides that itself.
    pub(super) origin: Option<String>,
    /// The login that is meant, by its profile.
    pub(super) profile: Option<String>,
    pub(super) wanted: Wanted,
}

impl Get {
    pub(super) const fn kind(&self) -> &'static str {
        match self.wanted.purpose() {
            Purpose::IdToken => "id",
            _ => "access",
        }
    }

    /// How long its answer may take.
    pub(super) fn wait(&self) -> Duration {
        self.wanted.within.unwrap_or(USUAL_WAIT)
    }
}

/// What a line asks, and its name: that of a question which cannot be answered too, if it can be told.
pub(super) fn read(line: &[u8]) -> (Name, Result<Question, Error>) {
    let Ok(Value::Object(members)) = serde_json::from_slice(line) else {
        return (Some(Value::Null), Err(wrong("the line", "is not one object in JSON")));
    };
    if !members.contains_key("v") {
        return (None, bare(&members));
    }
    match name(&members) {
        Ok(name) => (name, ours(&members)),
        Err(error) => (Some(Value::Null), Err(error)),
    }
}

/// Of the specification's form only the address counts: "Credential Helpers SHOULD NOT fail if the input contains additional
/// properties."
fn bare(members: &Map<String, Value>) -> Result<Question, Error> {
    let Some(Value::String(uri)) = members.get("uri") else {
        return Err(wrong("the question", "has neither `v`, the version of its form, nor the text `uri`"));
    };
    Ok(Question::Bare(Get { origin: Some(origin(uri)?), profile: None, wanted: Wanted::default() }))
}

fn ours(members: &Map<String, Value>) -> Result<Question, Error> {
    // Whatever its version: this is how a program finds out which there are.
    match members.get("ask").map(Value::as_str) {
        Some(Some("hello")) => return Ok(Question::Hello),
        None | Some(Some("get")) => {}
        Some(_) => return Err(wrong("`ask`", "is neither `get` nor `hello`")),
    }
    if members.get("v").and_then(Value::as_u64) != Some(VERSION) {
        let why = format!("keyfob {} answers version {VERSION}", env!("CARGO_PKG_VERSION"));
        let error = Error::new(Id::Usage, "the question is in a version that is not known here", why);
        return Err(error.hint("update keyfob, or use a package of its version"));
    }
    // It may be a narrowing that a later version knows: to answer as if it were not there would give too much.
    const KNOWN: [&str; 9] = ["v", "id", "ask", "uri", "profile", "kind", "min_valid", "rejected", "wait"];
    if let Some(unknown) = members.keys().find(|member| !KNOWN.contains(&member.as_str())) {
        return Err(wrong(&format!("`{unknown}`"), "is no member of a question in this version"));
    }
    let id_token = match text(members, "kind")? {
        None | Some("access") => false,
        Some("id") => true,
        Some(_) => return Err(wrong("`kind`", "is neither `access` nor `id`")),
    };
    let rejected = match text(members, "rejected")? {
        Some(handle) => {
            let read = handle.parse::<Rejected>();
            Some(read.map_err(|_| wrong("`rejected`", "is no handle that an answer gave"))?)
        }
        None => None,
    };
    let min_valid = number(members, "min_valid", 0, LONGEST_VALIDITY)?.unwrap_or(0);
    let within = number(members, "wait", 1, LONGEST_WAIT)?.map(Duration::from_secs);
    Ok(Question::Get(Get {
        origin: text(members, "uri")?.map(origin).transpose()?,
        profile: text(members, "profile")?.map(str::to_owned),
        wanted: Wanted {
            min_valid: min_valid.cast_signed(),
            rejected,
            id_token,
            within,
            ..Wanted::default()
        },
    }))
}

fn name(members: &Map<String, Value>) -> Result<Name, Error> {
    match members.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST_ID => Ok(Some(text.as_str().into())),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.clone().into())),
        Some(_) => Err(wrong("`id`", "is neither a whole number nor a text of up to 128 octets")),
    }
}

/// A member that is absent or null is not there.
fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Result<Option<&'m str>, Error> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(&format!("`{name}`"), "is not a text")),
    }
}

fn number(members: &Map<String, Value>, name: &str, least: u64, most: u64) -> Result<Option<u64>, Error> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(&format!("`{name}`"), &format!("is no whole number from {least} to {most}"))),
        },
    }
}

/// Where a request to this address goes. gRPC is HTTP/2: its `grpcs` is the https of the host.
fn origin(uri: &str) -> Result<String, Error> {
    let (scheme, rest) = uri.split_once("://").unwrap_or_default();
    let scheme = match scheme {
        "grpcs" => "https",
        "grpc" => "http",
        other => other,
    };
    web_origin(&format!("{scheme}://{rest}"))
        .ok_or_else(|| wrong("`uri`", "is no absolute https address, nor one of http on this machine"))
}

/// A question that is malformed. What it says is not repeated, but for the name of a member.
fn wrong(what: &str, why: &str) -> Error {
    Error::new(Id::Usage, "the question cannot be answered", format!("{what} {why}"))
        .hint("write it as docs/protocol.md of keyfob describes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(line: &str) -> String {
        read(line.as_bytes()).1.expect_err(line).why().to_owned()
    }

    #[test]
    fn the_form_of_the_specification_has_an_address_and_the_rest_of_it_counts_for_nothing() {
        let (name, question) = read(br#"{"uri":"grpcs://api.example/a.b/C","id":7,"min_valid":"x"}"#);
        let Ok(Question::Bare(get)) = question else { panic!("{question:?}") };
        assert_eq!((name, get.origin.as_deref()), (None, Some("https://api.example")));
        assert!(why("{}").contains("neither `v`"));
        assert!(why(r#"{"uri":7}"#).contains("nor the text `uri`"));
        assert!(why(r#"{"uri":"api.example"}"#).contains("`uri` is no absolute"));
    }

    #[test]
    fn a_question_is_read_strictly() {
        let line = br#"{"v":1,"id":"a","kind":"id","min_valid":60,"wait":3,"profile":"ci","rejected":null}"#;
        let (name, question) = read(line);
        let Ok(Question::Get(get)) = question else { panic!("{question:?}") };
        assert_eq!((name, get.kind(), get.wanted.min_valid), (Some("a".into()), "id", 60));
        assert_eq!((get.wait().as_secs(), get.profile.as_deref(), get.origin), (3, Some("ci"), None));
        for (line, says) in [
            ("7", "the line is not one object"),
            ("[{}]", "the line is not one object"),
            (r#"{"v":1} {"v":1}"#, "the line is not one object"),
            (r#"{"v":2}"#, "answers version 1"),
            (r#"{"v":"1"}"#, "answers version 1"),
            (r#"{"v":1,"ask":"refresh_token"}"#, "`ask` is neither"),
            (r#"{"v":1,"audience":"x"}"#, "`audience` is no member"),
            (r#"{"v":1,"kind":"refresh"}"#, "`kind` is neither"),
            (r#"{"v":1,"min_valid":-1}"#, "`min_valid` is no whole number from 0"),
            (r#"{"v":1,"wait":0}"#, "`wait` is no whole number from 1 to 60"),
            (r#"{"v":1,"wait":61}"#, "`wait` is no whole number from 1 to 60"),
            (r#"{"v":1,"rejected":"7"}"#, "`rejected` is no handle"),
            (r#"{"v":1,"uri":"http://api.example/"}"#, "`uri` is no absolute"),
            (r#"{"v":1,"uri":"https://a@b.example/"}"#, "`uri` is no absolute"),
            (r#"{"v":1,"profile":7}"#, "`profile` is not a text"),
            (r#"{"v":1,"id":1.5}"#, "`id` is neither"),
            (r#"{"v":1,"id":[]}"#, "`id` is neither"),
        ] {
            assert!(why(line).contains(says), "{line}: {}", why(line));
        }
    }

    #[test]
    fn whatever_the_version_it_is_told_which_there_are() {
        let (name, question) = read(br#"{"v":2,"id":9,"ask":"hello","whatever":true}"#);
        assert!(matches!((name, question), (Some(_), Ok(Question::Hello))));
    }
}
