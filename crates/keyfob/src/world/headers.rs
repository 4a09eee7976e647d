//! The header fields of an answer.

use std::fmt;

use keyfob_core::Secret;
use zeroize::Zeroizing;

/// Fields of an answer, as many and as long as anything here could need. Their values may be credentials: they are never
/// shown.
#[derive(Default)]
pub struct Headers(Vec<(String, Zeroizing<String>)>);

/// How many fields are kept.
const MOST: usize = 64;
/// How long a kept value is at most, in octets.
const LONGEST: usize = 8 * 1024;

impl Headers {
    /// Keeps the first fields that are not too long.
    pub fn new<'h>(fields: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let kept = fields.into_iter().filter(|(_, value)| value.len() <= LONGEST).take(MOST);
        Self(kept.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned()))).collect())
    }

    /// The first field of this name, in upper or lower case (RFC 9110 §5.1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(kept, _)| kept.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The same where it is a credential: visible ASCII, or nothing.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).and_then(|value| Secret::visible(value).ok())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_in_any_case_and_never_shown() {
        let headers = Headers::new([
            ("x-trusted-device-token", "dt-1"),
            ("X-Trusted-Device-Token", "dt-2"),
            ("x-blank", "a b"),
        ]);
        assert_eq!(headers.get("X-Trusted-Device-Token"), Some("dt-1"));
        assert_eq!(headers.secret("X-TRUSTED-DEVICE-TOKEN").unwrap().expose(), "dt-1");
        assert!(headers.get("x-none").is_none());
        assert!(headers.get("x-blank").is_some() && headers.secret("x-blank").is_none());
        assert!(!format!("{headers:?}").contains("dt-1"));
    }

    #[test]
    fn no_answer_makes_headers_grow_without_end() {
        let long = "x".repeat(LONGEST + 1);
        let many = (0..MOST + 9).map(|_| ("x-many", "x"));
        let headers = Headers::new([("x-long", &*long)].into_iter().chain(many));
        assert!(headers.get("x-long").is_none());
        assert_eq!(headers.0.len(), MOST);
    }
}
