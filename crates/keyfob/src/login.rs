//! Signing in through a browser or a pasted code, until the login is durable.

use std::{sync::mpsc::Receiver, time::Duration};

use keyfob_core::{
    Error, Id, Record, Result, Secret,
    environment::Environment,
    identity::Identity,
    login::{Code, Flow, Request as Ask},
    record::{Generation, LoginId},
    refresh,
    token::{self, Outcome, Reply},
};

use crate::{
    client::Client,
    logout::{self, Revocation},
    real::loopback::{Callback, Host, Loopback},
    renew,
    store::{Commit, Found},
    world::Request,
};

/// How long one request of a sign-in may take.
const ANSWER: Duration = Duration::from_secs(30);
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
}

/// A sign-in that waits for its answer. Its address can be shown as soon as this exists: whatever listens is
/// listening already.
pub struct Attempt<'c> {
    client: &'c Client,
    environment: Environment,
    flow: Flow,
    url: String,
    loopback: Option<Loopback>,
}

/// A finished sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// The record as it was saved.
    pub record: Record,
    /// Where it was saved.
    pub commit: Commit,
    /// What became of the login that was there before, if there was one.
    pub replaced: Option<Revocation>,
    /// Why the identity could not be looked up, if it could not.
    pub unidentified: Option<Error>,
}

impl Client {
    /// Begins to sign in: binds the callback, then makes the address.
    ///
    /// # Errors
    /// [`Id::ClientIdMissing`], [`Id::EnvironmentIncomplete`], [`Id::MetadataInvalid`], a taken port.
    pub fn begin_login(&self, how: &How) -> Result<Attempt<'_>> {
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
        let mut random = [0; 64];
        self.world
            .entropy
            .fill(&mut random)
            .map_err(|e| Error::new(Id::Bug, "no randomness", e.to_string()))?;
        let request = Ask {
            authorize_url: authorize_url.to_owned(),
            client_id,
            redirect_uri,
            scopes: scopes.clone(),
            issuer: environment.iss().map(str::to_owned),
            iss_promised: environment.iss_promised,
            extra: how.hint.iter().map(|hint| ("login_hint", hint.clone())).collect(),
        };
        let flow = Flow::begin(request, &random);
        let url = flow.url()?;
        Ok(Attempt { client: self, environment, flow, url, loopback })
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
        let mut waited = Duration::ZERO;
        let mut typed = String::new();
        while waited < patience {
            if let Some(callback) = self.next_callback() {
                if !self.flow.is_ours(&callback.query) {
                    callback.refuse();
                    continue;
                }
                return self.called_back(callback);
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
                    Ok(code) => return self.finish(&code),
                    Err(error) => mistaken(&error),
                }
            }
        }
        let why = format!("no answer came in {} minutes", patience.as_secs() / 60);
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

    fn called_back(self, callback: Callback) -> Result<SignedIn> {
        let result = self.flow.callback(&callback.query).and_then(|code| self.finish(&code));
        // The page tells the truth: it is shown when the login is on the disk, or is not.
        callback.finish(result.is_ok());
        if self.loopback.is_some() {
            // The browser follows to the closing page: give it the moment it needs.
            self.client.world.clock.sleep(Duration::from_millis(300));
        }
        result
    }

    fn finish(&self, code: &Code) -> Result<SignedIn> {
        let client = self.client;
        let environment = &self.environment;
        let body = self.flow.exchange(code, None);
        let reply = post(client, environment.token_url()?, body)?;
        let mut octets = [0; 16];
        client
            .world
            .entropy
            .fill(&mut octets)
            .map_err(|e| Error::new(Id::Bug, "no randomness", e.to_string()))?;
        let generation = Generation { login: LoginId::new(octets), number: 0 };
        let now = client.world.clock.now();
        let mut record = environment.record(generation, &client.setup.profile, now, None)?;
        record.scopes = self.flow.request().scopes.clone();
        match token::read(&reply) {
            Outcome::Granted(tokens) => {
                refresh::accept(&mut record, tokens, reply.provider_time(), now, client.world.clock.kernel());
            }
            Outcome::Later { why } => return Err(exchange_failed(Id::Unreachable, why)),
            Outcome::Odd { why, .. } => return Err(exchange_failed(Id::AnswerInvalid, why)),
            Outcome::InvalidGrant { why } | Outcome::Refused { why, .. } => {
                return Err(exchange_failed(Id::ProviderRefused, why));
            }
        }
        let unidentified = identify(client, &mut record);
        let store = client.store()?;
        let lease = renew::wait_for_lease(&client.world, &store)?;
        let old = match lease.read()? {
            Found::Record(old) => Some(old),
            Found::Nothing | Found::SetAside(_) => None,
        };
        let commit = lease.commit(&record)?;
        // The old login ends only when the new one is on the disk.
        let replaced = old.map(|old| logout::revoke(client, &old));
        Ok(SignedIn { record, commit, replaced, unidentified })
    }
}

fn exchange_failed(id: Id, why: String) -> Error {
    Error::new(id, "the code could not be exchanged for tokens", why).hint("start again with `keyfob login`")
}

pub(crate) fn post(client: &Client, url: &str, body: Secret) -> Result<Reply> {
    let request = Request {
        method: "POST",
        url,
        headers: Vec::new(),
        body: Some(("application/x-www-form-urlencoded", body)),
        timeout: ANSWER,
    };
    match client.world.http.send(&request) {
        Ok(answer) => Ok(answer.reply),
        Err(no_answer) => {
            Err(Error::new(Id::Unreachable, format!("no answer from {}", origin(url)), no_answer.why))
        }
    }
}

/// Scheme, host and port, for messages.
pub(crate) fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| "the provider".into(), |url| url.origin().ascii_serialization())
}

/// Looks up who it is, where a variable does not say so already, and keeps it with the login. Not knowing is
/// no reason to lose a login.
fn identify(client: &Client, record: &mut Record) -> Option<Error> {
    if !Identity::needs_lookup(&client.setup.settings.presets) {
        return None;
    }
    let url = record.endpoints.identity_url()?.to_owned();
    let token = record.access_token.as_ref()?;
    let headers = crate::grant::headers(keyfob_core::Source::Login, token);
    let request = Request { method: "GET", url: &url, headers, body: None, timeout: Duration::from_secs(10) };
    let failed = |why: String| Some(Error::new(Id::Unreachable, "who signed in could not be looked up", why));
    match client.world.http.send(&request) {
        Err(no_answer) => failed(no_answer.why),
        Ok(answer) if answer.reply.status != 200 => {
            failed(format!("the provider answered {}", answer.reply.status))
        }
        Ok(answer) => match Identity::parse(&answer.reply.body) {
            Ok(identity) => {
                record.identity = identity;
                None
            }
            Err(why) => failed(format!("the answer {why}")),
        },
    }
}
