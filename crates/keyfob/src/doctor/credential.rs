//! The credential that would be used: whether its parts are available, whether its provider accepts it, and what keeps
//! it from being renewed.

use keyfob_core::{
    Cause, Error, Id, Record, Result, Secret, Source,
    error::escape,
    oauth::{
        client_assertion::Algorithm,
        client_auth::{Place, unit_credential},
        federation::{Identity, source as federation_source},
    },
    source::Purpose,
};

use crate::{
    credential::{client_auth, federation, helper, survey::Survey, verify::Verified},
    finding::{State, Wish},
    session::Session,
};

pub(super) fn examine(session: &Session, wish: Wish, add: &mut dyn FnMut(&str, State)) {
    // Whether its key is remembered, so that it need not run a second time.
    let mut has_key = false;
    if session.setup.config.api_key_helper.is_some() {
        let not_run = "the api_key_helper was not run: `keyfob doctor --run-helper` runs it";
        let state = if wish.run {
            had(helper::tried(session), "the api_key_helper gave a key".into())
        } else {
            State::Note(not_run.into())
        };
        has_key = matches!(state, State::Fine(_)) && session.setup.settings.helper_ttl_ms > 0;
        add("helper", state);
    }
    if let Some((subject, state)) = proof(session, wish) {
        add(subject, state);
    }
    if let Some(state) = identity(session, wish) {
        add("identity token", state);
    }
    let survey = Survey::of(session, Purpose::Api);
    if let Some(record) = &survey.record {
        renewal(session, record, add);
    }
    // Nothing is sent past a proxy or a certificate that was refused; that is reported elsewhere.
    if session.setup.routes.check().is_ok()
        && let Some(state) = accepted(session, &survey, has_key)
    {
        add("credential", state);
    }
}

fn had(outcome: Result<Secret>, fine: String) -> State {
    match outcome {
        Ok(_) => State::Fine(fine),
        Err(error) => State::Wrong(error),
    }
}

/// The client's secret or private key, if the environment has one: present, private, readable and of a kind that can be
/// used. The permissions of the user's own file are repaired if others can read it.
fn proof(session: &Session, wish: Wish) -> Option<(&'static str, State)> {
    let environment = session.environment().ok()?;
    let client = environment.confidential_client()?;
    let at = client_auth::of_machine(client, environment.proof(client));
    let (subject, what, key) = if at.auth.signs() {
        ("client key", "key", "client_key_command")
    } else {
        ("client secret", "secret", "client_secret_command")
    };
    let look = || client_auth::at_hand(&session.world, environment, &at);
    let by = match client.proof {
        Some(proof) => format!("the client proves itself by {}", proof.name()),
        None => "the client proves itself as the provider's metadata says".into(),
    };
    let signing = |algorithm: Option<Algorithm>| {
        algorithm.map_or_else(String::new, |algorithm| format!(" for {}", algorithm.name()))
    };
    let state = match &at.at {
        Place::Command(_) if !wish.run => {
            State::Note(format!("the {key} was not run: `keyfob doctor --run-helper` runs it ({by})"))
        }
        Place::Command(_) => match look() {
            Ok(algorithm) => State::Fine(format!("the {key} gave a {what}{} ({by})", signing(algorithm))),
            Err(error) => State::Wrong(error),
        },
        Place::File(path) => match look() {
            Ok(algorithm) => {
                // Who else may read what a unit is given is the service manager's to say, and does not show in its mode.
                let whose =
                    if unit_credential(path).is_some() { "was given to this unit" } else { "is yours alone" };
                let path = escape(path);
                State::Fine(format!("{path} holds a {what}{}, and {whose} ({by})", signing(algorithm)))
            }
            Err(error) => {
                let files = &session.world.files;
                let own = files.resolve(std::path::Path::new(path));
                // What the service manager gives a unit is its own to mend.
                let mended = wish.fix
                    && unit_credential(path).is_none()
                    && own.is_ok_and(|path| files.restrict(&path).is_ok())
                    && look().is_ok();
                if mended { State::Mended(error.message()) } else { State::Wrong(error) }
            }
        },
    };
    Some((subject, state))
}

