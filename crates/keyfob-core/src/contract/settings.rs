//! The parsed values of all variables. No other code reads a setting from a string.

use alloc::{
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{
    Secret,
    contract::{names, values::Expected},
};

/// How long a helper's output is reused when nothing else is said, in milliseconds.
pub const HELPER_TTL_MS: u64 = 300_000;

/// Everything the contract's variables can say.
#[derive(Debug)]
pub struct Settings {
    /// `ANTHROPIC_AUTH_TOKEN`, without a leading `Bearer `.
    pub auth_token: Option<Secret>,
    /// `ANTHROPIC_API_KEY`.
    pub api_key: Option<Secret>,
    /// The access token that is used as it is.
    pub oauth_token: Option<Secret>,
    /// The credential of one session.
    pub session_token: Option<Secret>,
    /// The seed of a login without a person.
    pub refresh_token: Option<Secret>,
    /// The device's token: then there is no enrolment.
    pub device_token: Option<Secret>,
    /// Where the access token can be read.
    pub oauth_descriptor: Option<Descriptor>,
    /// Where the API key can be read.
    pub api_key_descriptor: Option<Descriptor>,
    /// Where the credential for remote connections can be read.
    pub websocket_descriptor: Option<Descriptor>,
    /// The scopes to ask for.
    pub scopes: Option<Scopes>,
    /// The client to ask as.
    pub client_id: Option<ClientId>,
    /// The authorization endpoint of another provider, as it was written.
    pub custom_url: Option<String>,
    /// Whether the local provider is meant.
    pub local: bool,
    /// Whether the staging provider is meant.
    pub staging: bool,
    /// The bases of the local provider.
    pub bases: Bases,
    /// Who it is, as far as variables say.
    pub presets: Presets,
    /// How long a helper's output is reused, in milliseconds; 0 is never.
    pub helper_ttl_ms: u64,
    /// What the vendor's variables for federation say.
    pub federation: FederationVariables,
    /// Metrics, if OpenTelemetry's variables ask for any.
    pub metrics: Option<Metrics>,
}

/// What the vendor's variables for federation say.
#[derive(Debug, Default)]
pub struct FederationVariables {
    /// The rule that is to fit the identity token.
    pub rule: Option<String>,
    /// The organisation that has the rule.
    pub organization: Option<String>,
    /// The account that the access token acts as.
    pub service_account: Option<String>,
    /// The workspace it is for.
    pub workspace: Option<String>,
    /// The identity token itself.
    pub identity_token: Option<Secret>,
    /// The file that holds a fresh one.
    pub identity_token_file: Option<String>,
}

/// What metrics were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whether they may name the account.
    pub account: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth_token: None,
            api_key: None,
            oauth_token: None,
            session_token: None,
            refresh_token: None,
            device_token: None,
            oauth_descriptor: None,
            api_key_descriptor: None,
            websocket_descriptor: None,
            scopes: None,
            client_id: None,
            custom_url: None,
            local: false,
            staging: false,
            bases: Bases::default(),
            presets: Presets::default(),
            helper_ttl_ms: HELPER_TTL_MS,
            federation: FederationVariables::default(),
            metrics: None,
        }
    }
}

impl Settings {
    /// Whether the approved list has to decide on something.
    #[must_use]
    pub fn wants_approval(&self) -> bool {
        self.custom_url.is_some()
    }

    /// The credential that a variable of this name holds itself, if it is set.
    #[must_use]
    pub fn credential(&self, variable: &str) -> Option<&Secret> {
        match variable {
            names::AUTH_TOKEN => self.auth_token.as_ref(),
            names::API_KEY => self.api_key.as_ref(),
            names::OAUTH_TOKEN => self.oauth_token.as_ref(),
            names::SESSION_TOKEN => self.session_token.as_ref(),
            names::REFRESH_TOKEN => self.refresh_token.as_ref(),
            _ => None,
        }
    }

    /// The descriptors that are named, in the order of the contract.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.oauth_descriptor, &self.api_key_descriptor, &self.websocket_descriptor].into_iter().flatten()
    }
}

/// A descriptor number and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The number, 0 or at least 3.
    pub number: i32,
    /// The variable.
    pub variable: &'static str,
}

/// The three bases of the local provider, without a final slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bases {
    /// Token, profile, revocation, device and session endpoints.
    pub api: String,
    /// The sign-in page.
    pub apps: String,
    /// The console's sign-in page.
    pub console: String,
}

impl Default for Bases {
    fn default() -> Self {
        let base = || String::from("http://localhost:3000");
        Self { api: base(), apps: base(), console: base() }
    }
}

/// Who it is, as far as variables say. Each one saves its look-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presets {
    /// The account, as a lower-case UUID.
    pub account_uuid: Option<String>,
    /// The organisation, as a lower-case UUID.
    pub organization_uuid: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The account's tag in metrics.
    pub tagged_id: Option<String>,
}

