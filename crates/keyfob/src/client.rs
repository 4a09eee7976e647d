//! The public face: one setup, one world, and the questions a program asks of them. Every method is one line into the
//! room it belongs to.

use std::{sync::Arc, time::Duration};

use keyfob_core::{
    Error, Record, Result, Secret, Source, Timestamp,
    login::{record::Generation, sealed::KeyStore},
    provider::environment::Environment,
    source::Purpose,
};

use crate::{
    credential::{grant::Grant, standing::Standing, survey::Survey, verify::Verified},
    doctor::{self, Finding},
    login::{
        browser::Attempt,
        device_code::DeviceAttempt,
        establish::{Confirm, SignedIn, TokenKind},
        options::LoginOptions,
        setup_token::Note,
    },
    logout::SignedOut,
    profiles::Profile,
    remote::{Handshake, dial::Stream},
    renewal::{InThread, Need, Spender, worker::Detached},
    session::Session,
    setup::{Choices, Setup},
    store::Store,
    trusted_device::{Device, Forgotten},
    world::{
        World,
        system::{self, env},
        waiting::Progress,
    },
};

/// Hands out credentials. Cheap to keep, safe to share between threads; every call looks again at what other
/// processes have done meanwhile.
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
    session: Session,
}

impl Client {
    /// A client from this process's environment and the user's files. Descriptors named by variables are not
    /// touched: a host opts in with [`Choices::inherit_descriptors`] and [`Client::new`].
    ///
    /// # Errors
    /// Every malformed variable, unsafe file and contradiction, all in one error.
    pub fn from_env() -> Result<Self> {
        Self::new(Choices::new())
    }

    /// The same with choices of the host's own.
    ///
    /// # Errors
    /// As [`Client::from_env`].
    pub fn new(choices: Choices) -> Result<Self> {
        let setup = Setup::read(env::variables(), choices, &system::files::Disk, env::here().as_deref());
        setup.check()?;
        let world = system::world(setup.routes.clone());
        Ok(Self::with(setup, world, Arc::new(InThread)))
    }

    /// Renewals run in another process, which outlives this one. Without it they end with the host, and a login whose
    /// renewal was cut off at the wrong moment is lost.
    #[must_use]
    pub fn renewing_in(mut self, worker: Detached) -> Self {
        self.session.spender = Arc::new(worker.into_worker());
        self
    }

    /// Whatever lasts longer than a second is told to this: what is waited for, and when that is over. While somebody
    /// listens, a request has a second thread, which looks at the time. A fresh token needs neither.
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

    /// Only this source counts: without it there is an error, never another identity.
    #[must_use]
    pub fn only(mut self, source: Option<Source>) -> Self {
        self.session.only = source;
        self
    }

    /// The source everything is confined to, if it is.
    #[must_use]
    pub fn confined_to(&self) -> Option<Source> {
        self.session.confined_to()
    }

    /// A credential for this purpose, renewed if that is due.
    ///
    /// # Errors
    /// [`ErrorId::LoginNeeded`](crate::ErrorId::LoginNeeded) when nothing is there; otherwise what is wrong with the source that won.
    pub fn grant(&self, purpose: Purpose) -> Result<Grant> {
        self.session.grant(purpose)
    }

