//! Decides whether a path that came from a variable may be used.
//!
//! A repository can set variables (direnv, a task runner), and another user can write to shared directories. So one
//! rule applies to every variable that names a path (home, state, configuration, runtime, data, certificates, browser,
//! D-Bus): it must be outside the enclosing repositories, including their linked work trees; it must not contain `..`
//! after a component that does not exist; and no other user may be able to change any directory on the way to it. If
//! the working directory has been removed, the enclosing repositories are unknown, and no such path is used.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fmt,
    fs::{self, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use keyfob_core::{Cause, Id};

use super::repositories::Repositories;
use crate::world::{
    breach::Breach,
    failure,
    system::{
        owners::{self, others_may_write, own_home},
        shown,
    },
};

/// Why a path is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It means another place in another directory.
    Relative,
    /// It is inside this repository.
    Repository(PathBuf),
    /// The working directory has been removed: it is unknown which repository it was in.
    Adrift,
    /// It has a `..` after something that does not exist.
    Climbs,
    /// Another user can change a directory on the way to it.
    Way {
        /// Where.
        at: PathBuf,
        /// How.
        why: Breach,
    },
    /// It cannot be followed.
    Unreadable {
        /// Where it ends.
        at: PathBuf,
        /// Why.
        why: String,
        /// The system's number for it, where it is the system that refuses.
        errno: Option<i32>,
    },
}

impl Refusal {
    /// The id it is reported with. A path that could not be examined, for want of memory or because a disk fails, has
    /// not been found unsafe.
    pub(crate) fn id(&self, otherwise: Id) -> Id {
        match self {
            Self::Unreadable { errno: Some(errno), .. } => {
                failure::id(&io::Error::from_raw_os_error(*errno), otherwise)
            }
            _ => otherwise,
        }
    }

    /// Why, as a type, for programs that advise a person. `named` is the path that is refused.
    #[must_use]
    pub fn cause(&self, named: &Path) -> Option<Cause> {
        let path = named.to_string_lossy().into_owned();
        match self {
            Self::Relative => Some(Cause::NotAbsolute { path }),
            Self::Repository(root) => {
                Some(Cause::InRepository { path, root: root.to_string_lossy().into_owned() })
            }
            Self::Adrift => Some(Cause::WorkingDirectoryGone {}),
            Self::Climbs => Some(Cause::Missing { path }),
            Self::Way { at, why } => why.cause(at),
            Self::Unreadable { at, errno, .. } => {
                errno.and_then(|errno| failure::cause(&io::Error::from_raw_os_error(errno), at))
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => f.write_str("it is not an absolute path"),
            Self::Repository(root) => write!(f, "it lies inside the repository {}", shown(root)),
            Self::Adrift => f.write_str(
                "nobody can tell where one stands, and in which repository: the working directory may have been removed",
            ),
            Self::Climbs => f.write_str("it has a `..` behind something that does not exist"),
            Self::Way { at, why } => write!(f, "{}: {why}", shown(at)),
            Self::Unreadable { at, why, .. } => write!(f, "{} cannot be followed: {why}", shown(at)),
        }
    }
}

/// The surroundings of the working directory, and what has been found out about paths from there. Examined once:
/// every command needs this.
#[derive(Debug)]
pub struct Surroundings {
    /// `None`: the working directory has been removed.
    repositories: Option<Repositories>,
    /// Directories that no other user can change.
    safe: Mutex<BTreeSet<PathBuf>>,
    home: OnceLock<Option<PathBuf>>,
    /// Ways that were refused, so that they can be repaired.
    open: Mutex<Vec<(PathBuf, Refusal)>>,
}

impl Surroundings {
    /// Those of the working directory; `None` if it has been removed.
    #[must_use]
    pub fn of(here: Option<&Path>) -> Self {
        Self {
            repositories: here.map(Repositories::around),
            safe: Mutex::default(),
            home: OnceLock::new(),
            open: Mutex::default(),
        }
    }

    /// The rule, for a path that a variable chose.
    ///
    /// # Errors
    /// What stands against it.
    pub fn judge(&self, path: &Path) -> Result<(), Refusal> {
        if !path.is_absolute() {
            return Err(Refusal::Relative);
        }
        let repositories = self.repositories.as_ref().ok_or(Refusal::Adrift)?;
        let (real, links) = self.walk(path)?;
        let enclosing = |real: &PathBuf| repositories.enclosing(path, real, || self.home());
        match std::iter::once(&real).chain(&links).find_map(enclosing) {
            Some(root) => Err(Refusal::Repository(root.to_path_buf())),
            None => Ok(()),
        }
    }

