//! The warning about a token that was minted on this machine and ends soon: nothing renews it, and whoever pasted it
//! into a job's settings hears of its end nowhere else.

use keyfob::{
    Client, Grant, Source, Timestamp,
    internals::{
        login::setup_token::SOON,
        world::{Clock, system::clock::SystemClock},
    },
};

use crate::output::report::Report;

/// Looks into the notes of `setup-token` only where a token came from outside: a stored login has an end of its own.
pub(crate) fn warn(client: &Client, grant: &Grant) {
    if !matches!(grant.source, Source::OauthToken | Source::OauthTokenDescriptor) {
        return;
    }
    let Ok(notes) = client.minted() else { return };
    let fingerprint = grant.credential.fingerprint();
    let end = notes.into_iter().find(|note| note.fingerprint == fingerprint).and_then(|note| note.expires_at);
    if let Some(said) = end.and_then(|end| told(end, SystemClock.now())) {
        Report::say(&format!(
            "warning: the token from {} was minted here and {said}; `keyfob setup-token` mints another",
            grant.source
        ));
    }
}

fn told(end: Timestamp, now: Timestamp) -> Option<String> {
    match end.since(now) {
        left if left <= 0 => Some(format!("ended {end}")),
        left if left <= SOON => Some(format!("ends {end}, in {} days", left / (24 * 3600))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_is_near_is_told() {
        let now = Timestamp(1_000_000);
        assert_eq!(told(now.plus(SOON + 1), now), None);
        assert_eq!(told(now.plus(SOON), now), Some(format!("ends {}, in 14 days", now.plus(SOON))));
        assert_eq!(told(now, now), Some(format!("ended {now}")));
    }
}
