//! Credentials that are present but not used, and the warning about them.

use keyfob::{
    Considered, Error, Grant, Outcome, Source,
    internals::core::{Id, contract::names},
};

use crate::output::report::Report;

/// The sources that are present but not used.
pub(crate) fn names(grant: &Grant) -> Vec<&'static str> {
    shadowed(grant).map(Source::name).collect()
}

fn shadowed(grant: &Grant) -> impl Iterator<Item = Source> {
    grant.considered().iter().filter(|c| c.outcome() == Outcome::Shadowed).map(Considered::source)
}

/// The name by which a user gave this source: that of a variable, where it is one.
pub(crate) const fn typed(source: Source) -> &'static str {
    match source {
        Source::AuthToken => names::AUTH_TOKEN,
        Source::ApiKeyDescriptor => names::API_KEY_DESCRIPTOR,
        Source::ApiKey => names::API_KEY,
        Source::ApiKeyHelper => "the configured api_key_helper",
        Source::OauthToken => names::OAUTH_TOKEN,
        Source::OauthTokenDescriptor => names::OAUTH_DESCRIPTOR,
        Source::RefreshToken => names::REFRESH_TOKEN,
        Source::Federation => "the identity token of this machine",
        Source::Login => "the stored login",
        Source::SessionToken => names::SESSION_TOKEN,
        Source::WebSocketDescriptor => names::WEBSOCKET_DESCRIPTOR,
        // What this command does not know by a better name yet.
        other => other.name(),
    }
}

/// Warns that a login is not what will be used: by the name that the user typed, which is what has to be changed.
pub(crate) fn of_a_login(winner: Source, what: &str, or_name: &str) -> Error {
    let by = typed(winner);
    let way = match winner {
        Source::ApiKeyHelper => "take api_key_helper out of the configuration file".to_owned(),
        _ => format!("unset {by}"),
    };
    Error::new(Id::LoginNeeded, what, format!("{by} comes first in the order of sources"))
        .hint(format!("{way}, or name this login for each call: `keyfob token {or_name}`"))
}

/// The most common surprise is an unintended credential: a variable that silently wins over the account, or the account
/// over a variable. Printed in scripts too, where no user runs `status`.
pub(crate) fn warn(grant: &Grant) {
    let shadowed: Vec<_> = shadowed(grant).map(typed).collect();
    if !shadowed.is_empty() {
        Report::say(&format!(
            "warning: {} is used and comes before {}; `keyfob status --all` says why, `--only SOURCE` forbids it",
            typed(grant.source()),
            shadowed.join(", ")
        ));
    }
}
