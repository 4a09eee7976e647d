//! Network checks of the doctor: the provider's metadata, every host of the environment, and the clock difference.

use keyfob_core::{Ahead, Cause, Error, Id, ProviderTime, Timestamp, provider::environment::Environment};

use crate::{
    finding::State,
    provider::{self, Failure},
    session::Session,
};

/// Clocks may differ by this much without a warning.
const SKEW: i64 = 60;

/// Looks at everything a sign-in or a renewal would have to reach, the way it would: through the proxy, with the
/// certificates that are believed. Sends no credential anywhere.
pub(super) fn examine(session: &Session, add: &mut dyn FnMut(&str, State)) {
    // An environment that cannot be determined is reported among the variables and files.
    let Ok(known) = session.environment() else { return };
    let environment = match session.complete_environment() {
        Ok(complete) => complete,
        Err(error) => {
            add("metadata", State::Wrong(error));
            known.clone()
        }
    };
    let mut clock_is_known = false;
    for (origin, uses) in hosts(&environment) {
        match date(session, &origin) {
            Err(why) => {
                let what = format!("{origin} cannot be reached (for: {})", uses.join(", "));
                add("provider", State::Wrong(Error::new(Id::Unreachable, what, why)));
            }
            Ok(date) => {
                add("provider", State::Fine(format!("{origin} answers (for: {})", uses.join(", "))));
                if let Some(theirs) = date.filter(|_| !clock_is_known) {
                    add("clock", clock(session.world.clock.now(), theirs));
                    clock_is_known = true;
                }
            }
        }
    }
}

/// The origins to reach, each with what it is needed for; the token endpoint's first, whose clock is the provider's.
fn hosts(environment: &Environment) -> Vec<(String, Vec<&'static str>)> {
    let mut named: Vec<_> = environment.endpoints.named().collect();
    named.sort_by_key(|(word, _)| *word != "token");
    if named.is_empty() {
        named.push(("metadata", environment.issuer()));
    }
    let mut hosts: Vec<(String, Vec<_>)> = Vec::new();
    for (word, url) in named {
        // A WebSocket begins as a request to the same host.
        let url = url.strip_prefix("ws").map_or(url.to_owned(), |rest| format!("http{rest}"));
        let origin = provider::origin(&url);
        match hosts.iter_mut().find(|(host, _)| *host == origin) {
            Some((_, words)) => words.push(word),
            None => hosts.push((origin, vec![word])),
        }
    }
    hosts
}

/// Any answer will do. The provider's time, if it said.
fn date(session: &Session, origin: &str) -> Result<Option<ProviderTime>, String> {
    let call = provider::get(&session.world, origin);
    let answer = call.send().map_err(Failure::why)?;
    Ok(answer.reply.provider_time())
}

fn clock(ours: Timestamp, theirs: ProviderTime) -> State {
    let ahead = Ahead::between(theirs, ours).seconds();
    if ahead.abs() <= SKEW {
        return State::Fine(format!("within {} s of the provider's", ahead.abs()));
    }
    let word = if ahead > 0 { "behind" } else { "ahead of" };
    let what = format!("this machine's clock is {} s {word} the provider's", ahead.abs());
    State::Wrong(
        Error::new(
            Id::Unreachable,
            what,
            "expiry times are reckoned with the difference, but certificates may fail",
        )
        .because(Cause::ClockWrong {}),
    )
}
