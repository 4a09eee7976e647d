//! Signs in through a browser or a pasted code, until the login is saved.

use std::{cell::RefCell, sync::mpsc::Receiver, time::Duration};

use keyfob_core::{
    Cause, Error, Id, Result,
    oauth::{
        authorization_code::{Code, Flow, Request as Ask},
        dialect::Addition,
        prompt::Prompt,
        reply::Reply,
    },
    provider::environment::Environment,
};

pub use crate::login::signed_in::{Confirm, SignedIn, TokenKind};
use crate::world::failure;
use crate::{
    login::{
        callback::{Arrival, Callback, Host, Loopback},
        closing_page::{Closing, For},
        establish::establish,
        options::LoginOptions,
        paste::{Paste, Pasted},
        question,
        setup_token::{self, Minted},
        signed_in::Meant,
    },
    provider::token,
    renewal,
    session::Session,
};

/// How long a browser may take to follow to the closing page.
const CLOSING: Duration = Duration::from_millis(1500);
/// How often a wait looks at the pasted text.
const LOOK: Duration = Duration::from_millis(40);
/// A sign-in that waits for its answer. Its address can be shown as soon as this exists: the callback is listening
/// already.
pub struct Attempt<'c> {
    session: &'c Session,
    environment: Environment,
    flow: Flow,
    url: String,
    page: String,
    loopback: Option<Loopback>,
    detour: Option<Error>,
    lasting: Option<Duration>,
    email: Option<String>,
    tell: Option<fn(&Error) -> Error>,
}

impl Session {
    /// Begins to sign in: binds the callback, then makes the address. Where nothing can be bound, the provider's
    /// page that shows a code takes the callback's place, if it has one: see [`Attempt::detour`].
    pub(crate) fn begin_login(&self, how: &LoginOptions) -> Result<Attempt<'_>> {
        self.environment()?.for_a_person()?;
        let environment = self.complete_environment()?;
        let client_id = environment.require_client_id()?.clone();
        match how.lasting {
            None => crate::login::establish::would_be_kept(self, &environment)?,
            // It is handed over, and only a note of it is kept.
            Some(seconds) => {
                environment.may_last(seconds.as_secs())?;
                drop(renewal::wait_for_lease(&self.world, &*self.store()?)?);
            }
        }
        let host = if environment.redirect_is_name { Host::Name } else { Host::Literal };
        let port = if how.port == 0 { environment.port.unwrap_or(0) } else { how.port };
        let bound = if how.paste { None } else { Some(Loopback::bind(host, port)) };
        let (mut loopback, redirect_uri, detour) = match bound {
            None => (None, environment.paste_redirect()?, None),
            Some(Ok(loopback)) => {
                let uri = loopback.redirect_uri();
                (Some(loopback), uri, None)
            }
            Some(Err(taken)) => match environment.paste_redirect() {
                Ok(uri) => (None, uri, Some(taken)),
                Err(_) => return Err(taken),
            },
        };
        let (authorize_url, scopes) = environment.sign_in(how.console)?;
        let scopes = if how.lasting.is_some() { setup_token::scopes(self)? } else { scopes.clone() };
        let (mut random, mut name) = ([0; 64], [0; 16]);
        self.world.entropy.fill(&mut random).map_err(failure::no_randomness)?;
        self.world.entropy.fill(&mut name).map_err(failure::no_randomness)?;
        let prompt = Prompt::parameter(environment.prompt.as_ref(), &scopes);
        let hint = how.hint.iter().map(|hint| Addition::new("login_hint", hint));
        let prompt = prompt.map(|words| Addition::new("prompt", &words));
        let extra = hint.chain(prompt).chain(environment.authorize_parameters.clone()).collect();
        let request = Ask {
            authorize_url: authorize_url.to_owned(),
            client_id,
            redirect_uri,
            scopes,
            issuer: environment.iss().map(str::to_owned),
            iss_promised: environment.iss_promised,
            extra,
        };
        let flow = Flow::begin(request, &random);
        let url = flow.url()?;
        let page = match &mut loopback {
            Some(loopback) => {
                let name = keyfob_core::digest::hex(&name);
                loopback.open_through(&name, url.clone())
            }
            None => url.clone(),
        };
        Ok(Attempt {
            session: self,
            environment,
            flow,
            url,
            page,
            loopback,
            detour,
            lasting: how.lasting,
            email: how.hint.clone(),
            tell: how.tell,
        })
    }

    /// The environment with its endpoints discovered, where they must be.
    pub(crate) fn complete_environment(&self) -> Result<Environment> {
        let environment = self.environment()?;
        crate::provider::discovery::complete(&self.world, environment)
    }
}