    /// The same, good for at least so many seconds where it can be renewed.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub fn grant_for(&self, purpose: Purpose, need: &Need) -> Result<Grant> {
        self.session.grant_for(purpose, need)
    }

    /// The same, but what passes by itself is waited for, within this time: a provider's "later" until it may be asked
    /// again, an unreachable one with growing pauses, a process that keeps the login. When that would take longer, the
    /// error comes at once.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub fn grant_within(&self, purpose: Purpose, need: &Need, patience: Duration) -> Result<Grant> {
        self.session.grant_within(purpose, need, patience)
    }

    /// What to do after a 401: renews, but only if this grant's generation is still the newest. Never another
    /// source.
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
    /// As [`Client::grant`]; [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) when the rejected credential cannot be renewed;
    /// [`ErrorId::RejectedStale`](crate::ErrorId::RejectedStale) when it was itself got in the place of a rejected one and has not ended since: a third
    /// would be rejected too, and each costs a refresh token. [`Grant::was_accepted`] makes it like any other.
    pub fn rejected(&self, grant: &Grant) -> Result<Grant> {
        self.session.rejected(grant)
    }

    /// Whether the credential that would be used for this purpose may go to this origin: where its provider is asked, or
    /// one of the `hosts` of its configuration. For whoever is asked for a credential and told by whom.
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
    /// Why it cannot be told which environment is meant.
    pub fn may_go_to(&self, purpose: Purpose, origin: &str) -> Result<bool> {
        self.session.may_go_to(purpose, origin)
    }

    /// Asks the provider whether it accepts the credential that would be used. Renews nothing, and empties no descriptor.
    ///
    /// # Errors
    /// [`ErrorId::LoginNeeded`](crate::ErrorId::LoginNeeded) when there is none, [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) when it is not accepted,
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn verify(&self, purpose: Purpose) -> Result<Verified> {
        self.session.verify(purpose)
    }

    /// Begins to sign in: binds the callback, then makes the address. Where nothing can be bound, the provider's
    /// page that shows a code takes the callback's place, if it has one: see [`Attempt::detour`].
    ///
    /// # Errors
    /// [`ErrorId::ClientIdMissing`](crate::ErrorId::ClientIdMissing), [`ErrorId::EnvironmentIncomplete`](crate::ErrorId::EnvironmentIncomplete), [`ErrorId::MetadataInvalid`](crate::ErrorId::MetadataInvalid); [`ErrorId::Unreachable`](crate::ErrorId::Unreachable) for a
    /// taken port where the provider has no such page.
    pub fn begin_login(&self, how: &LoginOptions) -> Result<Attempt<'_>> {
        self.session.begin_login(how)
    }

    /// Begins to sign in with a code.
    ///
    /// # Errors
    /// [`ErrorId::DeviceGrantOff`](crate::ErrorId::DeviceGrantOff); [`ErrorId::EnvironmentIncomplete`](crate::ErrorId::EnvironmentIncomplete) where the provider has no such endpoint; what the provider says.
    pub fn begin_device_login(&self) -> Result<DeviceAttempt<'_>> {
        self.session.begin_device_login()
    }

    /// Signs in with a token somebody already has. An access token is tried at the provider first.
    ///
    /// # Errors
    /// As a sign-in through the browser; the login that was there before then stays. [`ErrorId::OtherAccount`](crate::ErrorId::OtherAccount): a refresh token
    /// is spent by asking whose it is, so what came for it is kept beside the login, in a profile that is named.
    pub fn login_with(&self, kind: TokenKind, token: Secret, confirm: Confirm<'_>) -> Result<SignedIn> {
        self.session.login_with(kind, token, confirm)
    }

    /// Signs the chosen login out. `None`: nobody was signed in. A renewal in flight is waited for, so that it
    /// cannot bring the login back.
    ///
    /// # Errors
    /// The store's: then the login may still be here, and the error says so.
    pub fn logout(&self) -> Result<Option<SignedOut>> {
        self.session.logout()
    }

    /// Signs out every login of this home, whatever the profile, issuer or client, and forgets remembered
    /// keys. One that cannot be signed out, as [`Client::logout`] would say, keeps no other from it: what is wrong with
    /// each stands beside those that were.
    ///
    /// # Errors
    /// The directory of the logins cannot be listed.
    pub fn logout_all(&self) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        self.session.logout_all()
    }

    /// The headers and address for a connection. After it was closed with [`Ended::Renew`](crate::Ended::Renew), name the grant that
    /// expired: only that generation is renewed.
    ///
    /// Another address must be on an origin of the provider's own, or one of the `hosts` of its configuration. The credential of a session, which nobody stored, may
    /// also go to an approved origin; a login's token and a device's never leave their provider.
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
    /// [`ErrorId::UrlNotApproved`](crate::ErrorId::UrlNotApproved) when the address is neither; as [`Client::grant`].
    pub fn handshake(&self, url: Option<&str>, expired: Option<&Grant>) -> Result<Handshake> {
        self.session.handshake(url, expired)
    }

    /// Opens the connection of a handshake: through the proxy, with TLS, and no redirect.
    ///
    /// # Errors
    /// As [`Handshake`]'s address can fail: [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn dial(&self, handshake: &Handshake) -> Result<Stream> {
        handshake.dial(&self.session)
    }
}

/// What the command and the tests of this workspace ask besides: no interface, see [`crate::internals`].
#[doc(hidden)]
impl Client {
    /// A client over any world, with anybody to spend. Problems of the setup surface where they matter.
    #[must_use]
    pub fn with(setup: Setup, world: World, spender: Arc<dyn Spender>) -> Self {
        Self { session: Session::new(setup, world, spender) }
    }