/// The identity token that would be exchanged next: who issued it, about whom and for whom, never its text. A file or a
/// variable is read; a service is not asked and no command is run unless that is wished for.
fn identity(session: &Session, wish: Wish) -> Option<State> {
    let environment = session.environment().ok()?;
    let federation = environment.federation.as_ref()?;
    if session.setup.pinned {
        return None;
    }
    if federation::identity::asks_github(session, federation) {
        return Some(State::Note("GitHub Actions is asked for one when it is exchanged".into()));
    }
    if matches!(federation.identity, Identity::Command(_)) && !wish.run {
        let how = "the identity_token_command was not run: `keyfob doctor --run-helper` runs it";
        return Some(State::Note(how.into()));
    }
    Some(match federation::identity::fetch(session, federation) {
        Err(missing) => State::Wrong(missing.error),
        Ok(token) => match token.ended(federation::place::provider_time(session)) {
            Some(end) => {
                let source = federation_source(federation);
                let what = format!("the identity token from {source} cannot be exchanged");
                State::Wrong(
                    Error::new(Id::IdentityTokenExpired, what, format!("it expired at {end}"))
                        .because(Cause::IdentityExpired { source }),
                )
            }
            None => State::Fine(match token.claims() {
                Some(claims) => escape(&claims.told()),
                None => "it is no JWT, and says nothing of itself".into(),
            }),
        },
    })
}

/// What keeps a stored login from being renewed, although its token may be good still.
fn renewal(session: &Session, record: &Record, add: &mut dyn FnMut(&str, State)) {
    if let Some((until, why)) = session.standing(record).paused {
        let what = format!("the login of profile `{}` is not renewed before {until}", record.profile);
        add("renewal", State::Wrong(Error::new(Id::CoolingDown, what, why)));
    } else if let Some(unknown) = record.unknown_now() {
        let text = format!(
            "{}, so the login of profile `{}` may end with its access token: sign in again before that",
            unknown.told(),
            escape(&record.profile)
        );
        add("renewal", State::Note(text));
    }
}

/// Whether the provider takes the credential as it is now. `None`: there is none, or none that has not ended.
fn accepted(session: &Session, survey: &Survey, has_key: bool) -> Option<State> {
    let winner = survey.winner?;
    if survey.broken.is_some() || (winner == Source::ApiKeyHelper && !has_key) {
        return None;
    }
    match &survey.record {
        Some(record) if !session.standing(record).lives => return None,
        // A machine that has not asked for a token yet.
        None if matches!(winner, Source::Login | Source::RefreshToken | Source::Federation) => return None,
        _ => {}
    }
    let shown = survey.considered.iter().find(|considered| considered.source == winner);
    let shown = shown.map_or_else(|| winner.to_string(), |considered| considered.reason.clone());
    Some(match session.verify(Purpose::Api) {
        Ok(Verified::Accepted) => State::Fine(format!("the provider accepts it ({shown})")),
        Ok(_) => State::Fine(format!("the provider knows it, and does not say whose it is ({shown})")),
        Err(error) if error.id() == Id::ProviderRefused => {
            let hint = match &survey.record {
                Some(record) if record.can_renew() => format!(
                    "have it renewed: `keyfob token --rejected {}`; if that is refused too, sign in again",
                    record.generation
                ),
                Some(_) => "sign in again: `keyfob login`".into(),
                None => "replace it, or unset it to use the stored login".into(),
            };
            let what = format!("the credential in use is not accepted ({shown})");
            State::Wrong(Error::new(error.id(), what, error.why()).hint(hint))
        }
        Err(error) => State::Note(format!("it was not tried ({shown}): {}", error.message())),
    })
}
