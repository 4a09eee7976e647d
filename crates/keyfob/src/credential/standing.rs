//! The state of a stored login, for reports: they must say what a program would get, by the rule that decides what it
//! gets.

use keyfob_core::{
    Error, Record, Timestamp,
    login::due::{self, Ask, Next},
};

use crate::{
    renewal::{Asking, Need},
    session::Session,
};

/// Where a stored login stands now.
#[derive(Debug)]
pub struct Standing {
    /// When its access token ends, by this machine's clock. `None`: the provider never said.
    pub expires_at: Option<Timestamp>,
    /// When its ID token ends, by this machine's clock. `None`: it has none.
    pub id_token_ends_at: Option<Timestamp>,
    /// Whether its access token can be used now.
    pub lives: bool,
    /// Why a program would get nothing of it now, if that is so.
    pub obstacle: Option<Error>,
    /// Why it will never be renewed again, if the provider has said so; its token may be good still.
    pub ended: Option<Error>,
    /// Until when the provider is not asked for a new token, by this machine's clock, and why.
    pub paused: Option<(Timestamp, String)>,
}

impl Session {
    /// Where this login stands.
    pub(crate) fn standing(&self, record: &Record) -> Standing {
        let clock = &self.world.clock;
        let (now, expires_at) = (clock.now(), self.expires_at(record));
        let ask = Ask { kernel: clock.kernel(), ..Ask::at(now) };
        let obstacle = match Asking::new(&self.world, &Need::default()).next(record) {
            Next::Stop(error) => Some(error),
            Next::Use | Next::Early | Next::Renew => None,
        };
        Standing {
            expires_at,
            id_token_ends_at: record.id_token_ends_at().map(|end| clock.ahead(record).ours(end)),
            lives: record.access_token.is_some() && expires_at.is_none_or(|end| now < end),
            obstacle,
            ended: due::ended(record),
            paused: due::paused(record, &ask).map(|(until, why)| (clock.ahead(record).ours(until), why)),
        }
    }
}
