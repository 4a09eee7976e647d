//! From an answer of the token endpoint to a login on the disk: the end of every way to sign in.

use std::time::Duration;

use keyfob_core::{
    Error, Id, Record, Result, Secret,
    environment::Environment,
    identity::Identity,
    record::{Generation, LoginId},
    refresh,
    settings::Scopes,
    token::{self, Outcome, Reply},
};

use crate::{
    client::Client,
    logout::{self, Revocation},
    renew,
    store::{Commit, Found},
    world::Request,
};

/// How long one request of a sign-in may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A finished sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// The record as it was saved.
    pub record: Record,
    /// Where it was saved.
    pub commit: Commit,
    /// What became of the login that was there before, if there was one and it was revoked.
    pub replaced: Option<Revocation>,
    /// Why the identity could not be looked up, if it could not.
    pub unidentified: Option<Error>,
}

/// A token somebody already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A refresh token: exchanged at once, and spent by that.
    Refresh,
    /// An access token: used as it is until the provider refuses it.
    Access,
}

impl Client {
    /// Signs in with a token somebody already has.
    ///
    /// # Errors
    /// As a sign-in through the browser; the login that was there before then stays.
    #[expect(
        clippy::disallowed_methods,
        reason = "the refresh token goes into the body of the one request it is for"
    )]
    pub fn login_with(&self, kind: TokenKind, token: Secret) -> Result<SignedIn> {
        self.environment()?.for_a_person()?;
        let environment = self.complete_environment()?;
        let client_id = environment.require_client_id()?;
        let mut record = blank(self, &environment)?;
        match kind {
            TokenKind::Access => {
                record.generation.number = 1;
                record.access_token = Some(token);
                save(self, record, false)
            }
            TokenKind::Refresh => {
                // Before anything is spent: the disk must accept the result.
                drop(renew::wait_for_lease(&self.world, &self.store()?)?);
                let form = url::form_urlencoded::Serializer::new(String::with_capacity(4096))
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", token.expose())
                    .append_pair("client_id", client_id.as_str())
                    .finish();
                let reply = post(self, environment.token_url()?, Secret::from(form))?;
                // An answer without a new one leaves the old one good (RFC 6749 §6).
                record.refresh_token = Some(token);
                accept(self, record, &reply, false)
            }
        }
    }
}

/// Makes a login of an answer and saves it.
pub(crate) fn establish(
    client: &Client,
    environment: &Environment,
    asked: &Scopes,
    reply: &Reply,
) -> Result<SignedIn> {
    let mut record = blank(client, environment)?;
    record.scopes = asked.clone();
    accept(client, record, reply, true)
}

fn blank(client: &Client, environment: &Environment) -> Result<Record> {
    let mut octets = [0; 16];
    client
        .world
        .entropy
        .fill(&mut octets)
        .map_err(|e| Error::new(Id::Bug, "no randomness", e.to_string()))?;
    let generation = Generation { login: LoginId::new(octets), number: 0 };
    environment.record(generation, &client.setup.profile, client.world.clock.now(), None)
}

fn accept(client: &Client, mut record: Record, reply: &Reply, revoke_old: bool) -> Result<SignedIn> {
    let now = client.world.clock.now();
    match token::read(reply) {
        Outcome::Granted(tokens) => {
            refresh::accept(&mut record, tokens, reply.provider_time(), now, client.world.clock.kernel());
        }
        Outcome::Later { why } => return Err(exchange_failed(Id::Unreachable, why)),
        Outcome::Odd { why, .. } => return Err(exchange_failed(Id::AnswerInvalid, why)),
        Outcome::InvalidGrant { why } | Outcome::Refused { why, .. } => {
            return Err(exchange_failed(Id::ProviderRefused, why));
        }
    }
    save(client, record, revoke_old)
}

/// A login that somebody brought along may be of the same family as the one it replaces: revoking that would end
/// both.
fn save(client: &Client, mut record: Record, revoke_old: bool) -> Result<SignedIn> {
    let unidentified = identify(client, &mut record);
    let store = client.store()?;
    let lease = renew::wait_for_lease(&client.world, &store)?;
    let old = match lease.read()? {
        Found::Record(old) => Some(old),
        Found::Nothing | Found::SetAside(_) => None,
    };
    let commit = lease.commit(&record)?;
    // The old login ends only when the new one is on the disk.
    let replaced = old.filter(|_| revoke_old).map(|old| logout::revoke(client, &old));
    Ok(SignedIn { record, commit, replaced, unidentified })
}

fn exchange_failed(id: Id, why: String) -> Error {
    Error::new(id, "signing in was not finished", why).hint("start again with `keyfob login`")
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