    /// The rule for a path that a variable may have chosen: `usual` is its place in a home if none has. If that is what
    /// the path would be anyway, it only matters that no other user can change the way to it.
    ///
    /// # Errors
    /// What stands against it.
    pub fn judge_unless_usual(&self, path: &Path, usual: &str) -> Result<(), Refusal> {
        match self.judge(path) {
            Err(Refusal::Repository(_) | Refusal::Adrift)
                if self.home().is_some_and(|home| path == home.join(usual))
                    || own_home().is_some_and(|home| path == home.join(usual)) =>
            {
                self.follow(path).map(drop)
            }
            other => other,
        }
    }

    /// The rule for a file that a variable names, be it a program or certificates: besides, no other user can change
    /// its content.
    ///
    /// # Errors
    /// What stands against it.
    pub fn judge_file(&self, path: &Path) -> Result<(), Refusal> {
        self.judge(path)?;
        match fs::metadata(path).map(|meta| owners::whose(&meta)) {
            Ok(Err(why)) => Err(Refusal::Way { at: path.to_path_buf(), why }),
            _ => Ok(()),
        }
    }

    /// Where a path leads to if only the way to it is checked: no other user can change that.
    ///
    /// # Errors
    /// [`Refusal::Climbs`], [`Refusal::Way`], [`Refusal::Unreadable`].
    pub fn follow(&self, path: &Path) -> Result<PathBuf, Refusal> {
        self.walk(path).map(|(real, _)| real)
    }

    /// Where a path leads to, and the links that decide it.
    fn walk(&self, path: &Path) -> Result<(PathBuf, Vec<PathBuf>), Refusal> {
        let mut walk = Walk { around: self, at: PathBuf::from("/"), missing: false, above_home: None };
        walk.begin()?;
        let mut rest: VecDeque<OsString> = parts(path).collect();
        let mut links = Vec::new();
        while let Some(part) = rest.pop_front() {
            if let Some(target) = walk.step(&part)? {
                links.push(walk.at.join(&part));
                if links.len() > 40 {
                    let why = "there are too many symbolic links".to_owned();
                    return Err(Refusal::Unreadable { at: walk.at.clone(), why, errno: None });
                }
                if target.is_absolute() {
                    walk.at = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
            }
        }
        match walk.above_home {
            Some(refusal) if !self.home().is_some_and(|home| walk.at.starts_with(home)) => Err(refusal),
            _ => Ok((walk.at, links)),
        }
    }

    fn is_safe(&self, dir: &Path) -> bool {
        self.safe.lock().unwrap_or_else(PoisonError::into_inner).contains(dir)
    }

    fn note(&self, dir: &Path) {
        self.safe.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_path_buf());
    }

