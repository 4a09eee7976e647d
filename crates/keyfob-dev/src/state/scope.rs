//! The scopes that this provider knows (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// In the order in which they are written.
pub(crate) const KNOWN: [&str; 7] =
    ["user:profile", "user:inference", "org:create_api_key", "openid", "profile", "email", "offline_access"];

/// Asked for when the request names none (RFC 6749 §3.3 lets the server choose a documented default).
pub(crate) const DEFAULT: &str = "user:profile user:inference";

/// A set of known scopes. The state file writes their names, so that it outlives the order of [`KNOWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// Reads scope tokens joined by exactly one space. `None` = bad syntax or an unknown scope.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut set = 0;
        for token in text.split(' ') {
            // A token outside %x21 / %x23-5B / %x5D-7E, or an empty one, is not in the list either.
            let index = KNOWN.iter().position(|known| *known == token)?;
            set |= 1 << index;
        }
        Some(Self(set))
    }

    pub(crate) fn contains(self, scope: &str) -> bool {
        Self::parse(scope).is_some_and(|wanted| self.covers(wanted))
    }

    /// Whether everything in `other` is in here.
    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        KNOWN.into_iter().enumerate().filter(move |(i, _)| self.0 & (1 << i) != 0).map(|(_, name)| name)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl TryFrom<String> for Scopes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).ok_or("a scope is malformed or not known")
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_joined_by_one_space_and_case_sensitive() {
        assert!(Scopes::parse("user:profile user:inference").is_some());
        for bad in ["user:profile  user:inference", " openid", "openid ", "OpenID", "openid\temail", "", "x"]
        {
            assert!(Scopes::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn scopes_are_written_in_one_order() {
        let scopes = Scopes::parse("user:inference user:profile").expect("known");
        assert_eq!(scopes.to_string(), "user:profile user:inference");
        assert!(scopes.contains("user:profile") && !scopes.contains("openid"));
    }
}
