//! What every source has, for reports and for callers that must know the winner before it is used.

use keyfob_core::{
    Error, Record, Source, Timestamp,
    source::{self, Purpose},
};

use crate::{
    credential::{
        acquire,
        federation::place,
        grant::{Considered, Outcome},
        look::{Look, look, nothing, record_at_hand, record_in, seed_store, to_be_drained},
        session_token,
        standing::Standing,
    },
    renewal::Need,
    session::Session,
};

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
    /// Where that login stands.
    pub standing: Option<Standing>,
    /// When the winner ends, where it says that itself and nobody else does.
    pub claimed_end: Option<Timestamp>,
    /// Why there is no winner, where nothing is broken.
    pub nobody: Option<Error>,
}

/// The winner alone, by looking no further than to it. Nothing is taken, renewed or run.
pub(crate) fn winner(session: &Session, purpose: Purpose) -> Option<Source> {
    for &source in source::order(purpose, session.setup.config.prefer) {
        match look(session, source) {
            Look::Nothing(_) | Look::PassedOver(_) => {}
            Look::Here(_) => return Some(source),
            Look::Broken(_) => return None,
        }
    }
    None
}

impl Survey {
    /// Looks at every source without renewing, reading or asking anything.
    #[must_use]
    pub(crate) fn of(session: &Session, purpose: Purpose) -> Self {
        let mut survey = Self {
            winner: None,
            record: None,
            considered: Vec::new(),
            broken: None,
            standing: None,
            claimed_end: None,
            nobody: None,
        };
        for &source in source::order(purpose, session.setup.config.prefer) {
            let (outcome, reason) = match look(session, source) {
                Look::Nothing(why) => (Outcome::Nothing, why),
                Look::PassedOver(why) => (Outcome::Shadowed, why),
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
            Some(Source::Login) => record_at_hand(session),
            Some(Source::Federation) => place::record(session),
            Some(Source::RefreshToken) => seed_store(session).ok().and_then(|store| record_in(&*store)),
            _ => None,
        };
        survey.standing = survey.record.as_deref().map(|record| session.standing(record));
        survey.claimed_end = survey.winner.and_then(|winner| claimed_end(session, winner));
        if survey.winner.is_none() && survey.broken.is_none() {
            survey.nobody = Some(nothing(session, &survey.considered));
        }
        survey
    }
}

/// The end that the credential of this source claims. Nothing is drained for it.
fn claimed_end(session: &Session, source: Source) -> Option<Timestamp> {
    if !session_token::may_claim(source) || to_be_drained(session, source).is_some() {
        return None;
    }
    acquire(session, Purpose::Remote, source, &Need::default(), Vec::new()).ok()?.expires_at
}
