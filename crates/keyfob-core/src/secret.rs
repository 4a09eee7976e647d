//! A type for secrets, so that the compiler keeps them out of logs and errors.

use alloc::{boxed::Box, string::String};
use core::fmt;

use zeroize::Zeroize;

/// A text that must not be seen: a token, a key, a code, a verifier.
///
/// It has no `Display`, no `Serialize`, no `Clone` and no `==`; its `Debug` is redacted and its memory is
/// zeroed when it is dropped. [`Secret::expose`] is the only door, and every use of it states its reason.
///
/// ```
/// use keyfob_core::Secret;
///
/// let token = Secret::new("sesame");
/// assert_eq!(format!("{token:?}"), "Secret(…)");
/// ```
pub struct Secret(Box<str>);

impl Secret {
    /// Takes the text in. The caller's own copy, if it keeps one, is the caller's to wipe.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Banned by lint: an `#[expect(clippy::disallowed_methods, reason = "…")]` says why
    /// it has to leave, where it goes, and who wipes the copy.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second owner of the same secret. Named, so that copies are looked for and found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Refuses what cannot be a header value: RFC 6750 §2.1 and RFC 6749 appendix A want visible ASCII, and
    /// a line break or blank inside a token would be header injection. One final newline, as files and
    /// helpers write it, may be stripped first with [`strip_newline`].
    ///
    /// # Errors
    /// Says what is wrong, never what was given.
    pub fn visible(text: &str) -> Result<Self, Unfit> {
        if text.is_empty() {
            return Err(Unfit::Empty);
        }
        match text.bytes().find(|b| !(0x21..=0x7e).contains(b)) {
            None => Ok(Self::new(text)),
            Some(b'\n' | b'\r') => Err(Unfit::LineBreak),
            Some(b' ' | b'\t') => Err(Unfit::Blank),
            Some(0x80..) => Err(Unfit::NotAscii),
            Some(_) => Err(Unfit::Control),
        }
    }

    /// Whether both hold the same text, in a time that does not depend on where they differ.
    #[must_use]
    pub fn same_as(&self, other: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), other.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |seen, (x, y)| seen | (x ^ y)) == 0
    }

    /// The first 12 hexadecimal digits of SHA-256 over `keyfob/fingerprint/v1` and the secret: enough to
    /// tell two apart in a report, useless for guessing a token of 128 bits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::new().chain_update("keyfob/fingerprint/v1").chain_update(&*self.0).finalize();
        crate::digest::hex(&digest[..6])
    }
}

/// Why a text is no token. Displays as a predicate: "has a blank inside".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// There is nothing in it.
    Empty,
    /// It has more than one line.
    LineBreak,
    /// It has a blank or a tab.
    Blank,
    /// It has a character outside ASCII.
    NotAscii,
    /// It has another control character.
    Control,
}

impl Unfit {
    /// In words, behind the name of what holds the text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::LineBreak => "has a line break inside",
            Self::Blank => "has a blank inside",
            Self::NotAscii => "has a character outside ASCII",
            Self::Control => "has a control character inside",
        }
    }
}

impl Unfit {
    /// As a sentence, where it is clear which text is meant.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::LineBreak => "it has a line break inside",
            Self::Blank => "it has a blank inside",
            Self::NotAscii => "it has a character outside ASCII",
            Self::Control => "it has a control character inside",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Strips one final newline (LF or CRLF), and only one.
#[must_use]
pub fn strip_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into_boxed_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret::new("sesame"))), "Some(Secret(…))");
    }

    #[test]
    fn only_visible_ascii_is_a_token() {
        for (text, why) in [
            ("", "is empty"),
            ("a b", "has a blank inside"),
            ("a\nb", "has a line break inside"),
            ("a\u{7f}", "has a control character inside"),
            ("ä", "has a character outside ASCII"),
        ] {
            assert_eq!(Secret::visible(text).err().map(Unfit::as_str), Some(why), "{text:?}");
        }
        assert!(Secret::visible("aZ09-._~+/=").is_ok());
    }

    #[test]
    fn one_newline_is_stripped_and_no_more() {
        assert_eq!(strip_newline("a\r\n"), "a");
        assert_eq!(strip_newline("a\n\n"), "a\n");
        assert_eq!(strip_newline("a\n"), "a");
        assert_eq!(strip_newline(" a"), " a");
    }

    #[test]
    fn fingerprints_are_the_documented_hash() {
        // printf 'keyfob/fingerprint/v1sesame' | sha256sum | cut -c1-12
        assert_eq!(Secret::new("sesame").fingerprint(), "3b468237d6b9");
    }

    #[test]
    fn comparison_needs_the_whole_text() {
        let secret = Secret::new("sesame");
        assert!(secret.same_as("sesame"));
        assert!(!secret.same_as("sesamf"));
        assert!(!secret.same_as("sesam"));
    }

    #[test]
    fn a_sentence_says_what_the_words_say() {
        for unfit in [Unfit::Empty, Unfit::LineBreak, Unfit::Blank, Unfit::NotAscii, Unfit::Control] {
            assert_eq!(unfit.sentence().strip_prefix("it "), Some(unfit.as_str()));
        }
    }
}
