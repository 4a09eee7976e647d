//! Where things are kept besides the logins: what does not last, and logins that are stored somewhere else.

use std::path::{Path, PathBuf};

use keyfob_core::error::escape_whole;

use crate::{finding::State, session::Session};

pub(super) fn examine(session: &Session, add: &mut dyn FnMut(&str, State)) {
    let Some(home) = &session.setup.home else { return };
    let shown = |path: &Path| escape_whole(&path.to_string_lossy());
    let transient = home.transient();
    let state = match session.world.files.check_dir(&transient, true) {
        Ok(()) => State::Fine(format!("{} is yours alone", shown(&transient))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            State::Fine(format!("{} is made when it is needed", shown(&transient)))
        }
        Err(error) => State::Note(format!("{} cannot be used: {error}", shown(&transient))),
    };
    add("runtime", state);
    for other in elsewhere(session, &home.logins) {
        let count = session.world.files.list(&other).map_or(0, |files| files.iter().filter(is_login).count());
        if count > 0 {
            let text = format!(
                "{} has {count} login(s) too, which do not count here: {} is used",
                shown(&other),
                shown(&home.logins)
            );
            add("another home", State::Note(text));
        }
    }
}

fn is_login(path: &&PathBuf) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// The usual places, and the one a variable names, but for the one that counts.
fn elsewhere(session: &Session, logins: &Path) -> Vec<PathBuf> {
    let named = |name: &str| session.world.helper.variable(name).map(PathBuf::from);
    let usual = |home: PathBuf| home.join(".local/state/keyfob/logins");
    let mut places = vec![
        named("KEYFOB_HOME").map(|home| home.join("logins")),
        named("XDG_STATE_HOME").map(|state| state.join("keyfob/logins")),
        named("HOME").map(usual),
    ];
    let mut found: Vec<PathBuf> = Vec::new();
    for place in places.drain(..).flatten().filter(|place| place.is_absolute() && place != logins) {
        let real = |path: &Path| session.world.files.resolve(path).unwrap_or_else(|_| path.to_owned());
        if real(&place) != real(logins) && !found.contains(&place) {
            found.push(place);
        }
    }
    found
}
