//! Where files for shells and for `man` are installed.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::trust::Surroundings,
        world::{
            failure,
            system::{env, shown},
        },
    },
};

use crate::output::report::Result;

/// The directory of the user's data.
pub(super) fn data_home() -> Result<PathBuf> {
    home_of("XDG_DATA_HOME", ".local/share")
}

/// A directory of the XDG specification: a relative one is ignored, an unset one defaults to its place under the home.
/// One that is inside the current repository, or that others can change, is refused.
pub(super) fn home_of(variable: &str, usual: &str) -> Result<PathBuf> {
    let variables = env::variables();
    let absolute = |name: &str| env::path(variables, name).filter(|path| path.is_absolute());
    let found = absolute(variable).or_else(|| Some(absolute("HOME")?.join(usual))).ok_or_else(|| {
        Error::new(Id::NoHome, "there is nowhere to install to", format!("HOME and {variable} are unset"))
    })?;
    let around = Surroundings::of(env::here().as_deref());
    around.judge_unless_usual(&found, usual).map_err(|refusal| {
        let what = format!("{variable} or HOME leads to {}, which is refused", shown(&found));
        Error::new(Id::HomeUnsafe, what, refusal.to_string())
            .hint("unset it, or print it and keep it yourself")
    })?;
    Ok(found)
}

/// Writes a whole file. An existing link is replaced, not followed.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error| {
        let what = format!("{} cannot be written", shown(path));
        failure::failed_at(Id::Usage, what, path, error)
            .hint("choose a place that can be written (XDG_DATA_HOME), or print it and keep it yourself")
    };
    Ok(replace(path, bytes).map_err(failed)?)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("keyfob-new");
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::File::create_new(&next)?.write_all(bytes)?;
    fs::rename(&next, path)
}