    /// What this client was told.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        self.session.setup()
    }

    /// What to do after a 401 to the helper's key, named by its fingerprint: the helper runs once more, unless somebody
    /// else had it run since.
    ///
    /// # Errors
    /// [`ErrorId::HelperFailed`](crate::ErrorId::HelperFailed); [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) when that key is not what would be used.
    pub fn rejected_key(&self, purpose: Purpose, fingerprint: &str) -> Result<Grant> {
        self.session.rejected_key(purpose, fingerprint)
    }

    /// The generation now stored for the chosen login, if somebody signed in.
    ///
    /// # Errors
    /// The store's.
    pub fn generation(&self) -> Result<Option<Generation>> {
        self.session.generation()
    }

    /// When the access token of a record ends, by this machine's clock.
    #[must_use]
    pub fn expires_at(&self, record: &Record) -> Option<Timestamp> {
        self.session.expires_at(record)
    }

    /// Where a stored login stands now.
    #[must_use]
    pub fn standing(&self, record: &Record) -> Standing {
        self.session.standing(record)
    }

    /// The provider everything is asked of.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn environment(&self) -> Result<&Environment> {
        self.session.environment()
    }

    /// The store of the chosen profile, issuer and client.
    ///
    /// # Errors
    /// [`ErrorId::ClientIdMissing`](crate::ErrorId::ClientIdMissing), [`ErrorId::NoHome`](crate::ErrorId::NoHome), [`ErrorId::HomeUnsafe`](crate::ErrorId::HomeUnsafe).
    pub fn store(&self) -> Result<Box<dyn Store>> {
        self.session.store()
    }

    /// What the chosen login is sealed with as it lies there, and what the configuration wants from its next renewal
    /// on: a key in a key store, or nothing. Asks no key store.
    #[must_use]
    pub fn sealing(&self) -> (Option<KeyStore>, Option<KeyStore>) {
        self.session.sealing()
    }

    /// Every stored login of this home that can be read, and what is wrong with the others.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn profiles(&self) -> Result<(Vec<Profile>, Vec<Error>)> {
        self.session.profiles()
    }

    /// Makes a profile the one that counts when none is named.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) for a name that is none; the disk's.
    pub fn use_profile(&self, name: &str) -> Result<()> {
        self.session.use_profile(name)
    }

    /// Whether there is a login of this profile, in whatever environment.
    ///
    /// # Errors
    /// The logins cannot be listed.
    pub fn has_profile(&self, name: &str) -> Result<bool> {
        self.session.has_profile(name)
    }

    /// Gives every login of a profile to another name, which must have none. How many there were.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) where the other name has a login or is none; the store's: then nothing is lost, and the same
    /// call goes on with what was begun.
    pub fn rename_profile(&self, from: &str, to: &str) -> Result<usize> {
        self.session.rename_profile(from, to)
    }

    /// Signs out of every login of a profile. One that cannot be signed out keeps no other from it.
    ///
    /// # Errors
    /// The logins cannot be listed, or the choice of the profile cannot be taken back.
    pub fn remove_profile(&self, name: &str) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        self.session.remove_profile(name)
    }

    /// The environment with its endpoints discovered, where they must be.
    ///
    /// # Errors
    /// [`ErrorId::MetadataInvalid`](crate::ErrorId::MetadataInvalid), [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn complete_environment(&self) -> Result<Environment> {
        self.session.complete_environment()
    }

    /// What is known of the tokens minted here, newest last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn minted(&self) -> Result<Vec<Note>> {
        self.session.minted()
    }

    /// Keeps a note of a token, and drops those of tokens that ended long ago.
    ///
    /// # Errors
    /// The disk's.
    pub fn remember_minted(&self, note: Note) -> Result<()> {
        self.session.remember_minted(note)
    }

    /// The device token that goes with this login: the variable's, which is never stored, else the stored one
    /// of this provider and account, unless it has ended.
    ///
    /// # Errors
    /// The store's.
    pub fn device(&self) -> Result<Option<Device>> {
        self.session.device()
    }

    /// Makes this machine a trusted device of the stored login's account.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) when the variable holds a token already: then there is no enrolment.
    /// [`ErrorId::LoginNeeded`](crate::ErrorId::LoginNeeded) when nobody signed in, or the login is too old to enrol with.
    pub fn enroll_device(&self, name: &str) -> Result<Device> {
        self.session.enroll_device(name)
    }

    /// Takes this machine off the account's devices and removes its token here in any case.
    ///
    /// # Errors
    /// The store's.
    pub fn forget_device(&self) -> Result<Forgotten> {
        self.session.forget_device()
    }

    /// Puts the successor a provider sent in its predecessor's place. One that came through the variable has
    /// no place.
    ///
    /// # Errors
    /// The store's.
    pub fn renew_device(&self, successor: &Secret) -> Result<()> {
        self.session.renew_device(successor)
    }

    /// Signs out the login in this store. With `keep_spent` its record stays, without tokens, so that the
    /// variable that seeded it is never replayed.
    ///
    /// # Errors
    /// As [`Client::logout`].
    pub fn sign_out(&self, store: &dyn Store, keep_spent: bool) -> Result<Option<SignedOut>> {
        self.session.sign_out(store, keep_spent)
    }

    /// What each source says, in their order, without taking anything: what `keyfob status` shows.
    #[must_use]
    pub fn survey(&self, purpose: Purpose) -> Survey {
        Survey::of(&self.session, purpose)
    }

    /// Looks for everything that could keep a login from working, and mends what can be mended if `fix` says so.
    #[must_use]
    pub fn examine(&self, fix: bool) -> Vec<Finding> {
        doctor::examine(&self.session, fix)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("profile", &self.session.setup.profile_name()).finish_non_exhaustive()
    }
}
