//! Signing in through a browser or a pasted code, until the login is durable.

use std::{sync::mpsc::Receiver, time::Duration};

use keyfob_core::{
    Error, Id, Result,
    environment::Environment,
    login::{Code, Flow, Request as Ask},
    token::Reply,
};

pub use crate::establish::{SignedIn, TokenKind};
use crate::{
    client::Client,
    establish::{establish, post},
    real::loopback::{Callback, Host, Loopback},
    renew,
    setup_token::{self, Minted},
};

/// How long a browser may take to follow to the closing page.
const CLOSING: Duration = Duration::from_millis(1500);
/// How often a wait looks at the pasted text.
const LOOK: Duration = Duration::from_millis(40);

/// How to sign in.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Through the console's page, for accounts that use API keys.
    pub console: bool,
    /// No callback: the provider's page shows `code#state` to copy.
    pub paste: bool,
    /// The port of the callback; 0 lets the system choose.
    pub port: u16,
    /// An e-mail address to suggest to the provider.
    pub hint: Option<String>,
    /// Ask for a token that lasts so many seconds instead of a renewable login: see [`Attempt::wait_for_token`].
    pub lasting: Option<u64>,
}

/// A sign-in that waits for its answer. Its address can be shown as soon as this exists: whatever listens is
/// listening already.
pub struct Attempt<'c> {
    client: &'c Client,
    environment: Environment,
    flow: Flow,
    url: String,
    loopback: Option<Loopback>,
    lasting: Option<u64>,
}

impl Client {
    /// Begins to sign in: binds the callback, then makes the address.
    ///
    /// # Errors
    /// [`Id::ClientIdMissing`], [`Id::EnvironmentIncomplete`], [`Id::MetadataInvalid`], a taken port.
    pub fn begin_login(&self, how: &How) -> Result<Attempt<'_>> {
        self.environment()?.for_a_person()?;
        let environment = self.complete_environment()?;
        let client_id = environment.require_client_id()?.clone();
        // Before anybody takes the trouble: the disk must accept the result.
        drop(renew::wait_for_lease(&self.world, &self.store()?)?);
        let (loopback, redirect_uri) = if how.paste {
            (None, environment.paste_redirect()?)
        } else {
            let host = if environment.redirect_is_name { Host::Name } else { Host::V4 };
            let loopback = Loopback::bind(host, how.port)?;
            let uri = loopback.redirect_uri();
            (Some(loopback), uri)
        };
        let (authorize_url, scopes) = environment.sign_in(how.console)?;
        let scopes = if how.lasting.is_some() { setup_token::scopes(self)? } else { scopes.clone() };
        let mut random = [0; 64];
        self.world
            .entropy
            .fill(&mut random)
            .map_err(|e| Error::new(Id::Bug, "no randomness", e.to_string()))?;
        let request = Ask {
            authorize_url: authorize_url.to_owned(),
            client_id,
            redirect_uri,
            scopes,
            issuer: environment.iss().map(str::to_owned),
            iss_promised: environment.iss_promised,
            extra: how.hint.iter().map(|hint| ("login_hint", hint.clone())).collect(),
        };
        let flow = Flow::begin(request, &random);
        let url = flow.url()?;
        Ok(Attempt { client: self, environment, flow, url, loopback, lasting: how.lasting })
    }

    /// The environment with its endpoints discovered, where they must be.
    ///
    /// # Errors
    /// [`Id::MetadataInvalid`], [`Id::Unreachable`].
    pub fn complete_environment(&self) -> Result<Environment> {
        let environment = self.environment()?;
        crate::discovery::complete(&self.world, environment)
    }
}

impl Attempt<'_> {
    /// The address to open.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a callback is waited for.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.loopback.is_some()
    }

    /// Waits for the callback and for pasted text, whichever comes first, and finishes the sign-in. A wrong
    /// paste is told to `mistaken` and does not end the wait; a stranger's callback does not either.
    ///
    /// # Errors
    /// [`Id::LoginTimeout`] after `patience`; [`Id::LoginDenied`]; whatever goes wrong with the exchange.
    pub fn wait(
        self,
        pasted: Option<&Receiver<String>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
    ) -> Result<SignedIn> {
        self.answered(pasted, patience, mistaken, |attempt, code| {
            let reply = attempt.exchange(code)?;
            establish(attempt.client, &attempt.environment, &attempt.flow.request().scopes, &reply)
        })
    }

    /// The same for a token that lasts: it is handed over instead of saved.
    ///
    /// # Errors
    /// As [`Attempt::wait`].
    pub fn wait_for_token(
        self,
        pasted: Option<&Receiver<String>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
    ) -> Result<Minted> {
        self.answered(pasted, patience, mistaken, |attempt, code| {
            Minted::read(
                attempt.client,
                &attempt.environment,
                &attempt.flow.request().scopes,
                &attempt.exchange(code)?,
            )
        })
    }

    fn answered<T>(
        &self,
        pasted: Option<&Receiver<String>>,
        patience: Duration,
        mistaken: &mut dyn FnMut(&Error),
        finish: impl Fn(&Self, &Code) -> Result<T>,
    ) -> Result<T> {
        let mut waited = Duration::ZERO;
        let mut typed = String::new();
        while waited < patience {
            if let Some(callback) = self.next_callback() {
                if !self.flow.is_ours(&callback.query) {
                    callback.refuse();
                    continue;
                }
                let result = self.flow.callback(&callback.query).and_then(|code| finish(self, &code));
                // The page tells the truth: it is shown when the login is on the disk, or is not.
                callback.finish(result.is_ok());
                if let Some(loopback) = &self.loopback {
                    loopback.wait_for_closing_page(CLOSING);
                }
                return result;
            }
            waited += LOOK;
            let before = typed.len();
            while let Some(Ok(line)) = pasted.map(Receiver::try_recv) {
                typed.push_str(&line);
                typed.push('\n');
            }
            // A wrapped paste arrives in several lines: judged when no more came for a moment.
            if !typed.trim().is_empty() && typed.len() == before {
                match self.flow.pasted(&std::mem::take(&mut typed)) {
                    Ok(code) => return finish(self, &code),
                    Err(error) => mistaken(&error),
                }
            }
        }
        let why = format!("no answer came in {} s", patience.as_secs());
        Err(Error::new(Id::LoginTimeout, "signing in was not finished", why))
    }

    fn next_callback(&self) -> Option<Callback> {
        match &self.loopback {
            Some(loopback) => loopback.next(LOOK),
            None => {
                self.client.world.clock.sleep(LOOK);
                None
            }
        }
    }

    fn exchange(&self, code: &Code) -> Result<Reply> {
        let body = self.flow.exchange(code, self.lasting);
        post(self.client, self.environment.token_url()?, body)
    }
}
