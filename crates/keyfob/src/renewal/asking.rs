//! What is asked of a login, and the rule that judges its record by that.

use keyfob_core::{
    Record,
    login::{
        due::{self, Ask, Next},
        record::Generation,
    },
};

use crate::world::World;

/// What the caller needs of a login.
#[derive(Clone, Debug, Default)]
pub struct Need {
    /// Seconds the access token must still be good for.
    pub min_valid: i64,
    /// The generation an API answered 401 to: only that one is renewed.
    pub rejected: Option<Generation>,
}

/// What one call asks of a login. It remembers the generation it found to begin with: once that has been replaced, the
/// newer token is taken as it is. Otherwise a wish for more validity than the provider ever gives would make every
/// waiting process renew in turn.
pub struct Asking<'a> {
    world: &'a World,
    need: &'a Need,
    first: Option<Generation>,
}

impl<'a> Asking<'a> {
    /// Nothing has been found so far.
    #[must_use]
    pub fn new(world: &'a World, need: &'a Need) -> Self {
        Self { world, need, first: None }
    }

    /// What is to be done with this record now.
    #[must_use]
    pub fn next(&mut self, record: &Record) -> Next {
        due::next(record, &self.ask(record))
    }

    /// Why a record that may be used is good for less time than was asked for, if it is.
    pub(super) fn falls_short(&mut self, record: &Record) -> Option<keyfob_core::Error> {
        if self.need.min_valid > 0 { due::falls_short(record, &self.ask(record)) } else { None }
    }

    /// Seconds until its provider may be asked again, if that is forbidden now.
    pub(crate) fn allowed_in(&mut self, record: &Record) -> Option<i64> {
        due::allowed_in(record, &self.ask(record))
    }

    fn ask(&mut self, record: &Record) -> Ask {
        let first = self.first.get_or_insert_with(|| record.generation.clone());
        let replaced = *first != record.generation;
        Ask {
            now: self.world.clock.now(),
            // Asked of the system only where it matters: not on the way of an ordinary fresh token.
            kernel: if record.clocks.is_empty() { None } else { self.world.clock.kernel() },
            min_valid: if replaced { 0 } else { self.need.min_valid },
            jitter: u16::try_from(std::process::id() % 1001).unwrap_or(0),
            rejected: self.need.rejected.clone(),
        }
    }
}
