//! The public interface: one setup, one world, and the methods that a program calls. Every method is one call into the
//! module it belongs to; what only the command needs is in [`crate::internals`].

use std::{sync::Arc, time::Duration};

use keyfob_core::{Error, Result, Secret, Source, source::Purpose};

use crate::{
    credential::{grant::Grant, verify::Verified},
    login::{
        browser::Attempt,
        device_code::DeviceAttempt,
        options::LoginOptions,
        signed_in::{Confirm, SignedIn, TokenKind},
    },
    logout::SignedOut,
    remote::{Handshake, dial::Stream},
    renewal::{InThread, Need, worker::Detached},
    session::Session,
    setup::{Choices, Setup},
    world::{
        system::{self, env},
        waiting::Progress,
    },
};

/// Hands out credentials, signs in and signs out.
///
/// It is cheap to keep and can be shared between threads. Nothing that another process may change is cached: every call
/// reads the store again. Every call blocks, for as long as the network takes where a renewal is due.
///
/// ```
/// use keyfob::{Client, Purpose, Source};
///
/// // let client = Client::from_env()?;
/// # let client: Client = keyfob::testing::Simulation::signed_in()?.client();
/// let grant = client.grant(Purpose::Api)?;
/// for (name, value) in grant.headers() {
///     // Hand name and value to the HTTP client of your choice.
///     assert_eq!((name, format!("{value:?}").as_str()), ("Authorization", "Secret(…)"));
/// }
/// assert_eq!(grant.source(), Source::Login);
/// assert!(grant.expires_at().is_some());
/// # Ok::<(), keyfob::Error>(())
/// ```
pub struct Client {
    pub(crate) session: Session,
}

impl Client {
    /// Creates a client from the environment variables of this process and the files of its user. Uses no network.
    ///
    /// Descriptors that variables name are not touched: a host allows that with [`Choices::inherit_descriptors`] and
    /// [`Client::new`].
    ///
    /// # Errors
    /// Every malformed variable, unsafe file and contradiction, all in one error: [`Error::also`] lists the further ones.
    pub fn from_env() -> Result<Self> {
        Self::new(Choices::new())
    }

    /// Creates a client as [`Client::from_env`] does, with what the host chooses taking precedence.
    ///
    /// # Errors
    /// As [`Client::from_env`].
    pub fn new(choices: Choices) -> Result<Self> {
        let setup = Setup::read(env::variables(), choices, &system::files::Disk, env::here().as_deref());
        setup.check()?;
        let world = system::world(setup.routes.clone());
        Ok(Self::with(setup, world, Arc::new(InThread)))
    }

    /// Runs renewals in another process, which outlives this one. Without it a renewal ends with the host, and if that is
    /// killed between the provider's answer and the disk, the login is lost. A token that is still fresh starts no process.
    #[must_use]
    pub fn renewing_in(mut self, worker: Detached) -> Self {
        self.session.spender = Arc::new(worker.into_worker());
        self
    }

