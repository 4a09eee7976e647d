//! Renews ahead: so that no asker has to wait for the provider.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use keyfob::ErrorId;

use crate::agent::open::Open;

/// The pauses between two looks: a part of the time that is left, within these.
const SHORTEST: i64 = 5;
const LONGEST: i64 = 300;
/// After a failure. What the library has noted about the login decides whether the provider is asked.
const AFTER_FAILURE: i64 = 60;

/// Looks at the login for as long as the door is open. Whether a look renews is decided by the library, whose rule is the
/// same for all.
pub(crate) async fn keep(open: Arc<Open>) {
    let mut failed: Option<ErrorId> = None;
    loop {
        let seconds = match open.flights.look().await {
            Ok(lent) => {
                failed = None;
                lent.expires_at.map_or(LONGEST, |end| pause(end.since(open.host.now())))
            }
            Err(error) => {
                // Once for each kind of failure: it is told again to everybody who asks.
                if failed.replace(error.id()) != Some(error.id()) {
                    open.host.warn(&error);
                }
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(spread(seconds)).await;
    }
}

/// The library renews in the last tenth of a token's time, and in the last five minutes: an eighth of what is left comes
/// to lie in there before the end.
fn pause(left: i64) -> i64 {
    (left / 8).clamp(SHORTEST, LONGEST)
}

/// Within a fifth more or less, so that agents that began together do not ask together.
fn spread(seconds: i64) -> Duration {
    let random = RandomState::new().hash_one(()) % 401;
    Duration::from_millis(seconds.unsigned_abs() * (800 + random))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From any beginning, one of the looks falls into the last tenth (at most 300 s, less a fifth) of a token's time.
    #[test]
    fn a_look_comes_before_the_end() {
        for lifetime in [60_i64, 300, 900, 3600, 86_400] {
            let window = (lifetime / 10).min(300) * 4 / 5;
            for slow in [8, 10, 12] {
                let mut left = lifetime;
                while left > window {
                    left -= (pause(left) * slow / 10).max(1);
                }
                assert!(left > 0 || lifetime < 100, "{lifetime}: {left}");
            }
        }
        let spread: Vec<_> = (0..100).map(|_| spread(10)).collect();
        assert!(spread.iter().all(|time| (8000..=12_000).contains(&time.as_millis())));
        assert!(spread.iter().any(|time| *time != spread[0]), "they differ");
    }
}