/// No scope that a provider names is longer.
const LONGEST_SCOPE: usize = 64 * 1024;

/// Scope tokens (RFC 6749 §3.3), in the order they were given, each once.
///
/// ```
/// use keyfob_core::contract::settings::Scopes;
///
/// let scopes = Scopes::parse("openid profile openid")?;
/// assert_eq!(scopes.to_string(), "openid profile");
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads tokens separated by blanks.
    ///
    /// # Errors
    /// For no token at all, and for characters outside %x21, %x23-5B, %x5D-7E.
    pub fn parse(text: &str) -> Result<Self, Expected> {
        let fits = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let (mut scopes, mut known) = (Vec::new(), BTreeSet::new());
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !token.bytes().all(fits) {
                return Err("expected scope names of visible ASCII, separated by blanks");
            }
            if known.insert(token) {
                scopes.push(token.to_string());
            }
        }
        if scopes.is_empty() { Err("expected at least one scope name") } else { Ok(Self(scopes)) }
    }

    /// Reads what a provider says it granted. Some separate the names by commas alone, which RFC 6749 does not allow.
    /// Text that cannot be read says nothing, and neither does one that is too long to have been requested.
    #[must_use]
    pub(crate) fn granted(text: &str) -> Option<Self> {
        if text.len() > LONGEST_SCOPE {
            return None;
        }
        if text.trim().contains(' ') {
            Self::parse(text).ok()
        } else {
            Self::parse(&text.replace(',', " ")).ok()
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are in both, in this one's order.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let others: BTreeSet<_> = other.0.iter().collect();
        Self(self.0.iter().filter(|scope| others.contains(scope)).cloned().collect())
    }

    /// Each token.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// An OAuth client id: printable ASCII (RFC 6749 appendix A.1), no blank at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// Reads one.
    ///
    /// # Errors
    /// For characters outside %x20-7E, blanks at an end, and more than 512 characters.
    pub fn parse(text: &str) -> Result<Self, Expected> {
        if !Self::fits(text) {
            return Err("expected printable ASCII without a blank at either end, at most 512 characters");
        }
        Ok(Self(text.to_string()))
    }

    /// Whether it is one, also while compiling.
    pub(crate) const fn fits(text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] < 0x20 || bytes[at] > 0x7e {
                return false;
            }
            at += 1;
        }
        let length = bytes.len();
        length > 0 && length <= 512 && bytes[0] != b' ' && bytes[length - 1] != b' '
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6749 §3.3 and appendix A.
    #[test]
    fn scopes_and_client_ids_keep_to_the_grammar() {
        assert!(Scopes::parse("user:profile user:inference").is_ok());
        for wrong in ["", "  ", "a\"b", "a\\b", "a\tb", "ä", "a\nb"] {
            assert!(Scopes::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Scopes::parse("b  a b ").map(|scopes| scopes.to_string()).as_deref(), Ok("b a"));
        assert!(ClientId::parse("9d1c250a e61b").is_ok() && ClientId::parse("!~").is_ok());
        assert!(ClientId::parse(&"a".repeat(512)).is_ok() && ClientId::parse(&"a".repeat(513)).is_err());
        for wrong in ["", " a", "a ", "a\n", "ä"] {
            assert!(ClientId::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_longest_scope_that_is_read() {
        let granted = |length| Scopes::granted(&"a".repeat(length)).is_some();
        assert!(granted(65_536) && !granted(65_537));
    }

    #[test]
    fn a_custom_url_alone_wants_approval() {
        assert!(!Settings::default().wants_approval());
        let custom_url = Some("https://oauth.company.com/authorize".into());
        assert!(Settings { custom_url, ..Settings::default() }.wants_approval());
    }

    /// Each variable that holds a credential itself leads to its own, and no other one to any.
    #[test]
    fn a_variables_credential_is_its_own() {
        let secrets = [
            names::AUTH_TOKEN,
            names::API_KEY,
            names::OAUTH_TOKEN,
            names::SESSION_TOKEN,
            names::REFRESH_TOKEN,
        ];
        let [auth, key, oauth, session, refresh] = secrets.map(|name| Some(Secret::from(name.to_string())));
        let settings = Settings {
            auth_token: auth,
            api_key: key,
            oauth_token: oauth,
            session_token: session,
            refresh_token: refresh,
            ..Settings::default()
        };
        for name in secrets {
            assert!(settings.credential(name).is_some_and(|secret| secret.same_as(name)), "{name}");
            assert!(Settings::default().credential(name).is_none(), "{name}");
        }
        assert!(settings.credential(names::CUSTOM_URL).is_none());
    }
}
