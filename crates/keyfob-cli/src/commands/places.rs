//! Where files for shells and for `man` are installed, and how they go again. What keyfob did not write is neither replaced
//! nor removed, and a link is neither followed nor replaced.

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

use crate::output::report::{Report, Result};

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

/// Whether these bytes are a file of keyfob's, of whichever version.
pub(super) type IsOwn = fn(&[u8]) -> bool;

enum There {
    Nothing,
    Own,
    /// Somebody's, and what it is.
    Foreign(String),
}

fn there(path: &Path, is_own: IsOwn) -> Result<There> {
    let failed = |error| {
        let what = format!("{} cannot be read", shown(path));
        failure::failed_at(Id::Usage, what, path, error).hint("see what is there")
    };
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        // That something on the way is a file is told by whoever writes there.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(There::Nothing),
        Err(error) => return Err(failed(error).into()),
        Ok(meta) => meta,
    };
    if meta.file_type().is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        return Ok(There::Foreign(format!("it is a link to {}", shown(&target))));
    }
    if !meta.is_file() {
        return Ok(There::Foreign("it is no file".into()));
    }
    Ok(if is_own(&fs::read(path).map_err(failed)?) {
        There::Own
    } else {
        There::Foreign("keyfob did not write it".into())
    })
}

/// Fails if a file may not be written here, as something of somebody's is there.
pub(super) fn judge(path: &Path, is_own: IsOwn) -> Result<()> {
    let There::Foreign(why) = there(path, is_own)? else { return Ok(()) };
    let what = format!("{} is there already", shown(path));
    Err(Error::new(Id::Usage, what, why)
        .hint("move it away, or print what would be written and keep that yourself")
        .into())
}

/// Removes a file that keyfob wrote, and the directories that are empty then, as far as `top`. Returns whether there was one;
/// what is somebody else's is said, and stays.
pub(super) fn take_away(path: &Path, top: &Path, is_own: IsOwn) -> Result<bool> {
    match there(path, is_own)? {
        There::Nothing => return Ok(false),
        There::Foreign(why) => {
            Report::say(&format!("{} stays: {why}.", shown(path)));
            return Ok(false);
        }
        There::Own => {}
    }
    fs::remove_file(path).map_err(|error| {
        let what = format!("{} cannot be removed", shown(path));
        failure::failed_at(Id::Usage, what, path, error).hint("make its directory writable")
    })?;
    let above = path.ancestors().skip(1).take_while(|dir| *dir != top && dir.starts_with(top));
    for dir in above {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
    Ok(true)
}

/// Writes a whole file, where [`judge`] found nothing of somebody's.
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
