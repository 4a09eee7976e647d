//! The profile of a run: the one that was named, or the one that was chosen as the default.

use std::path::{Path, PathBuf};

use keyfob_core::{Cause, Error, Id, Result, contract::Variables, error::escape};

use crate::{
    setup::home::Home,
    world::{Files, failure, system::shown},
};

/// The profile, and whether it was named for this very call.
pub(super) fn of(
    variables: &Variables,
    named: Option<String>,
    home: Option<&Home>,
    files: &dyn Files,
) -> (Result<String>, bool) {
    if let Some(name) = named {
        return (check(&name, "--profile", Id::Usage).map(|()| name), true);
    }
    if let Some(name) = variables.text("KEYFOB_PROFILE").map(str::to_owned) {
        return (check(&name, "KEYFOB_PROFILE", Id::VariableMalformed).map(|()| name), true);
    }
    let kept = home.map_or(Ok(None), |home| chosen(&home.logins, files));
    (kept.map(|kept| kept.unwrap_or_else(|| "default".into())), false)
}

/// Refuses what is no profile's name.
pub(crate) fn check(name: &str, by: &str, id: Id) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let what = format!("{by} names the profile `{}`", escape(name));
        let why = "a profile's name has 1 to 64 letters, digits and the characters - _ . @ +";
        return Err(Error::new(id, what, why).because(Cause::ProfileName { name: name.into() }));
    }
    Ok(())
}

/// Where the choice is kept.
pub(crate) fn place(logins: &Path) -> PathBuf {
    logins.with_file_name("profile")
}

/// The profile that was chosen to count when none is named.
pub(crate) fn chosen(logins: &Path, files: &dyn Files) -> Result<Option<String>> {
    let place = place(logins);
    let bytes = files.read(&place).map_err(|error| {
        failure::failed_at(Id::StoreUnsafe, format!("{} cannot be used", place.display()), &place, error)
    })?;
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    let name = String::from_utf8_lossy(&bytes).into_owned();
    check(&name, &shown(&place), Id::StoreCorrupt)?;
    Ok(Some(name))
}
