//! The credential that would be used: whether its parts are available, whether its provider accepts it, and what keeps
//! it from being renewed.

use keyfob_core::{
    Error, Id, Record, Result, Secret, Source,
    error::escape,
    oauth::client_auth::{Place, SecretAt},
    source::Purpose,
};

use crate::{
    credential::{client_secret, helper, survey::Survey, verify::Verified},
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
    if let Some(state) = secret(session, wish) {
        add("client secret", state);
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

/// The client's secret, if the environment has one: present, private and readable. The permissions of the user's own
/// file are repaired if others can read it.
fn secret(session: &Session, wish: Wish) -> Option<State> {
    let environment = session.environment().ok()?;
    let of_machine = environment.machine.as_ref().map(|machine| machine.secret.clone());
    let at = environment.secret_at().map(|SecretAt { at, .. }| at).or(of_machine)?;
    let look = || client_secret::secret(&session.world, &environment.name, &at);
    Some(match &at {
        Place::Command(_) if !wish.run => {
            let what = "the client_secret_command was not run: `keyfob doctor --run-helper` runs it";
            State::Note(what.into())
        }
        Place::Command(_) => had(look(), "the client_secret_command gave a secret".into()),
        Place::File(path) => match look() {
            Ok(_) => State::Fine(format!("{} holds one, and is yours alone", escape(path))),
            Err(error) => {
                let files = &session.world.files;
                let own = files.resolve(std::path::Path::new(path));
                let mended =
                    wish.fix && own.is_ok_and(|path| files.restrict(&path).is_ok()) && look().is_ok();
                if mended { State::Mended(error.message()) } else { State::Wrong(error) }
            }
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
        None if matches!(winner, Source::Login | Source::RefreshToken) => return None,
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
