//! What is required of a login, and the rule that checks its record against that.

use std::{borrow::Cow, time::Duration};

use keyfob_core::{
    Record,
    login::{
        due::{self, Ask, Next},
        record::Generation,
    },
    source::Purpose,
};

use crate::world::World;

/// What a caller needs of a credential: an argument of [`Client::grant_for`](crate::Client::grant_for).
///
/// ```
/// use std::time::Duration;
/// use keyfob::{Need, Purpose};
///
/// // For an upload that takes a quarter of an hour.
/// let need = Need::new().min_valid(Duration::from_secs(900));
/// # let simulation = keyfob::testing::Simulation::signed_in()?;
/// # simulation.advance(3000);
/// # let client = simulation.client();
/// let grant = client.grant_for(Purpose::Api, &need)?;
/// # assert_eq!(simulation.renewals(), 1);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Need {
    pub(crate) min_valid: i64,
    pub(crate) rejected: Option<Generation>,
    /// Set where the purpose is the ID token.
    pub(crate) id_token: bool,
    /// How long another process's renewal may be waited for, where that is less than [`PATIENCE`](super::PATIENCE).
    pub(crate) patience: Option<Duration>,
}

impl Need {
    /// Whatever is valid.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The credential must be valid for at least this long (whole seconds), or is renewed first. One that cannot be
    /// renewed is returned as it is. Where the provider never issues one that lasts so long, the best there is is returned,
    /// and [`Grant::warning`] says so.
    ///
    /// [`Grant::warning`]: crate::Grant::warning
    #[must_use]
    pub fn min_valid(mut self, time: Duration) -> Self {
        self.min_valid = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self
    }

    /// The same need, of what this purpose is about.
    pub(crate) fn of(&self, purpose: Purpose) -> Cow<'_, Self> {
        match purpose {
            Purpose::IdToken => Cow::Owned(Self { id_token: true, ..self.clone() }),
            _ => Cow::Borrowed(self),
        }
    }

    /// An API answered 401 to this generation ([`Grant::generation`](crate::Grant::generation)): it is renewed if it is still
    /// the newest. For a caller that has only the text of it; one that has the grant calls
    /// [`Client::rejected`](crate::Client::rejected), which also ends a loop of rejections.
    #[must_use]
    pub fn rejected(mut self, generation: Generation) -> Self {
        self.rejected = Some(generation);
        self
    }
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
            id_token: self.need.id_token,
        }
    }
}
