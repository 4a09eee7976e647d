//! How to sign in through a browser.

use std::time::Duration;

use keyfob_core::Error;

/// How [`Client::begin_login`](crate::Client::begin_login) signs in. Without any of these: through the provider's usual page,
/// with a callback on a port that the system chooses.
///
/// ```
/// use std::time::Duration;
/// use keyfob::LoginOptions;
///
/// let over_ssh = LoginOptions::new().paste(true).hint("ada@example.com");
/// let for_ci = LoginOptions::new().lasting(Duration::from_secs(90 * 24 * 3600));
/// # let _ = (over_ssh, for_ci);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoginOptions {
    pub(crate) console: bool,
    pub(crate) paste: bool,
    pub(crate) port: u16,
    pub(crate) hint: Option<String>,
    pub(crate) lasting: Option<Duration>,
    pub(crate) tell: Option<fn(&Error) -> Error>,
}

impl LoginOptions {
    /// The usual page, with a callback.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to go through the console's page, for accounts that use API keys.
    #[must_use]
    pub const fn console(mut self, wanted: bool) -> Self {
        self.console = wanted;
        self
    }

    /// Whether to do without a callback: the provider's page then shows `code#state`, to be copied and given to
    /// [`Attempt::wait`](crate::Attempt::wait).
    #[must_use]
    pub const fn paste(mut self, wanted: bool) -> Self {
        self.paste = wanted;
        self
    }

    /// The port of the callback on loopback (RFC 8252 §7.3), for providers that only accept a registered one. With 0 it is
    /// the one that the environment fixes (`port` in the configuration); otherwise the system chooses.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Suggests this e-mail address to the provider (`login_hint`, OpenID Connect Core §3.1.2.1). If another account
    /// signs in, nothing is saved unless [`Confirm`](crate::Confirm) agrees.
    #[must_use]
    pub fn hint(mut self, email: impl Into<String>) -> Self {
        self.hint = Some(email.into());
        self
    }

    /// Asks for a token that lasts this long (whole seconds) instead of a login that can be renewed: to be finished with
    /// [`Attempt::wait_for_token`](crate::Attempt::wait_for_token).
    #[must_use]
    pub const fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }

    /// How the host words a failure, with what to do as its [hint](Error::hint): the page in the browser that ends the
    /// sign-in then says the same as the host. Without it, the page says what failed and why.
    #[must_use]
    pub fn tell(mut self, tell: fn(&Error) -> Error) -> Self {
        self.tell = Some(tell);
        self
    }
}
