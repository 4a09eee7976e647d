//! Walks the sources in order. Each is absent (continue), present (stop) or broken (stop with an error).

use std::sync::PoisonError;

use keyfob_core::{
    Error, Id, Record, Result, Secret, Source,
    contract::names,
    source::{self, Purpose},
};

use crate::{
    client::Client,
    credential::{
        grant::{self, Considered, Grant, Outcome},
        seed,
        stored::{acquire, stored},
    },
    renewal::Need,
    store::{Seen, Store},
};

/// What a look at a source shows, without reading a secret, running anything or asking anybody.
#[derive(Debug)]
pub enum Look {
    /// Go on, for this reason.
    Nothing(String),
    /// It is there.
    Here(String),
    /// It is there and cannot be used.
    Broken(Error),
}

/// Everything a report says: who would win, and what became of every source.
#[derive(Debug)]
pub struct Survey {
    /// The winner, if there is one.
    pub winner: Option<Source>,
    /// The stored login the winner stands for, if it is one.
    pub record: Option<Box<Record>>,
    /// Every source, in order.
    pub considered: Vec<Considered>,
    /// What stopped the search, if something did.
    pub broken: Option<Error>,
}

/// Looks at every source without renewing, reading or asking anything.
#[must_use]
pub fn survey(client: &Client, purpose: Purpose) -> Survey {
    let mut survey = Survey { winner: None, record: None, considered: Vec::new(), broken: None };
    for &source in source::order(purpose, client.setup.config.prefer) {
        let (outcome, reason) = match look(client, source) {
            Look::Nothing(why) => (Outcome::Nothing, why),
            Look::Here(what) => match survey.winner {
                Some(winner) => (Outcome::Shadowed, format!("{what}; {winner} comes first")),
                None if survey.broken.is_some() => (Outcome::Shadowed, what),
                None => {
                    survey.winner = Some(source);
                    (Outcome::Here, what)
                }
            },
            Look::Broken(error) => {
                let why = error.message();
                if survey.winner.is_none() && survey.broken.is_none() {
                    survey.broken = Some(error);
                }
                (Outcome::Broken, why)
            }
        };
        survey.considered.push(Considered { source, outcome, reason });
    }
    survey.record = match survey.winner {
        Some(Source::Login) => record_at_hand(client),
        Some(Source::RefreshToken) => seed::seed_store(client).ok().and_then(|store| record_in(&store)),
        _ => None,
    };
    survey
}

/// The headers of the winner as it is now, without renewing it.
///
/// # Errors
/// [`Id::LoginNeeded`] when there is no winner; what is wrong with reading it.
pub(crate) fn headers_at_hand(client: &Client, survey: &Survey) -> Result<Vec<(&'static str, Secret)>> {
    match (survey.winner, &survey.record) {
        (Some(source), Some(record)) => match &record.access_token {
            Some(token) => Ok(grant::headers(source, token)),
            None => Err(nothing(client, &survey.considered)),
        },
        (Some(Source::Login | Source::RefreshToken) | None, None) | (None, Some(_)) => {
            Err(nothing(client, &survey.considered))
        }
        (Some(source), None) => {
            let grant = acquire(client, Purpose::Api, source, &Need::default(), Vec::new())?;
            Ok(grant.headers)
        }
    }
}

/// The winner's credential, renewed if that is due.
///
/// # Errors
/// [`Id::LoginNeeded`] when no source has anything; otherwise what is wrong with the first that is there.
pub fn grant(client: &Client, purpose: Purpose, need: &Need) -> Result<Grant> {
    let mut considered = Vec::new();
    for &source in source::order(purpose, client.setup.config.prefer) {
        let looked = match source {
            Source::Login if !excluded(client, source) => {
                match stored(client, purpose, need, &mut considered)? {
                    Ok(grant) => return Ok(grant),
                    Err(nothing) => nothing,
                }
            }
            _ => look(client, source),
        };
        match looked {
            Look::Nothing(reason) => {
                considered.push(Considered { source, outcome: Outcome::Nothing, reason });
            }
            Look::Broken(error) => return Err(error),
            Look::Here(reason) => {
                considered.push(Considered { source, outcome: Outcome::Here, reason });
                return acquire(client, purpose, source, need, considered);
            }
        }
    }
    Err(nothing(client, &considered))
}

pub(crate) fn nothing(client: &Client, considered: &[Considered]) -> Error {
    let profile = client.setup.profile_name();
    let what = match &client.setup.environment {
        Some(environment) => {
            format!("no credential for profile `{profile}` in environment `{}`", environment.name)
        }
        None => format!("no credential for profile `{profile}`"),
    };
    if let Some(only) = client.confined_to() {
        let why = considered
            .iter()
            .find(|c| c.source == only)
            .map_or("it is not one of the sources for this purpose", |c| &c.reason);
        return Error::new(
            Id::SourceExcluded,
            format!("only {only} may be used, and it has no credential"),
            why,
        );
    }
    Error::new(Id::LoginNeeded, what, "no variable holds one and nobody has signed in")
}

fn excluded(client: &Client, source: Source) -> bool {
    client.confined_to().is_some_and(|only| only != source)
}

