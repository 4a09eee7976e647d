//! What a service manager gives a unit: files in a directory of the unit's own (systemd.exec(5), "Credentials").

use std::path::{Path, PathBuf};

use keyfob_core::{Cause, contract::names};

use crate::{
    setup::trust::Surroundings,
    world::{
        World,
        system::{env, shown},
    },
};

/// Where a credential of this name is.
///
/// # Errors
/// The manager's variable is not set, or leads where no variable may.
pub(super) fn credential(world: &World, name: &str) -> Result<PathBuf, (String, Option<Cause>)> {
    const VARIABLE: &str = names::CREDENTIALS_DIRECTORY;
    let refused = |why: String| (why, Some(Cause::UnitCredentials { name: name.to_owned() }));
    let Some(dir) = world.helper.variable(VARIABLE) else {
        return Err(refused(format!(
            "{VARIABLE} is not set: no service manager has given this process credentials"
        )));
    };
    let path = Path::new(&dir).join(name);
    // Everything that runs in a repository can have this variable from it.
    let judged = Surroundings::of(env::here().as_deref()).judge(&path);
    judged.map_err(|refusal| {
        refused(format!("{VARIABLE} leads to {}, which is refused: {refusal}", shown(&path)))
    })?;
    Ok(path)
}
