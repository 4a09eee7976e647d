//! Checks everything that could keep a login from working, and repairs what is safe to repair without asking:
//! permissions, and what an interrupted renewal left behind.

mod credential;
mod doors;
mod network;
mod places;

use keyfob_core::{Error, Id, error::escape, source::Purpose};

pub use crate::finding::{Finding, State, Wish};

use crate::{
    credential::{grant::Outcome, look, survey::Survey},
    session::Session,
    store::Fix,
};

/// Examines everything. Never starts a renewal.
#[must_use]
pub(crate) fn examine(session: &Session, wish: Wish) -> Vec<Finding> {
    let fix = wish.fix;
    let mut findings = Vec::new();
    let mut add = |subject: &str, state| findings.push(Finding { subject: subject.into(), state });
    let all: Vec<_> = session.setup.problems.iter().cloned().chain(session.setup.told()).collect();
    if all.is_empty() {
        add("variables and files", State::Fine("nothing is malformed".into()));
    }
    let mut mended = false;
    for problem in all {
        let state = if fix && open_to_others(session, &problem) {
            State::Mended(problem.message())
        } else {
            State::Wrong(problem)
        };
        mended |= matches!(state, State::Mended(_));
        add("variables and files", state);
    }
    if mended {
        // This run was set up without what was wrong, so it cannot check the rest.
        add("everything else", State::Fine("run `keyfob doctor` again".into()));
        return findings;
    }
    if let Ok(logins) = session.logins() {
        let fix = if !fix {
            Fix::Nothing
        } else if session.setup.problems.is_empty() {
            Fix::Everything
        } else {
            // What is written anew is written as the configuration says: that must be understood.
            Fix::Access
        };
        logins.examine(fix, &mut add);
    }
    places::examine(session, &mut add);
    for (subject, found) in roads(session) {
        add(subject, State::Fine(found));
    }
    // Nothing is sent past a proxy or a certificate that was refused; that is reported above.
    if session.setup.routes.check().is_ok() {
        network::examine(session, &mut |subject, state| add(subject, state));
    }
    credential::examine(session, wish, &mut add);
    doors::examine(session, &mut add);
    add("sources", sources(session));
    findings
}

/// Takes from others what they may write of the configuration, or of the way to it, where that is what is wrong and it is
/// this user's to mend. Whether that was it.
fn open_to_others(session: &Session, problem: &Error) -> bool {
    let files = &session.world.files;
    match problem.id() {
        Id::ConfigUnsafe => session.setup.home.as_ref().is_some_and(|home| {
            files.protect(&home.config).is_ok() && files.read_trusted(&home.config, false).is_ok()
        }),
        Id::HomeUnsafe => session
            .setup
            .around
            .open_ways()
            .iter()
            .any(|(way, refusal)| problem.why() == refusal.to_string() && files.protect(way).is_ok()),
        _ => false,
    }
}

/// What a variable put between us and the provider: a party that can read the traffic or impersonate the provider.
fn roads(session: &Session) -> Vec<(&'static str, String)> {
    let setup = &session.setup;
    let proxy = setup.routes.shown().map(|proxy| ("proxy", escape(&proxy)));
    let certificates = setup.routes.certificates().iter().map(|path| path.display().to_string());
    let certificates = certificates.map(|path| ("certificates", format!("{} decides", escape(&path))));
    proxy.into_iter().chain(certificates).collect()
}

fn sources(session: &Session) -> State {
    let survey = Survey::of(session, Purpose::Api);
    if let Some(error) = survey.broken {
        return State::Wrong(error);
    }
    let shadowed: Vec<_> = survey
        .considered
        .iter()
        .filter(|c| c.outcome == Outcome::Shadowed)
        .map(|c| c.source.name())
        .collect();
    match survey.winner {
        None => State::Wrong(look::nothing(session, &survey.considered)),
        Some(winner) if shadowed.is_empty() => State::Fine(format!("{winner} is used, and shadows nothing")),
        Some(winner) => State::Fine(format!("{winner} is used, and comes before {}", shadowed.join(", "))),
    }
}
