//! The state that `status` and `whoami` report.

use keyfob::{
    Client, Error, Purpose, Source,
    internals::{credential::survey::Survey, login::setup_token::Note},
};

use crate::{
    args::Global,
    hand_over::lent::{self, Lender},
    session,
};

/// All findings.
pub(crate) struct Found {
    pub(crate) client: Client,
    pub(crate) purpose: Purpose,
    pub(crate) survey: Survey,
    /// The errors, each once.
    pub(crate) problems: Vec<Error>,
    /// The errors that prevent nothing.
    pub(crate) warnings: Vec<Error>,
    /// The notes on the token in use, if it was minted on this machine.
    pub(crate) minted: Option<Note>,
    /// The agent that lends a login, where there is none here.
    pub(crate) lender: Option<Lender>,
}

impl Found {
    /// Examines the state without asking the user.
    pub(crate) fn look(global: &Global, remote: bool, verify: bool) -> Self {
        let setup = session::setup(global);
        // Only what is asked of the provider needs the way there.
        let refused = setup.routes.check().err().filter(|_| verify);
        let mut problems: Vec<_> = setup.problems.iter().cloned().chain(refused).collect();
        let warnings = setup.told().filter(|told| !problems.contains(told)).collect();
        let client = session::client(global, setup);
        let purpose = if remote { Purpose::Remote } else { Purpose::Api };
        let survey = client.survey(purpose);
        if let Some(broken) = survey.broken.clone().filter(|broken| !problems.contains(broken)) {
            problems.push(broken);
        }
        let lends = !remote && survey.winner.is_none() && survey.broken.is_none();
        let lender = match lends.then(|| lent::lender(client.setup())).flatten() {
            Some(Ok(lender)) => {
                problems.extend(lender.problem.clone());
                Some(lender)
            }
            Some(Err(error)) => {
                problems.push(error);
                None
            }
            None => None,
        };
        let minted = (survey.winner == Some(Source::OauthToken)).then(|| minted_here(&client)).flatten();
        Self { client, purpose, survey, problems, warnings, minted, lender }
    }

    /// The exit code of a program that asks now: 0 if it got a credential. Not being signed in is 1 here, to
    /// distinguish it from a login that has ended.
    pub(crate) fn code(&self) -> u8 {
        if !self.client.setup().problems.is_empty() {
            return 3;
        }
        if let Some(error) = self.problems.first() {
            return error.exit_code();
        }
        let obstacle = self.survey.standing.as_ref().and_then(|standing| standing.obstacle.as_ref());
        match (self.survey.winner, obstacle) {
            (None, _) if self.lender.is_some() => 0,
            (None, _) => 1,
            (Some(_), None) => 0,
            (Some(_), Some(error)) => error.exit_code(),
        }
    }
}

/// The notes on the token in the variable, if it was minted on this machine.
fn minted_here(client: &Client) -> Option<Note> {
    let fingerprint = client.setup().settings.oauth_token.as_ref()?.fingerprint();
    client.minted().ok()?.into_iter().find(|note| note.fingerprint == fingerprint)
}
