//! What a sign-in page answers (RFC 6749 §4.1.2, RFC 9207), and the texts that a person may paste in its place.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{Cause, Error, Id, Result, contract::values};

/// The parameters of an answer, each of which it may have once.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
}

impl Answer {
    pub(super) fn parse(query: &str) -> Result<Self> {
        let mut answer = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "iss" => &mut answer.iss,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(callback_error(&format!("it has `{name}` twice")));
            }
        }
        Ok(answer)
    }
}

/// Whether both are the one place on this machine, by two of its names: a provider that is developed here calls itself as it
/// was called, `localhost` by the page and `127.0.0.1` by the API.
pub(super) fn is_same_loopback(one: &str, two: &str) -> bool {
    let place = |text: &str| {
        let url = values::url(text).ok().filter(values::is_loopback)?;
        Some((url.scheme().to_string(), url.port_or_known_default(), url.path().to_string()))
    };
    place(one).is_some_and(|one| Some(one) == place(two))
}

/// Whether this is written as words are: at most sixteen letters, small but for the first.
pub(super) fn is_word(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.len() <= 16
        && letters.all(|b| b.is_ascii_lowercase())
}

/// What an address would mean by it. A plus is a plus here: this is no form.
pub(super) fn percent_decoded(text: &str) -> String {
    let query = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.next().map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Whether a query has this parameter.
pub(super) fn has(query: &str, name: &str) -> bool {
    let names = query.split('&').filter_map(|pair| pair.split_once('='));
    names.into_iter().any(|(found, _)| found == name)
}

/// `XXXX-XXXX`, as devices show it (RFC 8628 §6.1).
pub(super) fn is_user_code(text: &str) -> bool {
    let part =
        |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    text.split_once('-').is_some_and(|(left, right)| part(left) && part(right))
}

pub(super) fn callback_error(why: &str) -> Error {
    Error::new(Id::CallbackInvalid, "the answer of the sign-in page cannot be understood", why)
}

pub(super) fn pasted_error(why: &str) -> Error {
    Error::new(Id::CallbackInvalid, "the pasted text is not an answer of the sign-in page", why)
        .because(Cause::NotAnAnswer {})
}
