//! The sources of credentials and their precedence: one slice for each purpose, so that changing the order means
//! moving one entry.

use core::fmt;

use serde::{Serialize, Serializer};

use crate::contract::names;

/// What a credential is wanted for. It decides which sources are asked, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Requests to the API over HTTP.
    Api,
    /// Remote and bridge connections (WebSocket). An API key never counts for these.
    Remote,
    /// The ID token of a login (OpenID Connect Core §2), which says who signed in: for a server that checks it itself, such
    /// as Kubernetes. Only logins have one.
    IdToken,
}

impl Purpose {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Remote => "remote",
            Self::IdToken => "id-token",
        }
    }
}

/// Which kind goes first when both are there: configuration `prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// API keys before OAuth.
    #[default]
    ApiKey,
    /// OAuth before API keys.
    OAuth,
}

/// Where a credential comes from.
///
/// Its name is stable; `Display`, `FromStr` and JSON use it.
///
/// ```
/// use keyfob_core::Source;
///
/// assert_eq!(Source::ApiKeyHelper.to_string(), "api-key-helper");
/// assert_eq!("login".parse(), Ok(Source::Login));
/// assert!("Login".parse::<Source>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// `ANTHROPIC_AUTH_TOKEN`.
    AuthToken,
    /// The API key on an inherited descriptor.
    ApiKeyDescriptor,
    /// `ANTHROPIC_API_KEY`.
    ApiKey,
    /// The command named in the configuration file.
    ApiKeyHelper,
    /// The access token in a variable.
    OauthToken,
    /// The access token on an inherited descriptor.
    OauthTokenDescriptor,
    /// The login seeded by the refresh token of a variable.
    RefreshToken,
    /// The token that an identity token of this machine was exchanged for.
    Federation,
    /// The stored login of the chosen profile, issuer and client.
    Login,
    /// The session's own token, in a variable or in the file that a runner keeps fresh.
    SessionToken,
    /// The WebSocket credential on an inherited descriptor.
    WebSocketDescriptor,
}

impl Source {
    /// Every source.
    pub const ALL: &[Source] = {
        use Source::*;
        &[
            AuthToken,
            ApiKeyDescriptor,
            ApiKey,
            ApiKeyHelper,
            OauthToken,
            OauthTokenDescriptor,
            RefreshToken,
            Federation,
            Login,
            SessionToken,
            WebSocketDescriptor,
        ]
    };

    /// The name in reports and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthToken => "auth-token",
            Self::ApiKeyDescriptor => "api-key-descriptor",
            Self::ApiKey => "api-key",
            Self::ApiKeyHelper => "api-key-helper",
            Self::OauthToken => "oauth-token",
            Self::OauthTokenDescriptor => "oauth-token-descriptor",
            Self::RefreshToken => "refresh-token",
            Self::Federation => "federation",
            Self::Login => "login",
            Self::SessionToken => "session-token",
            Self::WebSocketDescriptor => "websocket-descriptor",
        }
    }

    /// Whether it has an OAuth access token of the environment's provider, which the headers of that environment go with.
    /// Nobody knows who takes what is in `ANTHROPIC_AUTH_TOKEN`.
    #[must_use]
    pub const fn is_oauth(self) -> bool {
        match self {
            Self::OauthToken
            | Self::OauthTokenDescriptor
            | Self::RefreshToken
            | Self::Federation
            | Self::Login => true,
            Self::AuthToken
            | Self::ApiKeyDescriptor
            | Self::ApiKey
            | Self::ApiKeyHelper
            | Self::SessionToken
            | Self::WebSocketDescriptor => false,
        }
    }
}

