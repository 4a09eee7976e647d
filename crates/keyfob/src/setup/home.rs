//! The directories for configuration, state and runtime files, and who may choose them.
//!
//! A party that controls the environment, such as a repository that sets variables (direnv, a task runner), must not be
//! able to plant a login or a configuration. So a directory named by a variable is refused if it is inside the current
//! repository. `--home DIR` is the user's own choice and is not refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use keyfob_core::{Cause, Error, Id, Result};

use super::trust::{Refusal, Surroundings};
use crate::world::{
    Files, failure,
    system::{owners::own_home, shown},
};

/// The directories of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The configuration file, which need not exist.
    pub config: PathBuf,
    /// The directory of the logins.
    pub logins: PathBuf,
    /// A directory that does not outlast the session, where there is one: helper output, recovery files.
    pub runtime: Option<PathBuf>,
    /// Whether one directory was chosen for everything.
    pub explicit: bool,
}

/// What the environment and the command line say about places.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `--home DIR`.
    pub chosen: Option<PathBuf>,
    /// `KEYFOB_HOME`.
    pub keyfob_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime: Option<PathBuf>,
}

impl Home {
    /// Decides, and refuses what is not safe.
    ///
    /// # Errors
    /// [`Id::HomeUnsafe`], [`Id::NoHome`].
    pub fn find(
        places: &Places,
        files: &dyn Files,
        around: &Surroundings,
        warnings: &mut Vec<Error>,
    ) -> Result<Self> {
        if let Some(dir) = &places.chosen {
            return Ok(Self::in_one(&std::path::absolute(dir).unwrap_or_else(|_| dir.clone())));
        }
        if let Some(dir) = &places.keyfob_home {
            let what = || format!("KEYFOB_HOME names {}, which is refused", shown(dir));
            let found = Self::in_one(dir);
            for path in [dir, &found.config, &found.logins] {
                around.judge(path).map_err(|refusal| unsafe_home(what(), path, dir, &refusal))?;
            }
            if dir.exists() {
                let refuse = |error: io::Error| failure::failed_at(Id::HomeUnsafe, what(), dir, error);
                let resolved = files.resolve(dir).map_err(refuse)?;
                files.check_dir(&resolved, false).map_err(refuse)?;
            }
            return Ok(found);
        }
        // XDG: a relative path is ignored, an unset one has its default under the home directory.
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        // A user without a home (a container's made-up user) has what XDG names.
        let home = absolute(&places.home).or_else(own_home);
        let place = |named: &Option<PathBuf>, usual: &str| {
            absolute(named).or_else(|| Some(home.as_ref()?.join(usual))).ok_or_else(|| {
                Error::new(
                    Id::NoHome,
                    "there is no home directory",
                    "HOME is unset and the password database has none",
                )
            })
        };
        let found = Self {
            config: place(&places.xdg_config, ".config")?.join("keyfob/config.toml"),
            logins: place(&places.xdg_state, ".local/state")?.join("keyfob/logins"),
            runtime: absolute(&places.xdg_runtime).and_then(|dir| {
                // What is kept there need not last: if the directory is not safe, none is used.
                let runtime = runtime(&dir, files, around);
                runtime.map_err(|why| warnings.push(without(&dir, why))).ok()
            }),
            explicit: false,
        };
        let usual = [".config/keyfob/config.toml", ".local/state/keyfob/logins"];
        let names = ["XDG_CONFIG_HOME or HOME", "XDG_STATE_HOME or HOME"];
        for ((path, variable), usual) in [&found.config, &found.logins].into_iter().zip(names).zip(usual) {
            let judged = around.judge_unless_usual(path, usual);
            let what = || format!("{variable} leads to {}, which is refused", shown(path));
            judged.map_err(|refusal| unsafe_home(what(), path, path, &refusal))?;
        }
        Ok(found)
    }

    /// Where things are kept that need not last.
    #[must_use]
    pub fn transient(&self) -> PathBuf {
        let beside = || self.logins.parent().unwrap_or(Path::new("/")).join("run");
        self.runtime.clone().unwrap_or_else(beside)
    }

    fn in_one(dir: &Path) -> Self {
        Self {
            config: dir.join("config.toml"),
            logins: dir.join("logins"),
            runtime: Some(dir.join("run")),
            explicit: true,
        }
    }
}

