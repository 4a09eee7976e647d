//! Waits instead of failing: until a provider may be asked again, or another process releases the login it holds.

use std::time::Duration;

use keyfob_core::{Id, Result, source::Purpose};

use crate::{
    credential::{self, grant::Grant, survey::Survey},
    lasting::Wait,
    renewal::{Asking, Need},
    session::Session,
    world::waiting::Waiting,
};

/// The pauses if it is not said how long to wait: doubled from the first to the last.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(16);

impl Session {
    /// A credential now, or as soon as what passes by itself has passed, within this time.
    pub(crate) fn grant_within(&self, purpose: Purpose, need: &Need, patience: Duration) -> Result<Grant> {
        let clock = &self.world.clock;
        let end = clock.stopwatch() + patience;
        let mut wait = Wait::new(&self.world);
        let mut pause = SHORTEST;
        loop {
            // Whoever says how long to wait means that for a busy login too.
            let left = end.saturating_sub(clock.stopwatch());
            let need = &Need { patience: Some(left), ..need.clone() };
            let error = match credential::grant(self, purpose, need) {
                Err(error) if passes(error.id()) => error,
                other => return other,
            };
            let until_allowed = Survey::of(self, purpose).record.and_then(|record| {
                let seconds = Asking::new(&self.world, &need.of(purpose)).allowed_in(&record)?;
                Some(Duration::from_secs(seconds.max(1).unsigned_abs()))
            });
            let next = until_allowed.unwrap_or_else(|| {
                let next = pause;
                pause = (pause * 2).min(LONGEST);
                next
            });
            // Nothing is gained by waiting for what comes too late.
            if clock.stopwatch() + next > end {
                return Err(error);
            }
            wait.tell(|| Waiting::Later { why: error.message(), at_most: patience.as_secs() });
            clock.sleep(next);
        }
    }
}

/// Whether the same request may succeed a little later without any action by the user.
fn passes(id: Id) -> bool {
    matches!(id, Id::CoolingDown | Id::Unreachable | Id::OutcomeUnknown | Id::RenewalEnded | Id::LeaseBusy)
}
