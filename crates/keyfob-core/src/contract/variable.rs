//! The type of a row of the table.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::contract::{settings::Settings, values::Expected};

/// What a variable says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: absent, or the empty text.
    Unset,
    /// A value that passed.
    Set {
        /// The normalised value; `None` for a secret.
        value: Option<String>,
        /// Distinguishes one secret from another; `None` for the rest.
        fingerprint: Option<String>,
    },
    /// A value that did not.
    Invalid {
        /// What was expected.
        expected: &'static str,
    },
}

/// What sort of value a variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Visible ASCII that must not be shown.
    Secret,
    /// The number of an inherited descriptor.
    Descriptor,
    /// Scope names separated by blanks.
    Scopes,
    /// Printable text.
    Text,
    /// A strict URL.
    Url,
    /// A strict URL on loopback.
    LoopbackUrl,
    /// A UUID.
    Uuid,
    /// An e-mail address.
    Email,
    /// Milliseconds.
    Millis,
    /// `1`, `true`, `0` or `false`.
    Boolean,
}

impl Kind {
    /// Every sort, in the order of the documents.
    pub const ALL: [Self; 10] = [
        Self::Secret,
        Self::Descriptor,
        Self::Boolean,
        Self::Millis,
        Self::Uuid,
        Self::Email,
        Self::Text,
        Self::Scopes,
        Self::Url,
        Self::LoopbackUrl,
    ];

    /// Whether a malformed value may be repeated in the error. People put tokens into the wrong variable,
    /// and passwords into URLs: only what is too short for one, or plainly an address, is repeated.
    pub(super) fn may_repeat(self, text: &str) -> bool {
        match self {
            Self::Boolean | Self::Descriptor | Self::Millis => text.len() <= 8,
            Self::Url | Self::LoopbackUrl => text.starts_with("http") && !text.contains(['@', '?', '#']),
            _ => false,
        }
    }

    /// What passes, in words for documents.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Secret => {
                "Visible ASCII (0x21 to 0x7E). A blank, a line break or a control character inside is refused: it \
                would be header injection."
            }
            Self::Descriptor => {
                "The number of a descriptor this process inherited, in ASCII digits: 3 or above, or 0 when \
                standard input is not a terminal. No two variables may name the same one."
            }
            Self::Scopes => {
                "Scope names (RFC 6749 §3.3) separated by blanks. Order is kept, doubles are dropped."
            }
            Self::Text => "Printable ASCII without a blank at either end.",
            Self::Url => {
                "An https URL as it is written. What a lenient parser would repair is refused: blanks, \
                backslashes, `https:/x`, `127.1`, characters that stand for others. No user name, no fragment."
            }
            Self::LoopbackUrl => {
                "As a URL, but http or https, on `localhost`, 127.0.0.0/8 or `[::1]`, without a query. Its path \
                is kept."
            }
            Self::Uuid => {
                "The 8-4-4-4-12 hexadecimal form, kept in lower case. No braces, no `urn:uuid:`, not nil."
            }
            Self::Email => "One address of at most 254 characters, as people have them: `user@company.com`.",
            Self::Millis => "ASCII digits only: no sign, blank, exponent or separator.",
            Self::Boolean => "Exactly `1`, `true`, `0` or `false`.",
        }
    }

    /// The word in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Descriptor => "descriptor",
            Self::Scopes => "scopes",
            Self::Text => "text",
            Self::Url => "URL",
            Self::LoopbackUrl => "loopback URL",
            Self::Uuid => "UUID",
            Self::Email => "e-mail",
            Self::Millis => "milliseconds",
            Self::Boolean => "boolean",
        }
    }
}

/// How a row takes a value in: it validates, and never acts.
pub type Apply = fn(&mut Settings, &str) -> Result<State, Expected>;

/// One row.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What sort of value it takes.
    pub kind: Kind,
    /// What counts when it is unset, in words.
    pub default: &'static str,
    /// A value that passes.
    pub example: &'static str,
    /// What it means.
    pub about: &'static str,
    /// How it is taken in.
    pub apply: Apply,
}

impl core::fmt::Debug for Variable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

impl Variable {
    /// The line of a shell that sets it.
    #[must_use]
    pub fn export(&self) -> String {
        let quote = if self.example.contains(' ') { "'" } else { "" };
        format!("export {}={quote}{}{quote}", self.name, self.example)
    }
}

/// What a variable's text amounts to for reports.
pub(super) fn shown(value: &impl ToString) -> State {
    State::Set { value: Some(value.to_string()), fingerprint: None }
}