    /// Every way that was refused because another user can change it.
    #[must_use]
    pub fn open_ways(&self) -> Vec<(PathBuf, Refusal)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The home of the password database, with every link followed.
    fn home(&self) -> Option<&Path> {
        let find = || own_home().map(|home| home.canonicalize().unwrap_or(home));
        self.home.get_or_init(find).as_deref()
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// A path as the kernel follows it, one step after the other. Where it stands is never a link.
struct Walk<'a> {
    around: &'a Surroundings,
    at: PathBuf,
    missing: bool,
    /// What stands against a directory above the user's own home. The password database chose that, and no variable:
    /// it counts only for what does not lie in that home.
    above_home: Option<Refusal>,
}

impl Walk<'_> {
    /// One step. A link is not followed, but returned.
    fn step(&mut self, part: &OsString) -> Result<Option<PathBuf>, Refusal> {
        if part == ".." {
            if self.missing {
                return Err(Refusal::Climbs);
            }
            self.at.pop();
            return Ok(None);
        }
        let next = self.at.join(part);
        if self.missing || self.around.is_safe(&next) {
            self.at = next;
            return Ok(None);
        }
        let meta = match fs::symlink_metadata(&next) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.missing = true;
                self.at = next;
                return Ok(None);
            }
            Err(error) => return Err(self.unreadable(&error)),
        };
        // In a directory where all users may create files, another user's link leads where they like.
        if owners::stranger(meta.uid()) && self.is_shared() {
            let why = Breach::Owner(meta.uid());
            return Err(Refusal::Way { at: next, why });
        }
        if meta.file_type().is_symlink() {
            let target = fs::read_link(&next).map_err(|error| self.unreadable(&error))?;
            return Ok(Some(target));
        }
        self.at = next;
        if meta.is_dir() {
            self.enter(&meta)?;
        }
        Ok(None)
    }

    fn is_shared(&self) -> bool {
        fs::symlink_metadata(&self.at).is_ok_and(|meta| others_may_write(&meta))
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        if self.around.is_safe(&self.at) {
            return Ok(());
        }
        let meta = fs::symlink_metadata(&self.at).map_err(|error| self.unreadable(&error))?;
        self.enter(&meta)
    }

    /// Checks the directory one has come to.
    fn enter(&mut self, meta: &Metadata) -> Result<(), Refusal> {
        let Err(why) = owners::whose(meta) else {
            self.around.note(&self.at);
            return Ok(());
        };
        let refusal = Refusal::Way { at: self.at.clone(), why };
        if self.around.home().is_some_and(|home| home.starts_with(&self.at)) {
            self.above_home.get_or_insert(refusal);
            return Ok(());
        }
        self.around
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.at.clone(), refusal.clone()));
        Err(refusal)
    }

    fn unreadable(&self, error: &io::Error) -> Refusal {
        Refusal::Unreadable { at: self.at.clone(), why: error.to_string(), errno: error.raw_os_error() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn dir(&self, path: &str) -> PathBuf {
            fs::create_dir_all(self.at(path)).unwrap();
            self.at(path)
        }

        fn open_to_all(&self, path: &str, mode: u32) -> PathBuf {
            let dir = self.dir(path);
            fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
            dir
        }

        fn put(&self, path: &str, text: &str) {
            fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            fs::write(self.at(path), text).unwrap();
        }
    }

    #[test]
    fn what_lies_in_the_repository_is_refused_however_it_is_spelled() {
        let place = Place::new();
        let repo = place.dir("repo");
        let (here, _) = (place.dir("repo/sub"), place.dir("repo/.git"));
        place.dir("outside");
        symlink(&repo, place.at("link")).unwrap();
        symlink(repo.join("not/yet"), place.at("dangling")).unwrap();
        symlink("repo/sub", place.at("relative")).unwrap();
        // A link in the repository decides where this one leads.
        symlink(place.at("outside"), repo.join("leads")).unwrap();
        symlink(repo.join("leads"), place.dir("by").join("way")).unwrap();
        let around = Surroundings::of(Some(&here));
        for inside in [
            "repo",
            "repo/new",
            "link/new",
            "dangling",
            "relative/x",
            "outside/../repo/x",
            "link/sub/../new",
            "repo/.",
            "repo/../outside",
            "by/way",
        ] {
            assert_eq!(around.judge(&place.at(inside)), Err(Refusal::Repository(repo.clone())), "{inside}");
        }
        for climbing in ["new/../repo/home", "link/new/../home", "outside/new/../x"] {
            assert_eq!(around.judge(&place.at(climbing)), Err(Refusal::Climbs), "{climbing}");
        }
        for right in ["outside", "outside/new", "new", "repository"] {
            assert_eq!(around.judge(&place.at(right)), Ok(()), "{right}");
        }
        assert_eq!(around.judge(Path::new("repo")), Err(Refusal::Relative));
        symlink("loop", place.at("loop")).unwrap();
        assert!(matches!(around.judge(&place.at("loop/x")), Err(Refusal::Unreadable { .. })));
    }

    /// gitrepository-layout(5): each tree of a repository belongs to it, and so does the directory it is kept in.
    #[test]
    fn the_other_trees_of_the_repository_are_the_repository() {
        let place = Place::new();
        place.dir("main/.git/worktrees/one");
        place.dir("main/.git/worktrees/two");
        let (one, two) = (place.dir("one/deep"), place.dir("two"));
        place.put("one/.git", &format!("gitdir: {}\n", place.at("main/.git/worktrees/one").display()));
        place.put("two/.git", "gitdir: ../main/.git/worktrees/two\n");
        place.put("main/.git/worktrees/one/commondir", "../..\n");
        place.put("main/.git/worktrees/two/commondir", "../..\n");
        place.put("main/.git/worktrees/one/gitdir", &format!("{}\n", place.at("one/.git").display()));
        place.put("main/.git/worktrees/two/gitdir", &format!("{}\n", place.at("two/.git").display()));
        for here in [place.at("main"), one, two] {
            let around = Surroundings::of(Some(&here));
            for inside in ["main/x", "main/.git/x", "one/x", "two/x"] {
                let judged = around.judge(&place.at(inside));
                assert!(matches!(judged, Err(Refusal::Repository(_))), "{inside} from {}", here.display());
            }
            assert_eq!(around.judge(&place.at("elsewhere")), Ok(()));
        }
        // A submodule's directory is elsewhere too; so is the repository of a workspace of Jujutsu.
        place.dir("outer/.git/modules/sub");
        place.put("moved/.git", &format!("gitdir: {}", place.at("outer/.git/modules/sub").display()));
        place.dir("first/.jj/repo");
        place.put("second/.jj/repo", &place.at("first/.jj/repo").display().to_string());
        // hg(1), "share": the history of one is stored in another.
        place.dir("origin/.hg");
        place.put("share/.hg/sharedpath", &place.at("origin/.hg").display().to_string());
        place.put("near/.hg/sharedpath", "../../origin/.hg\n");
        for (here, inside) in [
            ("moved", "outer/.git/modules/sub/x"),
            ("second", "first/x"),
            ("share", "origin/x"),
            ("near", "origin/x"),
        ] {
            let judged = Surroundings::of(Some(&place.at(here))).judge(&place.at(inside));
            assert!(matches!(judged, Err(Refusal::Repository(_))), "{inside}: {judged:?}");
        }
    }

    #[test]
    fn where_nobody_knows_what_one_stands_in_nothing_is_believed() {
        let place = Place::new();
        assert_eq!(Surroundings::of(None).judge(&place.at("home")), Err(Refusal::Adrift));
        assert!(Surroundings::of(None).follow(&place.at("home")).is_ok(), "that is no variable's word");
    }

    #[test]
    fn nobody_else_can_change_the_way() {
        let place = Place::new();
        let open = place.open_to_all("open", 0o777);
        let (mine, _) = (place.dir("open/mine"), place.dir("private"));
        let sticky = place.open_to_all("sticky", 0o1777);
        place.dir("sticky/mine");
        symlink(&mine, place.at("private/link")).unwrap();
        let around = Surroundings::of(Some(&place.at("")));
        for below in ["open/mine", "open/mine/new", "private/link", "private/link/new", "open"] {
            let judged = around.judge(&place.at(below));
            assert!(matches!(&judged, Err(Refusal::Way { at, .. }) if *at == open), "{below}: {judged:?}");
        }
        for right in ["sticky/mine", "sticky/new", "private"] {
            assert_eq!(around.judge(&place.at(right)), Ok(()), "{right}");
        }
        // Only root can give things away; CI runs as root.
        if std::os::unix::fs::chown(place.at("sticky/mine"), Some(12_345), None).is_ok() {
            for theirs in ["sticky/mine", "sticky/mine/new"] {
                let judged = Surroundings::of(Some(&sticky)).judge(&place.at(theirs));
                assert!(matches!(judged, Err(Refusal::Way { .. })), "{theirs}: {judged:?}");
            }
            let link = place.at("sticky/link");
            symlink(&mine, &link).unwrap();
            std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
            let judged = Surroundings::of(Some(&sticky)).judge(&link);
            assert!(matches!(&judged, Err(Refusal::Way { at, .. }) if *at == link), "{judged:?}");
        }
    }

    /// Dotfiles: `~/.config` alone is a repository. No variable chose the usual place of the configuration, so it may
    /// be used from inside there too; any other place in it is still the repository's.
    #[test]
    fn the_usual_place_in_a_repository_of_dotfiles() {
        let place = Place::new();
        let home = place.dir("home");
        place.dir("home/.config/.git");
        let here = place.dir("home/.config/nvim");
        let around = Surroundings::of(Some(&here));
        around.home.set(Some(home)).unwrap();
        let usual = ".config/keyfob/config.toml";
        assert_eq!(around.judge_unless_usual(&place.at("home/.config/keyfob/config.toml"), usual), Ok(()));
        for other in ["home/.config/nvim/keyfob/config.toml", "home/.config/other.toml"] {
            let judged = around.judge_unless_usual(&place.at(other), usual);
            assert!(matches!(judged, Err(Refusal::Repository(_))), "{other}: {judged:?}");
        }
    }

    #[test]
    fn a_file_is_nobody_elses() {
        let place = Place::new();
        place.put("evil.sh", "");
        fs::set_permissions(place.at("evil.sh"), PermissionsExt::from_mode(0o777)).unwrap();
        let around = Surroundings::of(Some(Path::new("/")));
        assert!(matches!(around.judge_file(&place.at("evil.sh")), Err(Refusal::Way { .. })));
        assert_eq!(around.judge_file(Path::new("/bin/sh")), Ok(()));
    }
}
