//! Registered clients and API keys.

use std::{fmt, str::FromStr};

use crate::state::{client_key::PublicKey, credential::Digest, redirect};

/// The public native client that every server knows.
pub const LOCAL_CLIENT_ID: &str = "keyfob-local";

/// The API key that every server knows; it belongs to [`DEFAULT_EMAIL`](crate::DEFAULT_EMAIL).
pub const LOCAL_API_KEY: &str = "kdev-ak-local";

/// A registered client (RFC 6749 §2). Parsed from `ID` (public) or `ID:SECRET` (confidential).
///
/// Every client may use the loopback redirect `/callback` on any port (RFC 8252 §7.3) and the page that shows the
/// code; [`Client::redirect_uri`] adds exact ones. Only a digest of the secret is kept.
#[derive(Clone)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<Digest>,
    /// Of one that signs (RFC 7523 §2.2), and then it has no secret.
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) redirect_uris: Vec<String>,
}

impl Client {
    /// A public client: it identifies itself and proves nothing (RFC 6749 §2.1).
    ///
    /// # Errors
    /// When the id is empty or holds anything but visible ASCII without a colon.
    pub fn public(id: &str) -> Result<Self, ClientError> {
        if id.is_empty() {
            return Err(ClientError::NoId);
        }
        // RFC 6749 App. A.1 allows blanks too; a colon could not be told from the separator.
        if !id.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return Err(ClientError::BadId);
        }
        Ok(Self { id: id.to_owned(), secret: None, keys: Vec::new(), redirect_uris: Vec::new() })
    }

    /// A confidential client (RFC 6749 §2.1): it may introspect tokens and use the client credentials grant.
    ///
    /// # Errors
    /// As [`Client::public`], and when the secret is empty or holds anything but printable ASCII. The error never
    /// holds the secret.
    pub fn confidential(id: &str, secret: &str) -> Result<Self, ClientError> {
        let mut client = Self::public(id)?;
        if secret.is_empty() || !secret.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
            return Err(ClientError::BadSecret);
        }
        client.secret = Some(Digest::of(secret));
        Ok(client)
    }

    /// A confidential client that proves itself with what it signs (RFC 7523 §2.2, `private_key_jwt`): with its public keys
    /// in PEM, as one JWK, or as a JWK Set. P-256 (ES256), Ed25519 (EdDSA) and RSA (RS256) are known.
    ///
    /// # Errors
    /// As [`Client::public`], and when the text holds no public key, or one of another kind.
    pub fn with_key(id: &str, keys: &str) -> Result<Self, ClientError> {
        let mut client = Self::public(id)?;
        client.keys = PublicKey::read(keys).ok_or(ClientError::BadKey)?;
        Ok(client)
    }

    /// Whether it proves itself (RFC 6749 §2.1).
    pub(crate) fn is_confidential(&self) -> bool {
        self.secret.is_some() || !self.keys.is_empty()
    }

    /// Adds a redirect URI that is compared exactly (RFC 9700 §2.1).
    ///
    /// # Errors
    /// When it has a fragment (RFC 6749 §3.1.2), a character that may not stand in a URI, or is neither `https` nor
    /// `http` on loopback (RFC 9700 §2.6).
    pub fn redirect_uri(mut self, uri: &str) -> Result<Self, ClientError> {
        if !redirect::acceptable(uri) {
            return Err(ClientError::BadRedirect);
        }
        self.redirect_uris.push(uri.to_owned());
        Ok(self)
    }

    /// The client id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("confidential", &self.is_confidential())
            .field("redirect_uris", &self.redirect_uris)
            .finish()
    }
}

impl FromStr for Client {
    type Err = ClientError;

    fn from_str(words: &str) -> Result<Self, ClientError> {
        match words.split_once(':') {
            None => Self::public(words),
            Some((id, secret)) => Self::confidential(id, secret),
        }
    }
}

/// Why a [`Client`] was refused. It never holds the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The id is empty.
    NoId,
    /// The id holds a blank, a colon or something that is not visible ASCII.
    BadId,
    /// The secret is empty or holds something that is not printable ASCII.
    BadSecret,
    /// There is no public key in the text, or one of another kind than P-256, Ed25519 or RSA.
    BadKey,
    /// The redirect URI is not usable.
    BadRedirect,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoId => "the client id is empty: expected ID or ID:SECRET",
            Self::BadId => "the client id may hold visible ASCII without a colon only",
            Self::BadSecret => "the client secret is empty or holds a character that is not printable ASCII",
            Self::BadKey => "expected a public key in PEM or as a JWK: P-256, Ed25519 or RSA",
            Self::BadRedirect => {
                "a redirect URI must be https, or http on loopback, without fragment, blank or user info"
            }
        })
    }
}

impl std::error::Error for ClientError {}

/// An API key that `/v1/whoami` knows. Only its digest is kept.
#[derive(Clone)]
pub struct ApiKey {
    pub(crate) digest: Digest,
    pub(crate) email: String,
}

impl ApiKey {
    /// A key and the e-mail address of the account it belongs to.
    #[must_use]
    pub fn new(key: &str, email: &str) -> Self {
        Self { digest: Digest::of(key), email: email.to_owned() }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("email", &self.email).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_error_never_echoes_the_secret() {
        let error = "id:s3cr\u{7f}et".parse::<Client>().expect_err("control character");
        assert_eq!(error, ClientError::BadSecret);
        assert!(!format!("{error} {error:?}").contains("s3cr"));
        let client: Client = "id:hunter2".parse().expect("valid");
        assert!(!format!("{client:?}").contains("hunter2"));
    }

    #[test]
    fn a_client_without_secret_is_public() {
        assert!("id".parse::<Client>().expect("valid").secret.is_none());
        assert_eq!("id:".parse::<Client>().expect_err("empty secret"), ClientError::BadSecret);
        assert_eq!(":x".parse::<Client>().expect_err("no id"), ClientError::NoId);
    }
}