    /// Reports to this listener whatever takes longer than a second: what is waited for, and when that is over. With a
    /// listener, each request starts a second thread, which watches the time; a fresh token needs neither.
    ///
    /// ```
    /// use keyfob::{Progress, Purpose};
    ///
    /// // let client = Client::from_env()?;
    /// # let client = keyfob::testing::Simulation::signed_in()?.client();
    /// let client = client.on_progress(|progress| {
    ///     if let Progress::Waiting(what) = progress {
    ///         eprintln!("waiting for {what}");
    ///     }
    /// });
    /// client.grant(Purpose::Api)?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn on_progress(mut self, listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.session.world.progress = Some(Arc::new(listener));
        self
    }

    /// Uses this source and no other. If it has no credential, that is an error, and never another identity. `None` lifts the
    /// restriction.
    ///
    /// ```
    /// use keyfob::{ErrorId, Purpose, Source};
    ///
    /// // let client = Client::from_env()?;
    /// # let client = keyfob::testing::Simulation::signed_in()?.client();
    /// let client = client.only(Source::ApiKey);
    /// let error = client.grant(Purpose::Api).expect_err("there is a login, and no API key");
    /// assert_eq!(error.id(), ErrorId::SourceExcluded);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn only(mut self, source: impl Into<Option<Source>>) -> Self {
        self.session.only = source.into();
        self
    }

    /// Returns the source that [`Client::only`] restricts this client to.
    #[must_use]
    pub fn confined_to(&self) -> Option<Source> {
        self.session.confined_to()
    }

    /// Returns a credential for this purpose, renewed first if that is due.
    ///
    /// The first source that is present is used; if it is broken, that is the error, and no later one is tried. A fresh token
    /// costs one read of a file. When several processes find that a renewal is due, one of them renews. If a renewal fails
    /// while the old token is still valid, that is returned, with a [warning](Grant::warning).
    ///
    /// # Errors
    /// - [`ErrorId::LoginNeeded`] if no source has a credential, [`ErrorId::SourceExcluded`] if the one that is allowed has
    ///   none.
    /// - [`ErrorId::LoginRefused`] if the provider has ended the login: a person has to sign in again.
    /// - [`ErrorId::Unreachable`], [`ErrorId::CoolingDown`], [`ErrorId::OutcomeUnknown`], [`ErrorId::LeaseBusy`]: try again
    ///   later. The login is kept.
    /// - Otherwise what is wrong with the source: its descriptor, its helper, its file.
    ///
    /// [`ErrorId::LoginNeeded`]: crate::ErrorId::LoginNeeded
    /// [`ErrorId::SourceExcluded`]: crate::ErrorId::SourceExcluded
    /// [`ErrorId::LoginRefused`]: crate::ErrorId::LoginRefused
    /// [`ErrorId::Unreachable`]: crate::ErrorId::Unreachable
    /// [`ErrorId::CoolingDown`]: crate::ErrorId::CoolingDown
    /// [`ErrorId::OutcomeUnknown`]: crate::ErrorId::OutcomeUnknown
    /// [`ErrorId::LeaseBusy`]: crate::ErrorId::LeaseBusy
    pub fn grant(&self, purpose: Purpose) -> Result<Grant> {
        self.session.grant(purpose)
    }

    /// Returns a credential as [`Client::grant`] does, that also meets this need.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub fn grant_for(&self, purpose: Purpose, need: &Need) -> Result<Grant> {
        self.session.grant_for(purpose, need)
    }

    /// Returns a credential as [`Client::grant_for`] does, and waits up to `patience` for what passes by itself: for a
    /// provider that says "later" until it may be asked again, for one that is unreachable with growing pauses, for another
    /// process that holds the login.
    ///
    /// # Errors
    /// As [`Client::grant`]; at once if waiting would take longer than `patience`.
    pub fn grant_within(&self, purpose: Purpose, need: &Need, patience: Duration) -> Result<Grant> {
        self.session.grant_within(purpose, need, patience)
    }

    /// Returns another credential after an API has answered 401 to this one: a renewed one, or the one that another process
    /// has renewed meanwhile. Never one from another source.
    ///
    /// ```
    /// use keyfob::{Purpose, testing::Simulation};
    ///
    /// let simulation = Simulation::signed_in()?;
    /// let (one, two) = (simulation.client(), simulation.client());
    /// let (first, second) = (one.grant(Purpose::Api)?, two.grant(Purpose::Api)?);
    /// simulation.end_access_tokens();
    ///
    /// // Both processes get a 401 with the same token: one refresh token is spent.
    /// assert!(!simulation.accepts(&first) && !simulation.accepts(&second));
    /// assert!(simulation.accepts(&one.rejected(&first)?));
    /// assert!(simulation.accepts(&two.rejected(&second)?));
    /// assert_eq!(simulation.renewals(), 1);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// - As [`Client::grant`].
    /// - [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) if the rejected credential cannot be renewed, or the
    ///   source has changed.
    /// - [`ErrorId::RejectedStale`](crate::ErrorId::RejectedStale) if the rejected credential was itself returned by this
    ///   method and has not expired: a third would be rejected too, and each costs a refresh token. So a loop of request and
    ///   renewal ends by itself. [`Grant::was_accepted`] says that the credential worked in between.
    pub fn rejected(&self, grant: &Grant) -> Result<Grant> {
        self.session.rejected(grant)
    }

    /// Returns whether the credential that would be used for this purpose may be sent to this origin (`https://host[:port]`):
    /// an endpoint's own, or one that is listed under `hosts` in the configuration. Ask before sending a credential to an
    /// address that came from elsewhere.
    ///
    /// ```
    /// use keyfob::{Purpose, testing::Simulation};
    ///
    /// let client = Simulation::signed_in()?.client();
    /// assert!(!client.may_go_to(Purpose::Api, "https://evil.example")?);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// The environment cannot be determined, or the store cannot be read.
    pub fn may_go_to(&self, purpose: Purpose, origin: &str) -> Result<bool> {
        self.session.may_go_to(purpose, origin)
    }

    /// Asks the provider whether it accepts the credential that would be used. Renews nothing and reads no descriptor that
    /// reading would empty.
    ///
    /// # Errors
    /// [`ErrorId::LoginNeeded`](crate::ErrorId::LoginNeeded) if there is no credential,
    /// [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) if the provider does not accept it,
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable) if it could not be asked.
    pub fn verify(&self, purpose: Purpose) -> Result<Verified> {
        self.session.verify(purpose)
    }

    /// Begins a sign-in through a browser: the authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636). Binds the
    /// callback on loopback (RFC 8252 §7.3), then makes the address to open. If nothing can be bound, the provider's page
    /// that shows a code is used instead, if it has one: see [`Attempt::detour`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use keyfob::{Client, LoginOptions};
    ///
    /// let client = Client::from_env()?;
    /// let attempt = client.begin_login(&LoginOptions::new())?;
    /// println!("Open {}", attempt.url());
    /// let patience = Duration::from_secs(300);
    /// let signed_in = attempt.wait(None, patience, &mut |error| eprintln!("{error}"), &|_| false)?;
    /// println!("Signed in to {}", signed_in.issuer());
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorId::ClientIdMissing`](crate::ErrorId::ClientIdMissing),
    /// [`ErrorId::EnvironmentIncomplete`](crate::ErrorId::EnvironmentIncomplete),
    /// [`ErrorId::MetadataInvalid`](crate::ErrorId::MetadataInvalid);
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable) for a port that is taken where the provider has no such page;
    /// whatever would keep the login from being saved, so that the user does not sign in for nothing.
    pub fn begin_login(&self, how: &LoginOptions) -> Result<Attempt<'_>> {
        self.session.begin_login(how)
    }

    /// Begins a sign-in with a code that is typed on another device (RFC 8628), for machines without a browser.
    ///
    /// ```no_run
    /// use keyfob::Client;
    ///
    /// let client = Client::from_env()?;
    /// let attempt = client.begin_device_login()?;
    /// println!("Open {} and type {}", attempt.verification_uri(), attempt.user_code());
    /// let signed_in = attempt.wait(None, &mut |_| {}, &|_| false)?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorId::DeviceGrantOff`](crate::ErrorId::DeviceGrantOff) if the configuration switches it off;
    /// [`ErrorId::EnvironmentIncomplete`](crate::ErrorId::EnvironmentIncomplete) if the provider has no endpoint for it; what
    /// the provider answers.
    pub fn begin_device_login(&self) -> Result<DeviceAttempt<'_>> {
        self.session.begin_device_login()
    }

    /// Signs in with a token that the caller already has. An access token is tried at the provider before it is saved; a
    /// refresh token is exchanged at once (RFC 6749 §6).
    ///
    /// # Errors
    /// As a sign-in through the browser; a login that was stored before then stays.
    /// [`ErrorId::OtherAccount`](crate::ErrorId::OtherAccount) if another account's login is stored and `confirm` declines: the
    /// exchange has spent the refresh token, so its successor is saved in another profile, which the error names.
    pub fn login_with(&self, kind: TokenKind, token: Secret, confirm: Confirm<'_>) -> Result<SignedIn> {
        self.session.login_with(kind, token, confirm)
    }

    /// Signs out of the chosen login: revokes its tokens at the provider (RFC 7009), then removes it from this machine
    /// in any case. Returns `None` if there was no login. Waits for a renewal in progress, so that it cannot bring the
    /// login back.
    ///
    /// # Errors
    /// The store's: the login may then still be on this machine, and the error says so.
    pub fn logout(&self) -> Result<Option<SignedOut>> {
        self.session.logout()
    }

    /// Signs out of every login of this home, whatever the profile, issuer or client, and forgets remembered output of
    /// API key helpers. Returns what was signed out of, and an error for each login that was not; one failure does not
    /// stop the rest.
    ///
    /// # Errors
    /// The directory of the logins cannot be listed.
    pub fn logout_all(&self) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        self.session.logout_all()
    }

    /// Returns the address and headers for a remote connection (WebSocket). After one was closed with
    /// [`Ended::Renew`](crate::Ended::Renew), pass its grant: it is renewed as by [`Client::rejected`].
    ///
    /// Without `url` it is the session endpoint of the provider. Another address must be on an origin of the provider's own,
    /// or on one that is listed under `hosts` in its configuration. The credential of a session, which is not a stored login's,
    /// may also go to an approved origin; the token of a login or a device never leaves its provider.
    ///
    /// ```
    /// use keyfob::testing::Simulation;
    ///
    /// let handshake = Simulation::signed_in()?.client().handshake(None, None)?;
    /// assert!(handshake.url().starts_with("ws"));
    /// for (name, value) in handshake.headers() {
    ///     // Hand both to the WebSocket client of your choice, for this address and no other.
    ///     let _ = (name, value);
    /// }
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorId::UrlNotApproved`](crate::ErrorId::UrlNotApproved) if the credential may not go to this address;
    /// [`ErrorId::EnvironmentIncomplete`](crate::ErrorId::EnvironmentIncomplete) without `url` if there is no session endpoint;
    /// as [`Client::grant`].
    pub fn handshake(&self, url: Option<&str>, expired: Option<&Grant>) -> Result<Handshake> {
        self.session.handshake(url, expired)
    }

    /// Opens the connection for a handshake: through the proxy if there is one, with TLS, and without following redirects.
    /// Nothing is sent on it yet; the WebSocket client speaks first.
    ///
    /// # Errors
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn dial(&self, handshake: &Handshake) -> Result<Stream> {
        handshake.dial(&self.session)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("profile", &self.session.setup.profile_name()).finish_non_exhaustive()
    }
}
