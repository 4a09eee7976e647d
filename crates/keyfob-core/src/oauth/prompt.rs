//! What the sign-in page must ask, even of a signed-in user (OpenID Connect Core §3.1.2.1).

use alloc::string::{String, ToString};

use crate::contract::{settings::Scopes, values::Expected};

/// The words of a `prompt` parameter. Without any the parameter is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt(String);

impl Prompt {
    /// Reads words separated by blanks.
    ///
    /// # Errors
    /// For a word that does not make the page ask. With `none` it would ask nothing, and no user could sign in.
    pub fn parse(text: &str) -> Result<Self, Expected> {
        const WORDS: [&str; 4] = ["login", "consent", "select_account", "create"];
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        if words.all(|word| WORDS.contains(&word)) {
            Ok(Self(text.trim_matches(' ').to_string()))
        } else {
            Err("expected login, consent, select_account or create, separated by blanks, or nothing")
        }
    }

    /// The parameter of a request for these scopes: what was configured, else what these scopes need.
    ///
    /// OpenID Connect Core §11 has a provider ignore `offline_access` without `prompt=consent`: the login would end
    /// with its access token.
    #[must_use]
    pub fn parameter(chosen: Option<&Self>, scopes: &Scopes) -> Option<String> {
        match chosen {
            Some(Self(words)) => (!words.is_empty()).then(|| words.clone()),
            None => scopes.iter().any(|scope| scope == "offline_access").then(|| "consent".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(chosen: Option<&str>, scopes: &str) -> Option<String> {
        let chosen = chosen.map(|text| Prompt::parse(text).expect(text));
        Prompt::parameter(chosen.as_ref(), &Scopes::parse(scopes).expect(scopes))
    }

    #[test]
    fn offline_access_needs_consent() {
        assert_eq!(parameter(None, "openid offline_access").as_deref(), Some("consent"));
        assert_eq!(parameter(None, "openid profile"), None);
        assert_eq!(parameter(Some("login consent"), "openid").as_deref(), Some("login consent"));
        assert_eq!(parameter(Some(""), "offline_access"), None, "a provider that minds it");
    }

    #[test]
    fn prompt_none_is_rejected() {
        for wrong in ["none", "login none", "Consent", "login,consent", "login\tconsent"] {
            assert!(Prompt::parse(wrong).is_err(), "{wrong}");
        }
    }
}
