//! What a provider says instead of giving tokens (RFC 6749 §5.2).

use alloc::{
    format,
    string::{String, ToString},
};

use serde_json::Value;

use crate::{Cause, contract::settings::Scopes};

use super::{
    members::{End, Member, Members},
    reply::Reply,
};

/// What a provider said instead of giving tokens.
#[derive(Debug)]
pub struct Refusal {
    /// Its words, or what else is known, escaped.
    pub why: String,
    /// The error code, if the answer had a well-formed one. It counts at every status (RFC 8628 §3.5 is answered with
    /// 200, 400, 403, 428 and 429).
    pub word: Option<String>,
    /// The status it came with.
    pub status: u16,
}

/// What a provider says when only a person can go on: RFC 6749 §5.2, OpenID Connect Core §3.1.2.6, and one that is
/// in use and registered nowhere.
pub(super) const A_PERSON: [&str; 6] = [
    "invalid_grant",
    "interaction_required",
    "login_required",
    "consent_required",
    "account_selection_required",
    "bad_refresh_token",
];
/// "Not now" in words.
pub(super) const NOT_NOW: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];
/// Those that mean what they mean at every status (RFC 6749 §5.2, §4.1.2.1; RFC 8707 §2;
/// RFC 8628 §3.5 and a word of the largest provider for a denial).
const KNOWN: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "access_denied",
    "authorization_declined",
    "expired_token",
];

impl Refusal {
    /// Whether this refresh token is dead, so that a person has to sign in. Only to be asked where one was presented:
    /// the same words about a code say something about the code. `own` are the words of this very provider, each with
    /// a status before it where that is part of it: `invalid_refresh_token`, `403 unauthorized_client`.
    #[must_use]
    pub fn asks_for_a_person<'w>(&self, own: impl IntoIterator<Item = &'w str>) -> bool {
        let Some(word) = self.word.as_deref() else { return false };
        let fits = |own: &str| match own.split_once(' ') {
            Some((status, own)) => own == word && status.parse() == Ok(self.status),
            None => own == word,
        };
        A_PERSON.contains(&word) || own.into_iter().any(fits)
    }

    /// Why it comes later or not at all, if its status says so, for programs that advise a person.
    #[must_use]
    pub fn busy(&self, retry_after: Option<i64>) -> Option<Cause> {
        let says = self.word.as_deref().is_some_and(|word| NOT_NOW.contains(&word));
        let busy = says || matches!(self.status, 425 | 429 | 500..=599);
        busy.then_some(Cause::Busy { status: self.status, seconds: retry_after })
    }

    /// What it says about the request. A word decides where its meaning is known; else the status it came with does.
    pub(super) fn weight(&self) -> Weight {
        let word = self.word.as_deref().unwrap_or_default();
        if A_PERSON.contains(&word) || KNOWN.contains(&word) {
            return Weight::Refused;
        }
        if NOT_NOW.contains(&word) {
            return Weight::Later;
        }
        match self.status {
            408 | 502 | 504 | 520 | 524 => Weight::Unknown,
            425 | 429 | 500..=599 => Weight::Later,
            _ => Weight::Refused,
        }
    }
}

/// Why a sign-in was refused with this code, for programs that advise a person. `scopes` are those that were requested.
#[must_use]
pub fn cause(word: &str, scopes: &Scopes) -> Cause {
    match word {
        "access_denied" | "authorization_declined" => Cause::Declined {},
        "invalid_scope" => Cause::ScopeUnknown { scopes: scopes.to_string() },
        "invalid_grant" => Cause::CodeRefused {},
        _ => Cause::RequestRefused {},
    }
}

/// What a refusal says about the request it answers.
pub(super) enum Weight {
    /// It was refused.
    Refused,
    /// It may be made again later.
    Later,
    /// It may have been done nevertheless.
    Unknown,
}

/// The error an answer names, whatever its status: for the endpoints beside the token endpoint, whose success is another.
#[must_use]
pub fn said(reply: &Reply) -> Option<Refusal> {
    let members = if reply.is_form() {
        Members::of_form(&reply.body, reply.cut.is_some())
    } else {
        Members::of_json(&reply.body).filter(|_| reply.is_json() || reply.essence().is_empty())?
    };
    if members.end() == End::Whole { refusal(&members, reply) } else { None }
}

/// What an error answer says (RFC 6749 §5.2), at whatever status. Its words are untrusted text.
pub(super) fn refusal(members: &Members<'_>, reply: &Reply) -> Option<Refusal> {
    let text = |name: &str| match members.get(name) {
        Member::One(Value::String(text)) => Some(text),
        _ => None,
    };
    let (word, words) = match members.get("error") {
        Member::Absent | Member::One(Value::Bool(false)) => return None,
        Member::One(Value::String(word)) if word.is_empty() => return None,
        Member::One(Value::String(word)) => {
            (Some(word), text("error_description").or_else(|| text("message")))
        }
        // The form of an API rather than of OAuth.
        Member::One(Value::Object(error)) => {
            let inner = |name: &str| error.get(name).and_then(Value::as_str).map(String::from);
            (inner("type").or_else(|| inner("code")), inner("message"))
        }
        Member::One(_) | Member::Unreadable(_) => (None, text("error_description")),
    };
    let status = reply.status;
    let fits = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let word = word.filter(|word| !word.is_empty() && word.bytes().all(fits));
    let mut why = match &word {
        Some(word) => format!("the provider said `{}`", reply.quote(word)),
        None => format!("the provider answered {status} with a malformed error"),
    };
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        why.push_str(": ");
        why.push_str(&reply.quote(&words));
    }
    Some(Refusal { why, word, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(word: Option<&str>, status: u16) -> Refusal {
        Refusal { why: "no".into(), word: word.map(Into::into), status }
    }

    /// The advice follows the cause: one word, one cause.
    #[test]
    fn a_sign_in_is_refused_for_what_the_word_says() {
        let scopes = Scopes::parse("a b").unwrap();
        for (word, why) in [
            ("access_denied", Cause::Declined {}),
            ("authorization_declined", Cause::Declined {}),
            ("invalid_scope", Cause::ScopeUnknown { scopes: "a b".into() }),
            ("invalid_grant", Cause::CodeRefused {}),
            ("invalid_request", Cause::RequestRefused {}),
        ] {
            assert_eq!(cause(word, &scopes), why, "{word}");
        }
    }

    /// By an error code at any status, or by a status without an error code.
    #[test]
    fn busy_is_said_by_word_or_status() {
        for (word, status, busy) in [
            (Some("temporarily_unavailable"), 400, true),
            (None, 429, true),
            (None, 503, true),
            (Some("invalid_request"), 503, true),
            (None, 400, false),
            (Some("invalid_request"), 400, false),
        ] {
            let said = refusal(word, status).busy(Some(7));
            assert_eq!(said, busy.then_some(Cause::Busy { status, seconds: Some(7) }), "{word:?} {status}");
        }
    }
}