/// Looks at one source.
fn look(client: &Client, source: Source) -> Look {
    if excluded(client, source) {
        return Look::Nothing("excluded by --only".into());
    }
    let settings = &client.setup.settings;
    let inherits = matches!(
        source,
        Source::AuthToken | Source::OauthToken | Source::OauthTokenDescriptor | Source::RefreshToken
    );
    let is_set = match source {
        Source::AuthToken => settings.auth_token.is_some(),
        Source::OauthToken => settings.oauth_token.is_some(),
        Source::OauthTokenDescriptor => settings.oauth_descriptor.is_some(),
        Source::RefreshToken => settings.refresh_token.is_some(),
        _ => false,
    };
    if client.setup.pinned && inherits && is_set {
        return Look::Nothing(format!(
            "set, but the profile `{}` was chosen explicitly",
            client.setup.profile_name()
        ));
    }
    let variable = |name: &str, secret: &Option<Secret>| match secret {
        _ if let Err(error) = client.setup.readable(name) => Look::Broken(error),
        Some(secret) => Look::Here(format!("{name} is set ({})", secret.fingerprint())),
        None => Look::Nothing(format!("{name} is not set")),
    };
    match source {
        Source::AuthToken => variable(names::AUTH_TOKEN, &settings.auth_token),
        Source::ApiKey => variable(names::API_KEY, &settings.api_key),
        Source::OauthToken => variable(names::OAUTH_TOKEN, &settings.oauth_token),
        Source::SessionToken => variable(names::SESSION_TOKEN, &settings.session_token),
        Source::RefreshToken => match client.setup.seed() {
            Err(error) => Look::Broken(error),
            Ok(Some(seed)) if settings.refresh_token.is_none() => seed::inherited_seed(client, seed),
            _ => variable(names::REFRESH_TOKEN, &settings.refresh_token),
        },
        Source::OauthTokenDescriptor => descriptor(client, names::OAUTH_DESCRIPTOR),
        Source::ApiKeyDescriptor => descriptor(client, names::API_KEY_DESCRIPTOR),
        Source::WebSocketDescriptor => descriptor(client, names::WEBSOCKET_DESCRIPTOR),
        Source::ApiKeyHelper => match &client.setup.config.api_key_helper {
            Some(_) => Look::Here("the configuration names an api_key_helper".into()),
            None => Look::Nothing("the configuration names no api_key_helper".into()),
        },
        Source::Login => login(client),
    }
}

fn descriptor(client: &Client, name: &'static str) -> Look {
    if let Err(error) = client.setup.readable(name) {
        return Look::Broken(error);
    }
    let settings = &client.setup.settings;
    let set = [&settings.oauth_descriptor, &settings.api_key_descriptor, &settings.websocket_descriptor];
    let Some(descriptor) = set.into_iter().flatten().find(|d| d.variable == name) else {
        return Look::Nothing(format!("{name} is not set"));
    };
    let number = descriptor.number;
    if client.setup.consumed.contains(descriptor) {
        return Look::Nothing(format!(
            "descriptor {number} was handed over by `keyfob exec` and has been read"
        ));
    }
    let kept = client.read.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name);
    if kept || client.has_inherited(name) {
        return Look::Here(format!("{name} names descriptor {number}"));
    }
    let what = format!("{name} names descriptor {number}, which was not taken over");
    let why = "the program that embeds keyfob did not allow descriptors to be taken over, or it was refused";
    Look::Broken(Error::new(Id::DescriptorUnusable, what, why))
}

fn login(client: &Client) -> Look {
    let store = match login_store(client) {
        Ok(store) => store,
        Err(look) => return look,
    };
    match store.look() {
        Err(error) => Look::Broken(error),
        Ok(Seen::Nothing) => nobody(client),
        Ok(Seen::Record(record)) => Look::Here(format!("profile `{}` at {}", record.profile, record.issuer)),
        // Whether it really is damaged is for the holder of the lease to find out.
        Ok(Seen::Damaged(why)) => {
            Look::Here(format!("profile `{}`, but its file {why}", client.setup.profile_name()))
        }
    }
}

/// Where the stored login would be, or why there cannot be one.
pub(crate) fn login_store(client: &Client) -> Result<Store, Look> {
    let environment = client.environment().map_err(Look::Broken)?;
    if environment.client_id.is_none() {
        let why = format!("environment `{}` has no client id to sign in with", environment.name);
        return Err(Look::Nothing(why));
    }
    client.store().map_err(Look::Broken)
}

pub(crate) fn nobody(client: &Client) -> Look {
    if let Some(environment) = client.setup.environment.as_ref().filter(|e| e.machine.is_some()) {
        let client_id = environment.client_id.as_ref().map_or("", |id| id.as_str());
        return Look::Here(format!(
            "client `{client_id}` asks {} when a token is needed",
            environment.issuer()
        ));
    }
    let at = client.setup.environment.as_ref().map_or("", |environment| environment.issuer());
    Look::Nothing(format!("nobody signed in to profile `{}` at {at}", client.setup.profile_name()))
}

/// The stored login of the chosen profile, issuer and client, as it is now.
pub(crate) fn record_at_hand(client: &Client) -> Option<Box<Record>> {
    client.store().ok().and_then(|store| record_in(&store))
}

pub(crate) fn record_in(store: &Store) -> Option<Box<Record>> {
    match store.look() {
        Ok(Seen::Record(record)) => Some(record),
        _ => None,
    }
}
