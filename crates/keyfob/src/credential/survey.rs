//! What every source has, for reports and for whoever must know the winner before it is asked.

use keyfob_core::{
    Error, Record, Source,
    login::due::Next,
    source::{self, Purpose},
};

use crate::{
    credential::{
        grant::{Considered, Outcome},
        look::{Look, look, record_at_hand, record_in, seed_store},
    },
    renewal::{Asking, Need},
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
    /// Why a program would get nothing of that login now, if that is so.
    pub obstacle: Option<Error>,
    /// Why it would not be renewed now, though its token may be good still.
    pub not_renewed: Option<Error>,
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
            obstacle: None,
            not_renewed: None,
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
            Some(Source::RefreshToken) => seed_store(session).ok().and_then(|store| record_in(&*store)),
            _ => None,
        };
        if let Some(record) = &survey.record {
            let stops = |min_valid| {
                let need = Need { min_valid, rejected: None };
                match Asking::new(&session.world, &need).next(record) {
                    Next::Stop(error) => Some(error),
                    Next::Use | Next::Early | Next::Renew => None,
                }
            };
            // The rule that decides when somebody asks, asked for a token that no token could replace.
            (survey.obstacle, survey.not_renewed) = (stops(0), stops(i64::MAX));
        }
        survey
    }
}
