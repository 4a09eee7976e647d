//! Which credentials were there and not used, and the warning about them.

use keyfob::{Grant, internals::credential::grant::Outcome};

use crate::output::report::Report;

/// The sources that are there and were not used.
pub(crate) fn names(grant: &Grant) -> Vec<&'static str> {
    let shadowed = grant.considered.iter().filter(|c| c.outcome == Outcome::Shadowed);
    shadowed.map(|c| c.source.name()).collect()
}

/// The commonest surprise is a credential nobody meant: a variable that silently wins over the account, or the account
/// over a variable. Said in scripts too, where nobody asks `status`.
pub(crate) fn warn(grant: &Grant) {
    let shadowed = names(grant);
    if !shadowed.is_empty() {
        Report::say(&format!(
            "warning: {} is used and comes before {}; `keyfob status` says why, `--only SOURCE` forbids it",
            grant.source,
            shadowed.join(", ")
        ));
    }
}
