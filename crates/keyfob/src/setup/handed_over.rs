//! Which descriptors a run takes over, and which one of its ancestors has read already.

use std::{
    collections::BTreeSet,
    os::fd::{AsRawFd, OwnedFd},
};

use keyfob_core::{
    Error, Result,
    contract::{
        Variables, names,
        settings::{Descriptor, Settings},
    },
};

use crate::{setup::descriptors::Inherited, world::system::fd};

/// `keyfob exec` names here what it handed over: the program it started has read that descriptor, so a keyfob
/// below it must not.
pub const HANDED_OVER: &str = "KEYFOB_HANDED_OVER";

/// Takes over the descriptors that variables name, and those a host gives. With those that were handed over and have been
/// read.
pub(super) fn take_over(
    settings: &Settings,
    variables: &Variables,
    allowed: bool,
    given: Vec<(&'static str, OwnedFd)>,
    problems: &mut Vec<Error>,
) -> (Vec<Inherited>, Vec<Descriptor>) {
    let handed = variables.text(HANDED_OVER).unwrap_or_default();
    let mut inherited = Vec::new();
    let mut consumed = Vec::new();
    let mut keep = |taken: Result<Inherited>| taken.map_err(|error| problems.push(error)).ok();
    if allowed
        && let Some(number) = variables.text(names::GATEWAY_DESCRIPTOR).and_then(|text| text.parse().ok())
    {
        fd::keep_from_children(number);
    }
    let mut taken: BTreeSet<i32> = given.iter().map(|(_, descriptor)| descriptor.as_raw_fd()).collect();
    for (variable, descriptor) in given {
        inherited.extend(keep(Inherited::given(variable, descriptor)));
    }
    let named = [&settings.oauth_descriptor, &settings.api_key_descriptor, &settings.websocket_descriptor];
    for descriptor in named.into_iter().flatten() {
        if let Some(which) = handed.strip_prefix(&format!("{}={}", descriptor.variable, descriptor.number))
            && (which.is_empty() || which.starts_with(':'))
        {
            // If the program did not close it, no child of ours is to have it either.
            if allowed && let Some(file) = which.strip_prefix(':') {
                fd::close_if(descriptor.number, file);
            }
            consumed.push(descriptor.clone());
        } else if allowed
            && !inherited.iter().any(|i| i.variable() == descriptor.variable)
            // Two owners of one number would close it under each other; that two variables name it is already reported.
            && taken.insert(descriptor.number)
        {
            inherited.extend(keep(Inherited::take(descriptor.variable, descriptor.number)));
        }
    }
    (inherited, consumed)
}
