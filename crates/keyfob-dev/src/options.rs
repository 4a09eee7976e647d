//! What a development server is started with.

use crate::credential::Digest;
use crate::faults::FaultPlan;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The public native client that every server knows.
pub const LOCAL_CLIENT_ID: &str = "keyfob-local";

/// The API key that every server knows; it belongs to [`DEFAULT_EMAIL`].
pub const LOCAL_API_KEY: &str = "kdev-ak-local";

/// Who signs in when [`Options::auto_approve`] is set and the request has no usable `login_hint`.
pub const DEFAULT_EMAIL: &str = "dev@example.com";

/// What a [`DevServer`](crate::DevServer) is started with.
///
/// There is no listening address on purpose: the server listens on loopback and nowhere else.
#[derive(Clone, Debug)]
pub struct Options {
    /// TCP port; 0 lets the system choose. Default 3000.
    pub port: u16,
    /// Further ports, as an environment has them whose sign-in page and console are other services. All answer alike;
    /// the issuer is that of [`Options::port`], and only that one has metadata. 0 lets the system choose.
    pub page_ports: Vec<u16>,
    /// Answer authorization requests at once, as the request's `login_hint` or [`DEFAULT_EMAIL`], without a page.
    /// Off by default: RFC 8252 §8.6 wants a person to consent.
    pub auto_approve: bool,
    /// Asks every client in whose name a person signs in to enrol its machine: `"trusted_device":"required"` in the
    /// answer of the token endpoint.
    pub require_device: bool,
    /// Life of access tokens, counted in whole seconds. Default one hour (RFC 6750 §5.3).
    pub access_token_ttl: Duration,
    /// How long every request waits before it is processed. Default zero.
    pub latency: Duration,
    /// How long the faults `late` and `slow-body` stretch an answer. Default five seconds.
    pub late: Duration,
    /// How long a just-rotated refresh token is accepted once more. Default zero: reuse revokes the family at once
    /// (RFC 9700 §4.14.2).
    pub reuse_grace: Duration,
    /// How often a device may poll (RFC 8628 §3.5), in whole seconds. Default five seconds.
    pub device_interval: Duration,
    /// How long a client may take for its headers, and again for its body. Default ten seconds.
    pub patience: Duration,
    /// Clients besides [`LOCAL_CLIENT_ID`].
    pub clients: Vec<Client>,
    /// Faults that are armed from the start, as [`DevServer::inject`](crate::DevServer::inject) does later.
    pub faults: Vec<FaultPlan>,
    /// API keys besides [`LOCAL_API_KEY`].
    pub api_keys: Vec<ApiKey>,
    /// A file to which every request appends one JSON line. It never holds a secret.
    pub log: Option<PathBuf>,
    /// A file in which logins survive a restart, for one server at a time. It is replaced (mode 0600) on every change,
    /// before the answer leaves, and holds e-mail addresses and SHA-256 digests of tokens, never tokens.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 3000,
            page_ports: Vec::new(),
            auto_approve: false,
            require_device: false,
            access_token_ttl: Duration::from_secs(3600),
            latency: Duration::ZERO,
            late: Duration::from_secs(5),
            reuse_grace: Duration::ZERO,
            device_interval: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            clients: Vec::new(),
            faults: Vec::new(),
            api_keys: Vec::new(),
            log: None,
            state: None,
        }
    }
}

/// A registered client (RFC 6749 §2). Parsed from `ID` (public) or `ID:SECRET` (confidential).
///
/// Every client may use the loopback redirect `/callback` on any port (RFC 8252 §7.3) and the page that shows the
/// code; [`Client::redirect_uri`] adds exact ones. Only a digest of the secret is kept.
#[derive(Clone)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<Digest>,
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
        Ok(Self { id: id.to_owned(), secret: None, redirect_uris: Vec::new() })
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

    /// Adds a redirect URI that is compared exactly (RFC 9700 §2.1).
    ///
    /// # Errors
    /// When it has a fragment (RFC 6749 §3.1.2), a character that may not stand in a URI, or is neither `https` nor
    /// `http` on loopback (RFC 9700 §2.6).
    pub fn redirect_uri(mut self, uri: &str) -> Result<Self, ClientError> {
        if !crate::redirect::acceptable(uri) {
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
            .field("confidential", &self.secret.is_some())
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
    /// The redirect URI is not usable.
    BadRedirect,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoId => "the client id is empty: expected ID or ID:SECRET",
            Self::BadId => "the client id may hold visible ASCII without a colon only",
            Self::BadSecret => "the client secret is empty or holds a character that is not printable ASCII",
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
