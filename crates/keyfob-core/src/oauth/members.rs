//! Reads members of a JSON response one by one, so that an invalid member that is not needed cannot spoil the others.
//!
//! A strict JSON parser rejects the whole text for half a surrogate pair in a display name, and with it the only
//! refresh token that will work from now on. So the top-level object is split without parsing its values; a value is
//! parsed, strictly, when it is requested by name.

use alloc::{string::String, vec::Vec};

use serde_json::Value;

use crate::Secret;

/// What stands at the top of an answer.
pub(super) struct Members<'b> {
    found: Vec<(String, Raw<'b>)>,
    end: End,
}

enum Raw<'b> {
    Json(&'b [u8]),
    Text(String),
}

/// How the text ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Where it should.
    Whole,
    /// In the middle.
    Cut,
    /// It continues in a way that is not JSON, or something follows it.
    Broken {
        /// Whether what was not read may hold another refresh token.
        doubtful: bool,
    },
}

/// What is known of one member.
pub(super) enum Member {
    /// It is not there, or null.
    Absent,
    /// This.
    One(Value),
    /// It is there twice (RFC 6749 §3.2 forbids that), or its own value cannot be read.
    Unreadable(&'static str),
}

const ROTATED: &str = "refresh_token";

impl<'b> Members<'b> {
    /// Those of a JSON object; `None` when the text does not even begin like one. A byte order mark is passed over
    /// (RFC 8259 §8.1 lets a reader do that).
    pub(super) fn of_json(body: &'b [u8]) -> Option<Self> {
        let mut text = Text(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii());
        text.take(b'{').then(|| {
            let mut found = Vec::new();
            let end = text.object(&mut found);
            Self { found, end }
        })
    }

    /// Those of a form. The last value of one that was cut may be cut too: it is left out.
    pub(super) fn of_form(body: &[u8], cut: bool) -> Self {
        let pairs = url::form_urlencoded::parse(body.trim_ascii());
        let mut found: Vec<_> =
            pairs.map(|(name, value)| (name.into_owned(), Raw::Text(value.into_owned()))).collect();
        if cut {
            found.pop();
        }
        Self { found, end: if cut { End::Cut } else { End::Whole } }
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    pub(super) fn get(&self, name: &str) -> Member {
        let mut all = self.found.iter().filter(|(known, _)| known == name).map(|(_, raw)| raw);
        let (Some(one), None) = (all.next(), all.next()) else {
            return if self.found.iter().any(|(known, _)| known == name) {
                Member::Unreadable("is there twice")
            } else {
                Member::Absent
            };
        };
        match one {
            Raw::Text(text) => Member::One(Value::String(text.clone())),
            Raw::Json(raw) => match serde_json::from_slice(raw) {
                Ok(Value::Null) => Member::Absent,
                Ok(value) => Member::One(value),
                Err(_) => Member::Unreadable("is not JSON"),
            },
        }
    }

    /// The one well-formed refresh token there is, however wrong the rest of the answer is. If there are two, it is
    /// unknown which one is right.
    pub(super) fn rotated(&self) -> Option<Secret> {
        if self.end == (End::Broken { doubtful: true }) {
            return None;
        }
        match self.get(ROTATED) {
            Member::One(Value::String(text)) => Secret::visible(&text).ok(),
            _ => None,
        }
    }

    /// Whether it says something of a refresh token that [`Members::rotated`] could not read.
    pub(super) fn hides_a_rotated_one(&self) -> bool {
        let silent = match self.get(ROTATED) {
            Member::Absent => true,
            Member::One(Value::String(text)) => text.is_empty() || Secret::visible(&text).is_ok(),
            _ => false,
        };
        !silent || self.end == (End::Broken { doubtful: true })
    }
}

/// What is still to be walked through.
struct Text<'b>(&'b [u8]);

impl<'b> Text<'b> {
    fn take(&mut self, octet: u8) -> bool {
        let rest = self.0.trim_ascii_start().strip_prefix(&[octet]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The members after the opening brace, up to where it ends.
    fn object(&mut self, found: &mut Vec<(String, Raw<'b>)>) -> End {
        loop {
            if self.take(b'}') {
                return if self.0.trim_ascii().is_empty() { End::Whole } else { self.broken() };
            }
            if self.0.trim_ascii().is_empty() {
                return End::Cut;
            }
            let Some(name) = self.string() else { return self.broken_or_cut(b'"') };
            if !self.take(b':') {
                return self.broken_or_cut(b':');
            }
            let Some(value) = self.value() else { return End::Cut };
            // A name that is no text is none of those that are asked for.
            if let Ok(name) = serde_json::from_slice(name) {
                found.push((name, Raw::Json(value)));
            }
            let more = self.take(b',');
            if !more && !matches!(self.0.trim_ascii().first(), None | Some(b'}')) {
                return self.broken();
            }
        }
    }

    fn broken(&self) -> End {
        let doubtful = self.0.windows(ROTATED.len()).any(|part| part == ROTATED.as_bytes());
        End::Broken { doubtful }
    }

    fn broken_or_cut(&self, expected: u8) -> End {
        match self.0.trim_ascii().first() {
            None => End::Cut,
            Some(octet) if *octet == expected => End::Cut,
            Some(_) => self.broken(),
        }
    }

    /// A text with its quotes; `None` when there is none, or it does not end.
    fn string(&mut self) -> Option<&'b [u8]> {
        let text = self.0.trim_ascii_start();
        let length = string_length(text)?;
        let (string, rest) = text.split_at(length);
        self.0 = rest;
        Some(string)
    }

    /// Any value, by its brackets alone; `None` when it does not end.
    fn value(&mut self) -> Option<&'b [u8]> {
        let text = self.0.trim_ascii_start();
        if text.first() == Some(&b'"') {
            return self.string();
        }
        let (mut at, mut depth) = (0_usize, 0_usize);
        loop {
            match text.get(at)? {
                b'"' => at += string_length(&text[at..])?,
                b'[' | b'{' => {
                    depth += 1;
                    at += 1;
                }
                b',' | b']' | b'}' if depth == 0 => break,
                b']' | b'}' => {
                    depth -= 1;
                    at += 1;
                }
                _ => at += 1,
            }
        }
        let (value, rest) = text.split_at(at);
        self.0 = rest;
        Some(value.trim_ascii_end())
    }
}

fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(text.first() == Some(&b'"'));
    if at == 0 {
        return None;
    }
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(body: &str) -> Option<Secret> {
        Members::of_json(body.as_bytes()).and_then(|members| members.rotated())
    }

    /// What was read of a broken answer counts, unless what was not read may say something else of it.
    #[test]
    fn the_refresh_token_of_a_broken_answer_is_kept_while_there_is_one() {
        for rest in [
            "",
            "}",
            ",",
            " something behind it that is no JSON at all",
            ", something that is none",
            "} </html>",
        ] {
            let body = alloc::format!(r#"{{"refresh_token":"rt-2"{rest}"#);
            assert!(rotated(&body).is_some_and(|token| token.same_as("rt-2")), "{body}");
        }
        for rest in [
            r#","refresh_token":"rt-3"}"#,
            r#", something "refresh_token":"rt-3"}"#,
            r#"} "refresh_token":"rt-3""#,
            r#","x" "refresh_token":"rt-3"}"#,
        ] {
            let body = alloc::format!(r#"{{"refresh_token":"rt-2"{rest}"#);
            assert!(rotated(&body).is_none(), "{body}");
        }
    }
}
