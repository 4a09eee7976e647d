//! The variables that no child gets unless it is meant to: those of the contract that hold a credential, and those that the
//! configuration names for identity tokens.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use keyfob_core::contract::{self, names};

/// What configurations have named so far. A list for the whole process: some children are started where no configuration is at
/// hand, and a name too many takes no child what it needs.
static CONFIGURED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes a variable that a configuration names for identity tokens.
pub(crate) fn note(name: &str) {
    CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
}

/// What the program below `exec` does not get. It may ask GitHub Actions itself: a keyfob below it has to.
#[must_use]
pub fn from_programs() -> Vec<String> {
    let configured = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    contract::secret_names().map(str::to_owned).chain(configured).collect()
}

/// What a configured command, and a process of our own beside this one, do not get.
#[must_use]
pub fn from_helpers() -> Vec<String> {
    let mut names = from_programs();
    names.push(names::GITHUB_TOKEN.to_owned());
    names
}
