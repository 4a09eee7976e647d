//! The other names of the program, by which tools find their helper: a symbolic link in a directory of the person's own.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{core::Id, world::system::shown},
};

use super::place::{USUAL, dirs, failed, home, judged, lasting, own};
use crate::args::NAMES;

/// The program under another name.
pub(super) struct Link {
    pub(super) path: PathBuf,
    target: PathBuf,
    /// Its directory is one where programs are looked for.
    pub(super) in_path: bool,
    pub(super) is_there: bool,
}

impl Link {
    /// In PATH, where a package or the person has put it; else in `~/.local/bin`.
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        let dirs = dirs();
        // Which file the name alone leads to: an untrusted directory may stand before the one that is written down.
        let first = |dir: &Path| {
            let there = dirs.iter().find(|dir| fs::symlink_metadata(dir.path.join(name)).is_ok());
            there.is_none_or(|there| there.path == dir)
        };
        let trusted = || dirs.iter().filter(|dir| dir.is_trusted).map(|dir| dir.path.as_path());
        if let Some(dir) = trusted().find(|dir| leads_here(&dir.join(name))) {
            return Self::at(dir.join(name), first(dir));
        }
        let dir = home("a link")?.join(USUAL);
        let in_path = trusted().any(|trusted| trusted == dir) && first(&dir);
        Self::at(dir.join(name), in_path)
    }

    /// At a place that the tool prescribes.
    pub(super) fn at(path: PathBuf, in_path: bool) -> Result<Self, Error> {
        let is_there = leads_here(&path);
        if !is_there && fs::symlink_metadata(&path).is_ok_and(|meta| !is_ours(&path, &meta)) {
            let what = format!("{} is not written", shown(&path));
            let why = "something of that name is there already, and is no link to keyfob";
            return Err(Error::new(Id::Usage, what, why).hint("move it away, if it is not needed"));
        }
        Ok(Self { path, target: lasting(), in_path, is_there })
    }

    /// Whether `--undo` may remove it: one in the person's home. What a package or the installer has brought stays.
    pub(super) fn is_own(&self) -> bool {
        home("a link").is_ok_and(|home| self.path.starts_with(home))
            && fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.file_type().is_symlink())
            && !self.is_installed()
    }

    /// Whether the shell installer lists it (`PREFIX/share/keyfob/installed`: a state, a blank, a name below the prefix).
    fn is_installed(&self) -> bool {
        let Some(prefix) = self.path.parent().and_then(Path::parent) else { return false };
        let list = fs::read_to_string(prefix.join("share/keyfob/installed")).unwrap_or_default();
        let is = |line: &str| line.split_once(' ').is_some_and(|(_, name)| prefix.join(name) == self.path);
        list.lines().any(is)
    }

    pub(super) fn says(&self) -> String {
        format!("{} -> {}", shown(&self.path), shown(&self.target))
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        let cannot = |error| failed("written", &self.path, error);
        let dir = self.path.parent().unwrap_or(&self.path);
        judged(dir.to_path_buf(), "HOME", None)?;
        fs::create_dir_all(dir).map_err(cannot)?;
        // One that led to a program which is gone.
        match fs::symlink_metadata(&self.path) {
            Ok(meta) if is_ours(&self.path, &meta) => fs::remove_file(&self.path).map_err(cannot)?,
            _ => {}
        }
        symlink(&self.target, &self.path).map_err(cannot)
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removed", &self.path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Links that a set-up made or a person, and that lead to no program any more: the tool then says that its helper is missing.
pub(crate) fn astray() -> Vec<PathBuf> {
    let Ok(home) = home("a link") else { return Vec::new() };
    let dirs = [USUAL, ".terraform.d/plugins"].map(|dir| home.join(dir));
    let all = dirs.iter().flat_map(|dir| NAMES.iter().map(|(name, _)| dir.join(name)));
    let is_astray = |path: &PathBuf| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|meta| is_ours(path, &meta));
        is_link && fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    all.filter(is_astray).collect()
}

fn leads_here(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|found| found == own())
}

/// A link to a keyfob that is elsewhere, or gone.
fn is_ours(path: &Path, meta: &fs::Metadata) -> bool {
    let leads_to =
        |target: PathBuf| target.file_name().is_some_and(|name| name.to_string_lossy().starts_with("keyfob"));
    meta.file_type().is_symlink() && fs::read_link(path).is_ok_and(leads_to)
}
