//! What a host chooses for its client.

use std::{os::fd::OwnedFd, path::PathBuf};

use keyfob_core::contract::names;

/// What a host chooses for its client, as the command line does for the command. Everything that is not chosen comes from
/// the environment and the configuration file. [`Client::new`](crate::Client::new) reads and checks it all.
///
/// ```no_run
/// use keyfob::{Choices, Client};
///
/// let client = Client::new(Choices::new().environment("staging").profile("build-agent"))?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Choices {
    pub(crate) home: Option<PathBuf>,
    pub(crate) approved: Option<PathBuf>,
    pub(crate) environment: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) descriptors: bool,
    pub(crate) given: Vec<(&'static str, OwnedFd)>,
}

impl Choices {
    /// Nothing is chosen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory of configuration and logins, instead of the one that `KEYFOB_HOME` or the user's home leads to. It is
    /// trusted even inside a repository; never take it from a variable or a project file.
    #[must_use]
    pub fn home(mut self, directory: impl Into<PathBuf>) -> Self {
        self.home = Some(directory.into());
        self
    }

    /// A list of approved providers, besides the compiled-in, the system's and the user's. It decides which hosts a
    /// `CLAUDE_CODE_CUSTOM_OAUTH_URL` may name; never take it from a variable or a project file.
    #[must_use]
    pub fn approved(mut self, file: impl Into<PathBuf>) -> Self {
        self.approved = Some(file.into());
        self
    }

    /// The environment of the configuration file, instead of the one that `KEYFOB_ENVIRONMENT` names. One that does not
    /// exist is an error of [`Client::new`](crate::Client::new).
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// The profile, instead of the one that `KEYFOB_PROFILE` names. It means exactly the login of that profile: every
    /// other source is ignored.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    /// Whether to take over descriptors whose numbers variables give: they are then read once and closed. Enable this
    /// only in a program that opens nothing before it creates its client: a stale number could name one of its own
    /// files. Off by default.
    #[must_use]
    pub const fn inherit_descriptors(mut self, allowed: bool) -> Self {
        self.descriptors = allowed;
        self
    }

    /// Reads the OAuth access token from this descriptor instead of the one whose number
    /// `CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR` gives.
    #[must_use]
    pub fn oauth_token_on(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.give(names::OAUTH_DESCRIPTOR, descriptor.into())
    }

    /// Reads the API key from this descriptor instead of the one whose number
    /// `CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR` gives.
    #[must_use]
    pub fn api_key_on(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.give(names::API_KEY_DESCRIPTOR, descriptor.into())
    }

    /// Reads the credential for remote connections from this descriptor instead of the one whose number
    /// `CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR` gives.
    #[must_use]
    pub fn websocket_credential_on(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.give(names::WEBSOCKET_DESCRIPTOR, descriptor.into())
    }

    /// A second descriptor for one credential replaces the first one.
    fn give(mut self, variable: &'static str, descriptor: OwnedFd) -> Self {
        self.given.retain(|(other, _)| *other != variable);
        self.given.push((variable, descriptor));
        self
    }
}