/// Where the credential of a source is kept. A new kind of source is a new variant here, and everything that looks at
/// sources or reads them has to say what it does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptIn {
    /// In the variable of this name.
    Variable(&'static str),
    /// In the variable of the session's token, or in the file that a runner keeps fresh.
    Session,
    /// On the descriptor that the variable of this name gives.
    Descriptor(&'static str),
    /// In the output of the API key helper.
    Helper,
    /// In the login that a refresh token in a variable seeded.
    SeededLogin,
    /// In the record of an exchange of identity tokens.
    Federated,
    /// In the stored login.
    Login,
}

/// Where the credential of this source is kept, and so how it is looked at and read.
#[must_use]
pub const fn kept_in(source: Source) -> KeptIn {
    match source {
        Source::AuthToken => KeptIn::Variable(names::AUTH_TOKEN),
        Source::ApiKey => KeptIn::Variable(names::API_KEY),
        Source::OauthToken => KeptIn::Variable(names::OAUTH_TOKEN),
        Source::SessionToken => KeptIn::Session,
        Source::ApiKeyDescriptor => KeptIn::Descriptor(names::API_KEY_DESCRIPTOR),
        Source::OauthTokenDescriptor => KeptIn::Descriptor(names::OAUTH_DESCRIPTOR),
        Source::WebSocketDescriptor => KeptIn::Descriptor(names::WEBSOCKET_DESCRIPTOR),
        Source::ApiKeyHelper => KeptIn::Helper,
        Source::RefreshToken => KeptIn::SeededLogin,
        Source::Federation => KeptIn::Federated,
        Source::Login => KeptIn::Login,
    }
}

/// A text that names no [`Source`]. Displays the names there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownSource;

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sources are ")?;
        for (number, source) in Source::ALL.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{source}")?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownSource {}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl core::str::FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Self::ALL.iter().copied().find(|source| source.name() == text).ok_or(UnknownSource)
    }
}

/// The order in which sources are asked. The first that is present wins; a present one that is broken stops
/// the search.
#[must_use]
pub const fn order(purpose: Purpose, prefer: Prefer) -> &'static [Source] {
    use Source::*;
    match (purpose, prefer) {
        (Purpose::Api, Prefer::ApiKey) => &[
            AuthToken,
            ApiKeyDescriptor,
            ApiKey,
            ApiKeyHelper,
            OauthToken,
            OauthTokenDescriptor,
            RefreshToken,
            Federation,
            Login,
        ],
        (Purpose::Api, Prefer::OAuth) => &[
            AuthToken,
            OauthToken,
            OauthTokenDescriptor,
            RefreshToken,
            Federation,
            Login,
            ApiKeyDescriptor,
            ApiKey,
            ApiKeyHelper,
        ],
        (Purpose::Remote, _) => &[
            SessionToken,
            WebSocketDescriptor,
            OauthToken,
            OauthTokenDescriptor,
            RefreshToken,
            Federation,
            Login,
        ],
        (Purpose::IdToken, _) => &[RefreshToken, Login],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec::Vec};

    fn names(purpose: Purpose, prefer: Prefer) -> Vec<&'static str> {
        order(purpose, prefer).iter().map(|s| s.name()).collect()
    }

    /// The contract, "Which credential wins": `prefer = "oauth"` moves 5–9 ahead of 2–4 and nothing else.
    #[test]
    fn preferring_oauth_moves_it_ahead_of_keys() {
        let keys = names(Purpose::Api, Prefer::ApiKey);
        let oauth = names(Purpose::Api, Prefer::OAuth);
        assert_eq!(oauth[0], keys[0]);
        assert_eq!(oauth[1..6], keys[4..9]);
        assert_eq!(oauth[6..9], keys[1..4]);
    }

    #[test]
    fn a_remote_connection_never_takes_an_api_key() {
        let remote = order(Purpose::Remote, Prefer::ApiKey);
        assert_eq!(
            remote[2..],
            order(Purpose::Api, Prefer::ApiKey)[4..],
            "the OAuth sources, in their order"
        );
        for key in [Source::ApiKey, Source::ApiKeyDescriptor, Source::ApiKeyHelper] {
            assert!(!remote.contains(&key));
        }
    }

    #[test]
    fn names_are_read_back() {
        for source in Source::ALL {
            assert_eq!(source.name().parse(), Ok(*source));
        }
        let told = UnknownSource.to_string();
        assert!(
            told.starts_with("the sources are auth-token, api-key-descriptor, ") && told.contains("login")
        );
    }

    /// Reports, metrics and the command line call a source the same, and every one otherwise.
    #[test]
    fn a_source_has_one_name() {
        let shown: alloc::collections::BTreeSet<_> = Source::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), Source::ALL.len());
        for source in Source::ALL {
            assert_eq!(source.to_string().parse(), Ok(*source));
        }
    }

    #[test]
    fn only_logins_have_an_id_token() {
        for prefer in [Prefer::ApiKey, Prefer::OAuth] {
            assert_eq!(order(Purpose::IdToken, prefer), [Source::RefreshToken, Source::Login]);
        }
    }

    #[test]
    fn each_purpose_has_a_word_of_its_own() {
        let words = [Purpose::Api, Purpose::Remote, Purpose::IdToken].map(Purpose::word);
        assert_eq!(words, ["api", "remote", "id-token"]);
    }
}
