//! Doors and files of the configured agent that can give nothing: those of a profile that nobody has signed in to.

use std::collections::BTreeMap;

use keyfob_core::{Cause, Error, Id};

use crate::{finding::State, session::Session, store::Seen};

/// Looks at every profile that a door or a file names. Of the profile in use the sources tell.
pub(super) fn examine(session: &Session, add: &mut impl FnMut(&str, State)) {
    let Some(environment) = &session.setup.environment else { return };
    let agent = &session.setup.config.agent;
    let mut named = BTreeMap::<&str, Vec<String>>::new();
    for (name, door) in &agent.doors {
        if let Some(profile) = &door.profile {
            named.entry(profile).or_default().push(format!("the door `{name}`"));
        }
    }
    for sink in &agent.sinks {
        if let Some(profile) = &sink.profile {
            named.entry(profile).or_default().push(sink.path.clone());
        }
    }
    // A client that asks for itself needs nobody to sign in.
    if named.is_empty() || environment.machine.is_some() {
        return;
    }
    let mut all_good = true;
    for (profile, what) in named {
        // What else is wrong with a login is told with the login.
        if matches!(session.store_beside(profile).and_then(|store| store.look()), Ok(Seen::Nothing)) {
            all_good = false;
            let what = format!("{} of the agent gives nothing", what.join(", "));
            let error =
                Error::new(Id::LoginNeeded, what, format!("nobody has signed in to profile `{profile}`"));
            add(
                "agent",
                State::Wrong(error.because(Cause::NotSignedIn {
                    profile: profile.into(),
                    environment: environment.name.clone(),
                })),
            );
        }
    }
    if all_good {
        add("agent", State::Fine("there is a login for each door and file of the configuration".into()));
    }
}