impl Attempt<'_> {
    /// The address to open.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address to open in a browser of this machine. It leads to [`Attempt::url`] and can be passed in a browser's
    /// arguments, which every user of the machine can read: it holds neither `state` nor challenge.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Whether this waits for a callback.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.loopback.is_some()
    }

    /// Why this does not wait for a callback although that was wanted: a taken port, no loopback.
    #[must_use]
    pub fn detour(&self) -> Option<&Error> {
        self.detour.as_ref()
    }

    /// Whether [`Client::begin_device_login`](crate::Client::begin_device_login) would work too: the provider supports
    /// it, and the configuration does not switch it off.
    #[must_use]
    pub fn offers_code(&self) -> bool {
        !self.session.setup.config.device_grant_is_off && self.environment.endpoints.device_url.is_some()
    }

    /// Waits up to `patience` for the callback or for pasted text, whichever comes first, and finishes the sign-in: checks
    /// `state` and `iss` (RFC 9207), exchanges the code (RFC 6749 §4.1.3), and saves the login.
    ///
    /// A paste that cannot be right, or whose code the provider refuses, is reported to `mistaken` and does not end the wait;
    /// neither does a callback that belongs to another sign-in. `pasted` carries one line at a time, or an error for a line
    /// that could not be read whole; its sender is dropped when no more can come.
    ///
    /// # Errors
    /// - [`ErrorId::LoginTimeout`](crate::ErrorId::LoginTimeout) after `patience`, or when neither a callback nor a paste can
    ///   come any more.
    /// - [`ErrorId::LoginDenied`](crate::ErrorId::LoginDenied) if the person or the provider declines.
    /// - [`ErrorId::OtherAccount`](crate::ErrorId::OtherAccount) unless `confirm` agrees to another account.
    /// - What goes wrong with the exchange, or with saving. A login that was stored before then stays.
    pub fn wait(
        mut self,
        pasted: Option<&Receiver<Result<String>>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
        confirm: Confirm<'_>,
    ) -> Result<SignedIn> {
        let tell =
            |signed_in: &SignedIn, meant: For<'_>| Closing::signed_in(&signed_in.record().identity, meant);
        self.answered(pasted, patience, mistaken, tell, |attempt, code, tab| {
            let reply = attempt.exchange(code)?;
            let Attempt { session, environment, flow, email, loopback, .. } = attempt;
            let page = For { profile: Some(session.setup.profile_name()), issuer: environment.issuer() };
            let waiting = RefCell::new((loopback, tab));
            let confirm = |error: &Error| match &mut *waiting.borrow_mut() {
                (Some(loopback), tab) if tab.is_some() => {
                    question::asked(loopback, tab, Closing::asked(error, page), || confirm(error))
                }
                _ => confirm(error),
            };
            let meant = Meant { email: email.as_deref(), confirm: &confirm };
            establish(session, environment, &flow.request().scopes, flow.nonce(), &reply, meant)
        })
    }

    /// Waits as [`Attempt::wait`] does, for a sign-in with [`LoginOptions::lasting`]: returns the token instead of saving a
    /// login.
    ///
    /// # Errors
    /// As [`Attempt::wait`].
    pub fn wait_for_token(
        mut self,
        pasted: Option<&Receiver<Result<String>>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
    ) -> Result<Minted> {
        self.answered(
            pasted,
            patience,
            mistaken,
            |_, meant| Closing::minted(meant),
            |attempt, code, _| {
                Minted::read(
                    attempt.session,
                    &attempt.environment,
                    &attempt.flow.request().scopes,
                    &attempt.exchange(code)?,
                )
            },
        )
    }

    fn answered<T>(
        &mut self,
        pasted: Option<&Receiver<Result<String>>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
        tell: impl Fn(&T, For<'_>) -> Closing,
        finish: impl Fn(&mut Self, &Code, &mut Option<Callback>) -> Result<T>,
    ) -> Result<T> {
        let clock = self.session.world.clock.clone();
        let end = clock.stopwatch() + patience;
        let mut paste = Paste::new(pasted);
        let mut last = None;
        while clock.stopwatch() < end {
            match self.next_arrival() {
                Some(Arrival::Callback(callback)) if self.flow.is_ours(&callback.query) => {
                    let code = self.flow.callback(&callback.query);
                    let mut tab = Some(callback);
                    let result = code.and_then(|code| finish(self, &code, &mut tab));
                    self.close(tab, &result, &tell);
                    return result;
                }
                Some(Arrival::Callback(callback)) => {
                    callback.refuse();
                    continue;
                }
                Some(Arrival::Hindered { query, error }) => {
                    if query.is_none_or(|query| self.flow.is_ours(&query)) {
                        mistaken(&error);
                        last = Some(error);
                    }
                    continue;
                }
                None => {}
            }
            let text = match paste.look() {
                Pasted::Text(text) => Ok(text),
                Pasted::Cut(error) => Err(error),
                Pasted::Nothing if paste.is_over() && self.loopback.is_none() => {
                    let nobody = || {
                        let why = "standard input has ended, and nothing else can bring the answer";
                        Error::new(Id::LoginTimeout, "signing in was not finished", why)
                            .because(Cause::InputEnded {})
                    };
                    return Err(last.unwrap_or_else(nobody));
                }
                Pasted::Nothing => continue,
            };
            let code = text.and_then(|text| self.flow.pasted(&text));
            match code.and_then(|code| finish(self, &code, &mut None)) {
                // The code is not the provider's, or is used up: the person may still have the right one, and the
                // page may still send it.
                Err(error) if is_mistake(&error) => {
                    mistaken(&error);
                    last = Some(error);
                }
                result => {
                    self.close(None, &result, &tell);
                    return result;
                }
            }
        }
        let nothing = format!("no answer came in {} s", patience.as_secs());
        let why = match last {
            Some(error) => format!("{nothing} after one that could not be taken: {}", error.why()),
            None => nothing,
        };
        let paste = self.loopback.is_none();
        Err(Error::new(Id::LoginTimeout, "signing in was not finished", why)
            .because(Cause::NobodyAnswered { paste }))
    }

    /// Tells the browser how it ended, once the login is on the disk or has failed. A user who pasted and followed the
    /// page to the end, or has it open in a second tab, sees it there too.
    fn close<T>(
        &mut self,
        first: Option<Callback>,
        result: &Result<T>,
        tell: &impl Fn(&T, For<'_>) -> Closing,
    ) {
        let Some(loopback) = &mut self.loopback else { return };
        let profile = self.session.setup.profile_name();
        let profile = self.lasting.is_none().then_some(profile);
        let meant = For { profile, issuer: self.environment.issuer() };
        let closing = match result {
            Ok(done) => tell(done, meant),
            Err(error) => {
                Closing::failed(&self.tell.map_or_else(|| error.clone(), |tell| tell(error)), meant)
            }
        };
        let path = closing.path;
        loopback.set_closing(closing);
        let mut told = 0;
        let mut next = first.map(Arrival::Callback);
        loop {
            match next.take().or_else(|| loopback.next(Duration::ZERO)) {
                Some(Arrival::Callback(callback)) if self.flow.is_ours(&callback.query) => {
                    callback.finish(path);
                    told += 1;
                }
                Some(Arrival::Callback(callback)) => callback.refuse(),
                Some(Arrival::Hindered { .. }) => {}
                None => break,
            }
        }
        loopback.wait_for_closing_pages(told, CLOSING);
    }

    fn next_arrival(&mut self) -> Option<Arrival> {
        match &mut self.loopback {
            Some(loopback) => loopback.next(LOOK),
            None => {
                self.session.world.clock.sleep(LOOK);
                None
            }
        }
    }

    fn exchange(&self, code: &Code) -> Result<Reply> {
        let request = self.flow.exchange(code, self.lasting.map(|time| time.as_secs()));
        token::ask(self.session, &self.environment, self.environment.token_url()?, request)
    }
}

/// Whether a paste that ended like this was the wrong text, and another one may be right.
fn is_mistake(error: &Error) -> bool {
    matches!(error.id(), Id::CallbackInvalid | Id::StateMismatch | Id::ProviderRefused)
}
