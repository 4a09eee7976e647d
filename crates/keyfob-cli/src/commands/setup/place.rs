//! Where files and this program are: the home, a path that a variable or a flag gave, PATH.

use std::{
    io,
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::trust::{Refusal, Surroundings},
        world::{
            failure,
            system::{env, program, shown},
        },
    },
};

/// The person's home, which everything usual lies in.
pub(super) fn home(of: &str) -> Result<PathBuf, Error> {
    env::path(env::variables(), "HOME").filter(|home| home.is_absolute()).ok_or_else(|| {
        Error::new(Id::NoHome, format!("there is no place for the file of {of}"), "HOME is unset")
            .hint("set HOME, or name the file: `--file FILE`")
    })
}

/// The path that a variable or a flag gave, made absolute, if nobody else can change the way to it. `usual` is its place in
/// a home.
pub(super) fn judged(path: PathBuf, from: &str, usual: Option<&str>) -> Result<PathBuf, Error> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let around = Surroundings::of(env::here().as_deref());
    let verdict = match usual {
        Some(usual) => around.judge_unless_usual(&path, usual),
        // Typed for this call: only the way to it counts.
        None => around.follow(&path).map(drop),
    };
    verdict.map_err(|refusal: Refusal| {
        let what = format!("{from} leads to {}, which is refused", shown(&path));
        Error::new(Id::HomeUnsafe, what, refusal.to_string())
            .hint("name another file, on a way that is yours alone")
    })?;
    Ok(path)
}

/// A directory in which programs are looked for.
pub(super) struct Dir {
    pub(super) path: PathBuf,
    /// What lies in it may be named in a file of the person's. A repository can put a directory of its own into PATH (direnv's
    /// `PATH_add`), and what is written down outlasts the visit.
    pub(super) is_trusted: bool,
}

/// The directories of PATH, in their order.
pub(super) fn dirs() -> Vec<Dir> {
    let path = env::path(env::variables(), "PATH").unwrap_or_default();
    let around = Surroundings::of(env::here().as_deref());
    let judged = |path: PathBuf| {
        // A home may be a repository itself (dotfiles), and this is its usual place for programs.
        let is_trusted = around.judge_unless_usual(&path, USUAL).is_ok();
        Dir { path, is_trusted }
    };
    std::env::split_paths(&path).map(judged).collect()
}

/// Where a person's own programs are, in the home.
pub(super) const USUAL: &str = ".local/bin";

/// The name alone where PATH leads to this very program: a new version in another place is found then. Else its path.
pub(super) fn command() -> String {
    let dirs = dirs();
    let first = dirs.iter().map(|dir| dir.path.join("keyfob")).find(|file| file.is_file());
    match in_path(&dirs) {
        Some(file) if first.as_ref() == Some(&file) => "keyfob".into(),
        _ => own().to_string_lossy().into_owned(),
    }
}

/// Where this program is: as PATH has it, which outlasts a new version behind a link. Else the file itself.
pub(super) fn lasting() -> PathBuf {
    in_path(&dirs()).unwrap_or_else(own)
}

/// The file of this program.
pub(super) fn own() -> PathBuf {
    let own = program::own();
    std::fs::canonicalize(&own).unwrap_or(own)
}

/// The first `keyfob` in the trusted directories of PATH, if that is this program.
fn in_path(dirs: &[Dir]) -> Option<PathBuf> {
    let trusted = dirs.iter().filter(|dir| dir.is_trusted);
    let first = trusted.map(|dir| dir.path.join("keyfob")).find(|file| file.is_file())?;
    Some(first).filter(|file| std::fs::canonicalize(file).is_ok_and(|file| file == own()))
}

/// The error for what the system does not let happen to a file.
pub(super) fn failed(act: &str, path: &Path, error: io::Error) -> Error {
    failure::failed_at(Id::Usage, format!("{} cannot be {act}", shown(path)), path, error)
}
