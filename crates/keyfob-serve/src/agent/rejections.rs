//! A bound on rejections. Each one renews the login, and an API that refuses every token, whatever its age, makes a client
//! reject each new one: without a bound that would go on for ever.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyfob::{Cause, Error, ErrorId, Generation, Result};

use crate::agent::clock::awake_or_not;

/// A generation that has replaced another one is not replaced in its turn before it is this old.
const AGE: Duration = Duration::from_secs(10);

/// What a door knows of the generations that came to it.
#[derive(Debug, Default)]
pub(crate) struct Rejections(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The newest, and since when it has replaced another one, if it has.
    newest: Option<(Generation, Option<Duration>)>,
    /// Those whose rejections are being asked about.
    asked: Vec<Generation>,
    /// Whether any has been rejected since the start.
    any: bool,
}

impl Rejections {
    /// Takes note of a rejection that is asked about from here on; [`Self::over`] ends that.
    ///
    /// # Errors
    /// [`ErrorId::CoolingDown`] if what is rejected has replaced another one a moment ago. Never for the first one.
    pub(crate) fn begin(&self, rejected: &Generation) -> Result<()> {
        self.begin_at(rejected, awake_or_not())
    }

    fn begin_at(&self, rejected: &Generation, now: Duration) -> Result<()> {
        let mut known = self.known();
        if known.any && !known.asked.contains(rejected) {
            let wait = known.wait(rejected, now);
            if !wait.is_zero() {
                return Err(too_soon(wait));
            }
        }
        known.any = true;
        known.asked.push(rejected.clone());
        Ok(())
    }

    /// The question about this rejection has been answered.
    pub(crate) fn over(&self, rejected: &Generation) {
        let mut known = self.known();
        if let Some(at) = known.asked.iter().position(|asked| asked == rejected) {
            known.asked.swap_remove(at);
        }
    }

    /// This is the newest generation. Returns whether it has replaced another one that is known here.
    pub(crate) fn came(&self, newest: &Generation, in_place_of: Option<&Generation>) -> bool {
        self.came_at(newest, in_place_of, awake_or_not())
    }

    fn came_at(&self, newest: &Generation, in_place_of: Option<&Generation>, now: Duration) -> bool {
        let mut known = self.known();
        let before = known.newest.as_ref().map(|(generation, _)| generation);
        if before.is_some_and(|before| is_same_login(before, newest) && before.number() >= newest.number()) {
            return false;
        }
        let replaces =
            before.or(in_place_of).is_some_and(|before| is_same_login(before, newest) && before != newest);
        known.newest = Some((newest.clone(), replaces.then_some(now)));
        replaces
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// How long this one is not to be renewed yet.
    fn wait(&self, rejected: &Generation, now: Duration) -> Duration {
        // The newest that is known is being replaced, so nobody has its successor from here.
        let newest = self.newest.as_ref().map(|(newest, _)| newest);
        let is_older = |asked: &Generation| {
            newest.is_some_and(|newest| is_same_login(newest, asked) && asked.number() < newest.number())
        };
        let is_ahead = |asked: &Generation| {
            is_same_login(asked, rejected) && asked.number() < rejected.number() && !is_older(asked)
        };
        if self.asked.iter().any(is_ahead) {
            return AGE;
        }
        match &self.newest {
            Some((newest, Some(since))) if newest == rejected => {
                AGE.saturating_sub(now.saturating_sub(*since))
            }
            _ => Duration::ZERO,
        }
    }
}

fn is_same_login(one: &Generation, other: &Generation) -> bool {
    one.login() == other.login()
}

fn too_soon(wait: Duration) -> Error {
    let seconds = i64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    let what = "the access token is not renewed again so soon";
    let why = "it has just replaced another one, and a newer one would be rejected too if the API refuses it for another \
               reason than its age";
    Error::new(ErrorId::CoolingDown, what, why).because(Cause::CoolingDown { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u64) -> Generation {
        format!("07070707070707070707070707070707:{number}").parse().unwrap()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How many seconds it says that one has to wait.
    fn wait(rejections: &Rejections, number: u64, now: u64) -> i64 {
        let rejected = generation(number);
        match rejections.begin_at(&rejected, at(now)) {
            Ok(()) => {
                rejections.over(&rejected);
                0
            }
            Err(error) => match error.cause() {
                Some(Cause::CoolingDown { seconds }) if error.id() == ErrorId::CoolingDown => *seconds,
                _ => panic!("{error}"),
            },
        }
    }

    #[test]
    fn what_replaced_another_one_a_moment_ago_is_not_renewed() {
        let rejections = Rejections::default();
        rejections.came_at(&generation(1), None, at(0));
        assert_eq!(wait(&rejections, 1, 1), 0, "the first");
        assert!(rejections.came_at(&generation(2), Some(&generation(1)), at(1)));
        assert_eq!(wait(&rejections, 2, 2), 9);
        assert_eq!(wait(&rejections, 1, 2), 0, "an older one renews nothing anyway");
        // That it is asked for again makes it no younger, and an older one that is told late no newer.
        assert!(!rejections.came_at(&generation(2), None, at(8)));
        assert!(!rejections.came_at(&generation(1), None, at(8)));
        assert_eq!(wait(&rejections, 2, 10), 1);
        assert_eq!(wait(&rejections, 2, 11), 0);
    }

    #[test]
    fn the_first_rejection_is_never_too_soon() {
        let rejections = Rejections::default();
        rejections.came_at(&generation(1), None, at(0));
        // Renewed because its time was over.
        rejections.came_at(&generation(2), None, at(5));
        assert_eq!(wait(&rejections, 2, 6), 0);
        // Started anew, so that only the rejection tells what was before.
        let rejections = Rejections::default();
        assert_eq!(wait(&rejections, 7, 6), 0);
        rejections.came_at(&generation(8), Some(&generation(7)), at(6));
        assert_eq!(wait(&rejections, 8, 6), 10);
    }

    /// Whoever leaves before the answer does not get round it, and whoever says the same is no second one.
    #[test]
    fn a_successor_is_not_rejected_before_it_is_there() {
        let rejections = Rejections::default();
        rejections.begin_at(&generation(1), at(0)).unwrap();
        assert_eq!(wait(&rejections, 1, 0), 0, "the same one");
        assert_eq!(wait(&rejections, 2, 0), 10);
        rejections.came_at(&generation(2), Some(&generation(1)), at(1));
        rejections.over(&generation(1));
        assert_eq!(wait(&rejections, 2, 1), 10);
        // Another sign-in is another login.
        let other: Generation = "08080808080808080808080808080808:1".parse().unwrap();
        assert!(rejections.begin_at(&other, at(1)).is_ok());
    }
}
