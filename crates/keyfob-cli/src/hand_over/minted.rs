//! The warning about a token that was minted on this machine and expires soon: nothing renews it, and a user who pasted
//! it into a job's settings gets no other notice.

use keyfob::{Client, Grant, Source, Timestamp, internals::login::setup_token::SOON};

use crate::output::{report::Report, when::Calendar};

/// Reads the notes of `setup-token` only for a token given from outside: a stored login has its own expiry.
pub(crate) fn warn(client: &Client, grant: &Grant) {
    if !matches!(grant.source(), Source::OauthToken | Source::OauthTokenDescriptor) {
        return;
    }
    let Ok(notes) = client.minted() else { return };
    let fingerprint = grant.credential().fingerprint();
    let end = notes.into_iter().find(|note| note.fingerprint == fingerprint).and_then(|note| note.expires_at);
    if let Some(said) = end.and_then(|end| told(end, &Calendar::here())) {
        Report::say(&format!(
            "warning: the token from {} was minted here and {said}; `keyfob setup-token` mints another",
            grant.source()
        ));
    }
}

fn told(end: Timestamp, calendar: &Calendar) -> Option<String> {
    match end.since(calendar.now()) {
        left if left <= 0 => Some(format!("ended {}", calendar.ago(end))),
        left if left <= SOON => Some(format!("ends {}", calendar.ahead(end))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_is_near_is_told() {
        let calendar = Calendar::here();
        let now = calendar.now();
        assert_eq!(told(now.plus(SOON + 1), &calendar), None);
        let soon = told(now.plus(SOON), &calendar).expect("it is near");
        assert!(soon.starts_with("ends ") && soon.ends_with(", in 14 days"), "{soon}");
        let over = told(now, &calendar).expect("it is over");
        assert!(over.starts_with("ended ") && over.ends_with(", 0 seconds ago"), "{over}");
    }
}
