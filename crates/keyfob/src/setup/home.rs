//! Where keyfob keeps its things, and who may say so.
//!
//! Whoever controls the environment must not be able to plant a login or a configuration: a repository that
//! sets variables (direnv, a task runner) is the case to think of. So a place that came through a variable is
//! refused when it lies inside the repository one stands in; `--home DIR` is a person's own choice.

use std::path::{Path, PathBuf};

use keyfob_core::{Error, Id, Result};

use crate::world::Files;

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
    pub fn find(places: &Places, files: &dyn Files, around: &Repositories) -> Result<Self> {
        if let Some(dir) = &places.chosen {
            return Ok(Self::in_one(&std::path::absolute(dir).unwrap_or_else(|_| dir.clone())));
        }
        if let Some(dir) = &places.keyfob_home {
            let refuse = |why: String| {
                Error::new(
                    Id::HomeUnsafe,
                    format!("KEYFOB_HOME names {}, which is refused", dir.display()),
                    why,
                )
            };
            if !dir.is_absolute() {
                return Err(refuse("it is not an absolute path".into()));
            }
            let found = Self::in_one(dir);
            for path in [dir, &found.config, &found.logins] {
                if let Some(root) = around.enclosing(path) {
                    return Err(refuse(format!(
                        "{} lies inside the repository {}",
                        path.display(),
                        root.display()
                    )));
                }
            }
            if dir.exists() {
                let resolved = files.resolve(dir).map_err(|error| refuse(error.to_string()))?;
                files.check_dir(&resolved, false).map_err(|error| refuse(error.to_string()))?;
            }
            return Ok(found);
        }
        // XDG: a relative path is ignored, an unset one has its default under the home directory.
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        // Somebody without a home (a container's invented user) has what XDG names.
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
            runtime: absolute(&places.xdg_runtime).map(|dir| dir.join("keyfob")),
            explicit: false,
        };
        for (path, variable) in
            [(&found.config, "XDG_CONFIG_HOME or HOME"), (&found.logins, "XDG_STATE_HOME or HOME")]
        {
            if let Some(root) = around.enclosing(path) {
                let what = format!("{variable} leads to {}, which is refused", path.display());
                return Err(Error::new(
                    Id::HomeUnsafe,
                    what,
                    format!("it lies inside the repository {}", root.display()),
                ));
            }
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

/// The user's home as the password database names it: nothing an environment says changes it.
#[must_use]
pub fn own_home() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
    user.dir.is_absolute().then_some(user.dir)
}

/// The repositories one stands in. They lie within each other (a submodule, a checkout below another), so all of
/// them count. Looked for once: this is on the way of every command.
#[derive(Clone, Debug, Default)]
pub struct Repositories(Vec<Root>);

/// The root of a repository, as it was found and with every link followed.
#[derive(Clone, Debug)]
struct Root {
    found: PathBuf,
    real: PathBuf,
}

impl Repositories {
    /// Those around a directory.
    #[must_use]
    pub fn around(here: &Path) -> Self {
        const MARKS: [&str; 4] = [".git", ".jj", ".hg", ".svn"];
        let is_root = |dir: &&Path| MARKS.iter().any(|mark| dir.join(mark).symlink_metadata().is_ok());
        let root = |dir: &Path| Root {
            found: dir.to_path_buf(),
            real: dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf()),
        };
        Self(here.ancestors().filter(is_root).map(root).collect())
    }

    /// The repository that a path lies inside of, if it does; but not one that holds the user's whole home
    /// directory: people who keep that in a repository are not attacked by it.
    #[must_use]
    pub fn enclosing(&self, path: &Path) -> Option<&Path> {
        if self.0.is_empty() {
            return None;
        }
        let real_path = real(path);
        let inside = |path: &Path, real: &Path, root: &Root| {
            real.starts_with(&root.real) || path.starts_with(&root.found)
        };
        let root = self.0.iter().find(|root| inside(path, &real_path, root))?;
        let holds_home = own_home().is_some_and(|home| inside(&home, &real(&home), root));
        (!holds_home).then_some(root.found.as_path())
    }
}

/// A path with its links followed as far as it exists.
fn real(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    match existing {
        Some((dir, real)) => real.join(path.strip_prefix(dir).unwrap_or(Path::new(""))),
        None => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::system::files::Disk;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn find(places: &Places, here: &Path) -> Result<Home> {
        Home::find(places, &Disk, &Repositories::around(here))
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
        assert_eq!(Repositories::around(&here).enclosing(&outer.join("planted")), Some(&*outer));
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        assert_eq!(Repositories::around(&here).enclosing(&home), None);
        symlink(outer.join("config.toml"), home.join("config.toml")).unwrap();
        std::fs::write(outer.join("config.toml"), "").unwrap();
        let places = Places { keyfob_home: Some(home), ..Places::default() };
        assert!(find(&places, &here).expect_err("linked").why().contains("config.toml lies inside"));
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
