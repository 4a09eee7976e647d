//! Finds the repositories that enclose the current directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Those repositories, with the other trees that belong to them. They lie within each other (a submodule, a checkout
/// below another) and beside each other (`git worktree`), so all of them count.
#[derive(Clone, Debug, Default)]
pub(super) struct Repositories(Vec<Root>);

/// The root of a repository, as it was found and with every link followed.
#[derive(Clone, Debug)]
struct Root {
    found: PathBuf,
    real: PathBuf,
}

impl Root {
    fn at(dir: &Path) -> Self {
        Self { found: dir.to_path_buf(), real: dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf()) }
    }
}

impl Repositories {
    /// Those around a directory.
    pub(super) fn around(here: &Path) -> Self {
        const MARKS: [&str; 4] = [".git", ".jj", ".hg", ".svn"];
        let is_root = |dir: &&Path| MARKS.iter().any(|mark| dir.join(mark).symlink_metadata().is_ok());
        let mut roots = Vec::new();
        for dir in here.ancestors().filter(is_root) {
            roots.push(Root::at(dir));
            roots.extend(elsewhere(dir).iter().map(|dir| Root::at(dir)));
        }
        Self(roots)
    }

    /// The repository that a path is inside of, if there is one; but not one that holds the user's whole home
    /// directory: people who keep that in a repository are not attacked by it.
    pub(super) fn enclosing<'h>(
        &self,
        path: &Path,
        real: &Path,
        home: impl Fn() -> Option<&'h Path>,
    ) -> Option<&Path> {
        let inside = |root: &&Root| real.starts_with(&root.real) || path.starts_with(&root.found);
        let holds_home = |root: &Root| home().is_some_and(|home| home.starts_with(&root.real));
        let root = self.0.iter().filter(inside).find(|root| !holds_home(root))?;
        Some(&root.found)
    }
}

/// What else belongs to the repository with this root: the directory git keeps it in, its main tree and its linked
/// ones (gitrepository-layout(5): `gitdir:`, `commondir`, `worktrees`); the repository that a workspace of Jujutsu or a
/// share of Mercurial takes its history from.
fn elsewhere(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mark = root.join(".git");
    let git = match pointer(&mark, "gitdir:") {
        Some(path) => root.join(path),
        None => mark,
    };
    if git.is_dir() {
        let common = pointer(&git.join("commondir"), "").map_or_else(|| git.clone(), |path| git.join(path));
        let common = common.canonicalize().unwrap_or(common);
        if common.file_name().is_some_and(|name| name == ".git") {
            found.extend(common.parent().map(Path::to_path_buf));
        }
        for linked in fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten() {
            let tree = pointer(&linked.path().join("gitdir"), "").map(|path| linked.path().join(path));
            found.extend(tree.as_deref().and_then(Path::parent).map(Path::to_path_buf));
        }
        found.push(common);
    }
    for (mark, up) in [(".jj/repo", 2), (".hg/sharedpath", 1)] {
        let path = root.join(mark);
        let target = pointer(&path, "").map(|target| path.parent().unwrap_or(root).join(target));
        let target = target.map(|target| target.canonicalize().unwrap_or(target));
        found.extend(target.as_deref().and_then(|target| target.ancestors().nth(up)).map(Path::to_path_buf));
    }
    found
}

/// The path in a small file that points to another place.
fn pointer(file: &Path, word: &str) -> Option<PathBuf> {
    if !file.is_file() || file.metadata().ok()?.len() > 64 * 1024 {
        return None;
    }
    let text = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    let path = text.lines().next()?.strip_prefix(word)?.trim();
    (!path.is_empty()).then(|| path.into())
}
