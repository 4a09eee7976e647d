//! The secrets of a request, so that they can be removed from the text of its response.
//!
//! Providers, and whatever answers in their place, repeat what they were sent: in an `error_description`, on a page,
//! as the name of a profile. That text is stored in records and shown on terminals and in logs, so all of it passes
//! through [`Sent::cut`].

use alloc::{borrow::ToOwned, collections::BTreeSet, format, string::String, vec::Vec};

use base64::{Engine, alphabet, engine::general_purpose::GeneralPurpose, engine::general_purpose::NO_PAD};
use zeroize::Zeroizing;

use crate::{
    Secret,
    oauth::header::{Header, carries_a_credential},
};

/// Members of a request that are no secret: what they say may be repeated.
const PUBLIC: [&str; 15] = [
    "grant_type",
    "client_id",
    "scope",
    "redirect_uri",
    "response_type",
    "token_type_hint",
    "resource",
    "audience",
    "requested_token_type",
    "subject_token_type",
    "actor_token_type",
    "client_assertion_type",
    "display_name",
    "organization_id",
    "code_challenge_method",
];
/// What is shorter is no secret, and cutting it would leave no words.
const SHORTEST: usize = 4;
/// A part of a secret that is as long is cut as well: a description may be cut short itself, and in base64 a secret
/// begins where it wants.
const PART: usize = 12;
/// No description is read further.
const READ: usize = 4096;
/// What stands where something was cut.
const GONE: &str = "[…]";

/// The secrets of one request.
#[derive(Default)]
pub struct Sent {
    body: Option<Secret>,
    headers: Vec<Secret>,
}

impl core::fmt::Debug for Sent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sent(…)")
    }
}

impl Sent {
    /// Those of a request with this body, a form or JSON, and these headers. Nothing is worked out before an answer has
    /// words.
    #[must_use]
    pub fn new(body: Option<&Secret>, headers: &[Header]) -> Self {
        // What configuration adds is no secret: an answer that asks for it must be able to name it.
        let secret = headers.iter().filter(|(name, _)| carries_a_credential(name));
        let headers = secret.map(|(_, value)| value.duplicate()).collect();
        Self { body: body.map(Secret::duplicate), headers }
    }

    /// The same words without what was sent, in whatever encoding it was sent in: as it is, percent-encoded, in base64
    /// and base64url, in a JSON text.
    #[must_use]
    pub fn cut(&self, text: &str) -> String {
        let end = text.char_indices().nth(READ).map_or(text.len(), |(end, _)| end);
        let text = &text[..end];
        if (self.body.is_none() && self.headers.is_empty()) || text.is_empty() {
            return text.to_owned();
        }
        let needles = self.needles();
        let words = without(text, &needles);
        // Encoded more than once, or in an unforeseen spelling: then nothing of it is worth the risk.
        let mut plain = words.clone();
        for _ in 0..3 {
            plain = decoded(&plain);
            if without(&plain, &needles) != plain {
                return GONE.into();
            }
        }
        words
    }

    /// Whether there is anything to cut.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.cut(text) != text
    }

    /// Every secret in every encoding.
    #[expect(clippy::disallowed_methods, reason = "searched for, in copies that are wiped")]
    fn needles(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let mut values: Vec<Zeroizing<String>> = Vec::new();
        if let Some(body) = self.body.as_ref().map(Secret::expose) {
            match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body) {
                Ok(members) => {
                    let secret = members.iter().filter(|(name, _)| !PUBLIC.contains(&name.as_str()));
                    values
                        .extend(secret.filter_map(|(_, value)| Some(Zeroizing::new(value.as_str()?.into()))));
                }
                Err(_) => {
                    let pairs = url::form_urlencoded::parse(body.as_bytes());
                    let secret = pairs.filter(|(name, _)| !PUBLIC.contains(&&**name));
                    values.extend(secret.map(|(_, value)| Zeroizing::new(value.into_owned())));
                }
            }
        }
        // The scheme of a header is none of the secret; both halves of basic authentication are encoded in it.
        for header in self.headers.iter().map(Secret::expose) {
            let credential = header.rsplit(' ').next().unwrap_or(header);
            values.push(Zeroizing::new(credential.into()));
            let pair = BASE64.decode(credential.trim_end_matches('=')).ok().map(Zeroizing::new);
            let pair = pair.as_ref().and_then(|pair| core::str::from_utf8(pair).ok());
            if let Some((_, secret)) = pair.and_then(|pair| pair.split_once(':')) {
                values.push(Zeroizing::new(secret.into()));
                values.push(Zeroizing::new(decoded(secret)));
            }
        }
        values.retain(|value| value.len() >= SHORTEST);
        values.iter().flat_map(|value| encodings(value)).collect()
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD);

fn encodings(value: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Vec::new();
    let mut add = |text: String| all.push(Zeroizing::new(text.into_bytes()));
    let escaped: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    // The hexadecimal digits are written in either case.
    add(lower_escapes(&escaped));
    add(escaped);
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    add(quoted.replace('/', "\\/"));
    add(quoted);
    // In base64 it looks another way behind one octet more, and behind two. What it shares an octet with is not its own.
    for skipped in 0..3.min(value.len()) {
        for engine in [BASE64, BASE64URL] {
            let mut text = engine.encode(&value.as_bytes()[skipped..]);
            if !(value.len() - skipped).is_multiple_of(3) {
                text.pop();
            }
            if text.len() >= SHORTEST {
                add(text);
            }
        }
    }
    add(value.into());
    all
}

fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split('%').enumerate() {
        let (hex, rest) = if at == 0 { ("", part) } else { part.split_at(2.min(part.len())) };
        out.push_str(if at == 0 { "" } else { "%" });
        out.push_str(&hex.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

/// Percent-encoding and the backslashes of JSON taken off once.
fn decoded(text: &str) -> String {
    let pairs = format!("x={}", text.replace('&', "%26").replace('\\', ""));
    url::form_urlencoded::parse(pairs.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// The text without any of the needles, and without parts of them that are long enough to recognise.
fn without(text: &str, needles: &[Zeroizing<Vec<u8>>]) -> String {
    let octets = text.as_bytes();
    let mut gone = alloc::vec![false; octets.len()];
    for needle in needles {
        let length = needle.len().min(PART);
        let parts: BTreeSet<&[u8]> = needle.windows(length).collect();
        for (at, part) in octets.windows(length).enumerate() {
            if parts.contains(part) {
                gone[at..at + length].fill(true);
            }
        }
    }
    let mut out = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        if !gone[at] {
            out.push(character);
        } else if at == 0 || !gone[at - 1] {
            out.push_str(GONE);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "rt+9/xQ\"z=\\K_secret-of-a-login%41";

    fn form() -> Sent {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", TOKEN)
            .append_pair("client_id", "keyfob-local")
            .finish();
        Sent::new(Some(&Secret::from(form)), &[])
    }

    /// Whatever a provider makes of what it was sent.
    fn spellings(secret: &str) -> Vec<String> {
        let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        let lower: String = secret.bytes().map(|b| format!("%{b:02x}")).collect();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let twice: String = url::form_urlencoded::byte_serialize(form.as_bytes()).collect();
        let mut all = alloc::vec![
            secret.into(),
            secret.replace('\\', "\\\\").replace('"', "\\\""),
            secret.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/"),
            form,
            twice,
            percent,
            lower,
        ];
        for before in ["", "a", "ab", "abc", "client:"] {
            let text = format!("{before}{secret}");
            all.push(BASE64.encode(&text));
            all.push(BASE64URL.encode(&text));
        }
        all
    }

    #[test]
    fn what_was_sent_is_cut_in_every_spelling() {
        for spelling in spellings(TOKEN) {
            let said = form().cut(&format!("the token {spelling} is spent, write to ops"));
            // What may be left of base64 is what it shares with its neighbours, and those.
            let left = said.replace(GONE, "").len().saturating_sub("the token  is spent, write to ops".len());
            assert!(said.contains(GONE) && left <= "Y2xpZW50OnJ0".len() + 1, "{spelling}: {said}");
        }
        assert_eq!(form().cut(&format!("token {TOKEN} is spent")), "token […] is spent");
        assert_eq!(form().cut(&format!("begins {}…", &TOKEN[..20])), "begins […]…", "a part of it");
        // Written by hand: either case of a digit, and the words around it stay.
        for form_encoded in
            ["rt%2B9%2FxQ%22z%3D%5CK_secret-of-a-login%2541", "rt%2b9%2fxQ%22z%3d%5cK_secret-of-a-login%2541"]
        {
            assert_eq!(form().cut(&format!("token {form_encoded} is spent")), "token […] is spent");
        }
    }

    #[test]
    fn what_is_no_secret_may_be_said() {
        let words = "refresh_token of keyfob-local: grant_type refresh_token is not allowed (50 % ü)";
        assert_eq!(form().cut(words), words);
        assert_eq!(Sent::default().cut(TOKEN), TOKEN);
        let long = "x".repeat(READ + 7);
        assert_eq!(form().cut(&long).len(), READ);
    }

    #[test]
    fn headers_and_json_are_looked_into() {
        let pair = BASE64.encode("client:s%26cret-of-it");
        let basic = [("Authorization".into(), Secret::from(format!("Basic {pair}")))];
        for said in [pair.as_str(), "s%26cret-of-it", "s&cret-of-it", "Basic Y2xpZW50OnMlMjZjcmV0LW9mLWl0"] {
            assert!(Sent::new(None, &basic).is_in(said), "{said}");
        }
        let bearer = [("Authorization".into(), Secret::from(String::from("Bearer at-1234567")))];
        assert_eq!(Sent::new(None, &bearer).cut("Bearer at-1234567 is unknown"), "Bearer […] is unknown");
        let json =
            Secret::from(String::from(r#"{"grant_type":"refresh_token","refresh_token":"rt-\"1234"}"#));
        assert_eq!(
            Sent::new(Some(&json), &[]).cut("rt-\"1234, rt-\\\"1234: refresh_token"),
            "[…], […]: refresh_token"
        );
    }

    /// A short secret is all there is to be found: nothing of it may be lost to the octets it shares a letter with.
    #[test]
    fn a_short_secret_is_found_in_base64_wherever_it_begins() {
        for secret in ["s3cret", "s3cret-", "s3cret-8", "s3cret-90"] {
            let body = Secret::from(format!("refresh_token={secret}"));
            let sent = Sent::new(Some(&body), &[]);
            for before in ["", "a", "ab"] {
                for after in ["", "\u{1}", "~~", "\u{1}\u{7f}~"] {
                    for engine in [BASE64, BASE64URL] {
                        let said = engine.encode(format!("{before}{secret}{after}"));
                        assert!(sent.is_in(&said), "{before:?} {secret} {after:?}: {said}");
                    }
                }
            }
        }
    }
}