/// Ours in a runtime directory (XDG Base Directory: the user's own, 0700, there as long as they are logged in).
fn runtime(dir: &Path, files: &dyn Files, around: &Surroundings) -> Result<PathBuf, String> {
    if !dir.is_dir() {
        return Err("there is no such directory".into());
    }
    let ours = dir.join("keyfob");
    around.judge(&ours).map_err(|refusal| refusal.to_string())?;
    match files.check_dir(&ours, true) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", shown(&ours))),
        _ => Ok(ours),
    }
}

fn without(dir: &Path, why: String) -> Error {
    let what = format!("XDG_RUNTIME_DIR names {}, which is not used", shown(dir));
    Error::new(Id::HomeUnsafe, what, why).because(Cause::RuntimeRefused { path: shown(dir) })
}

fn unsafe_home(what: String, path: &Path, named: &Path, refusal: &Refusal) -> Error {
    let why = match (refusal, path == named) {
        (Refusal::Repository(_), false) => format!("{}: {refusal}", shown(path)),
        _ => refusal.to_string(),
    };
    Error::new(refusal.id(Id::HomeUnsafe), what, why).maybe_because(refusal.cause(named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::system::files::Disk;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn find(places: &Places, here: &Path) -> Result<Home> {
        Home::find(places, &Disk, &Surroundings::of(Some(here)), &mut Vec::new())
    }

    #[test]
    fn a_repository_cannot_choose_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        std::fs::create_dir_all(repo.join(".git")).unwrap();
        std::fs::create_dir_all(repo.join("sub/home")).unwrap();
        let here = repo.join("sub");
        let link = dir.path().join("link");
        symlink(repo.join("sub/home"), &link).unwrap();
        for inside in [repo.join("sub/home"), repo.join("not/yet"), link] {
            let places = Places { keyfob_home: Some(inside.clone()), ..Places::default() };
            let error = find(&places, &here).expect_err("inside");
            assert_eq!(error.id(), Id::HomeUnsafe, "{}", inside.display());
        }
        for xdg in [
            Places { xdg_config: Some(repo.join("c")), home: Some(dir.path().into()), ..Places::default() },
            Places { xdg_state: Some(repo.join("s")), home: Some(dir.path().into()), ..Places::default() },
            Places { home: Some(repo.clone()), ..Places::default() },
        ] {
            assert_eq!(find(&xdg, &here).expect_err("inside").id(), Id::HomeUnsafe);
        }
        let chosen = Places { chosen: Some(repo.join("sub/home")), ..Places::default() };
        assert!(find(&chosen, &here).is_ok(), "a person's own choice");
        let outside = Places { keyfob_home: Some(dir.path().join("home")), ..Places::default() };
        assert!(find(&outside, &here).is_ok());
    }

    /// A submodule does not hide the repository around it, and a link does not hide where it leads.
    #[test]
    fn enclosing_repositories_count_too() {
        let dir = tempfile::tempdir().unwrap();
        let outer = dir.path().join("outer");
        std::fs::create_dir_all(outer.join(".git")).unwrap();
        std::fs::create_dir_all(outer.join("sub/deep")).unwrap();
        std::fs::write(outer.join("sub/.git"), "gitdir: ../.git/modules/sub").unwrap();
        let here = outer.join("sub/deep");
        let judged = Surroundings::of(Some(&here)).judge(&outer.join("planted"));
        assert_eq!(judged, Err(Refusal::Repository(outer.clone())));
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        assert_eq!(Surroundings::of(Some(&here)).judge(&home), Ok(()));
        symlink(outer.join("config.toml"), home.join("config.toml")).unwrap();
        std::fs::write(outer.join("config.toml"), "").unwrap();
        let places = Places { keyfob_home: Some(home), ..Places::default() };
        assert!(find(&places, &here).expect_err("linked").why().contains("config.toml: it lies inside"));
    }

    #[test]
    fn the_home_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).unwrap();
        let places = Places { keyfob_home: Some(home), ..Places::default() };
        assert!(find(&places, dir.path()).expect_err("open").why().contains("writable by others"));
        let relative = Places { keyfob_home: Some("home".into()), ..Places::default() };
        assert!(find(&relative, dir.path()).expect_err("relative").why().contains("absolute"));
    }

    /// XDG Base Directory: absolute paths count, relative ones are ignored.
    #[test]
    fn xdg_directories() {
        let places = Places {
            home: Some("/home/ada".into()),
            xdg_config: Some("relative".into()),
            xdg_state: Some("/state".into()),
            ..Places::default()
        };
        let home = find(&places, Path::new("/")).unwrap();
        assert_eq!(home.config, Path::new("/home/ada/.config/keyfob/config.toml"));
        assert_eq!(home.logins, Path::new("/state/keyfob/logins"));
        assert_eq!(home.runtime, None);
    }
}
