//! The release script, run for real on a copy of what it reads: it refuses until the maintainer has filled in what only
//! the maintainer knows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What says the version of the packages for other languages.
const MANIFESTS: [(&str, &str); 3] =
    [("node", "package.json"), ("python", "pyproject.toml"), ("ruby", "keyfob.gemspec")];

/// A repository with a copy of the pages, manifests and lock file of this one, committed.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("release-{name}-{}", std::process::id()));
        let copy = Self(dir);
        for directory in ["", "docs", ".github", ".github/workflows", ".github/ISSUE_TEMPLATE", "release"] {
            fs::create_dir_all(copy.0.join(directory)).expect("a directory");
            for entry in fs::read_dir(root().join(directory)).expect("a directory of the workspace") {
                let from = entry.expect("an entry").path();
                // In a work tree `.git` is a file that leads to the repository itself: what the copy commits would land there.
                if from.is_file() && !from.ends_with(".git") {
                    let to = copy.0.join(directory).join(from.file_name().expect("a name"));
                    fs::copy(&from, to).expect("a file");
                }
            }
        }
        for entry in fs::read_dir(root().join("crates")).expect("the crates") {
            let from = entry.expect("an entry").path();
            let to = copy.0.join("crates").join(from.file_name().expect("a name"));
            fs::create_dir_all(&to).expect("a directory");
            fs::copy(from.join("Cargo.toml"), to.join("Cargo.toml")).expect("a manifest");
        }
        for (language, manifest) in MANIFESTS {
            let to = copy.0.join("packages").join(language);
            fs::create_dir_all(&to).expect("a directory");
            fs::copy(root().join("packages").join(language).join(manifest), to.join(manifest))
                .expect("a manifest");
        }
        copy.git(&["init", "--quiet"]);
        copy.commit();
        copy
    }

    /// The same with every placeholder filled in and the changelog dated: a copy that may be released.
    fn ready(name: &str) -> Self {
        let copy = Self::new(name);
        copy.fill(&copy.0);
        let heading = format!("## {} - 2026-01-31", version());
        copy.write(
            "CHANGELOG.md",
            &format!("# Changelog\n\n## Unreleased\n\n{heading}\n\n### Added\n\n- All of it.\n"),
        );
        copy.commit();
        assert_eq!(copy.refusals(), "", "nothing stands against this release");
        copy
    }

    fn fill(&self, dir: &Path) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with(".git") && !path.ends_with("release") {
                self.fill(&path);
            } else if path.is_file() {
                let text = fs::read_to_string(&path).expect("text");
                fs::write(&path, text.replace("project.invalid", "maintainer.example")).expect("a file");
            }
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("a file");
    }

    fn replace(&self, file: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.0.join(file)).expect("a file");
        assert!(text.contains(old), "{file} has no {old}");
        self.write(file, &text.replace(old, new));
        self.commit();
    }

    #[expect(clippy::disallowed_methods, reason = "a real git, without anybody's settings")]
    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(&self.0).args(arguments);
        for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")] {
            git.env(name, value);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "A Maintainer");
            git.env(format!("GIT_{who}_EMAIL"), "maintainer@example.com");
        }
        let output = git.output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a step"]);
    }

    #[expect(clippy::disallowed_methods, reason = "the script itself")]
    fn release(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output =
            Command::new(self.0.join("release/run")).args(arguments).output().expect("the script runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }

    /// What the checks say against the version of the workspace: nothing, or it is refused.
    fn refusals(&self) -> String {
        let (code, said) = self.release(&["--check", version()]);
        assert_eq!(code == Some(0), said.is_empty(), "{code:?}: {said}");
        said
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The whole script, not its checks alone: it ends before it builds or tags anything.
#[test]
fn a_release_is_refused_while_placeholders_stand() {
    let copy = Copy::new("placeholders");
    let (code, said) = copy.release(&[version()]);
    assert_eq!(code, Some(1), "{said}");
    for file in ["Cargo.toml", "SECURITY.md", "CODE_OF_CONDUCT.md", ".github/ISSUE_TEMPLATE/config.yml"] {
        assert!(said.contains(&format!("release: {file} still has a placeholder")), "{file}: {said}");
    }
    assert_eq!(copy.git(&["tag", "--list"]), "");
}

/// One placeholder is enough, wherever it is.
#[test]
fn a_release_is_refused_for_each_placeholder_alone() {
    let copy = Copy::ready("each");
    for file in ["Cargo.toml", "SECURITY.md", "CODE_OF_CONDUCT.md", "crates/keyfob-cli/Cargo.toml"] {
        copy.replace(file, "maintainer.example", "project.invalid");
        let said = copy.refusals();
        assert!(said.contains(&format!("release: {file} still has a placeholder")), "{file}: {said}");
        assert!(said.contains("(1 to resolve)"), "{file}: {said}");
        copy.replace(file, "project.invalid", "maintainer.example");
    }
}

#[test]
fn a_release_is_refused_for_another_version() {
    let copy = Copy::ready("version");
    let (code, said) = copy.release(&["--check", "99.0.0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("Cargo.toml has version {}, not 99.0.0", version())), "{said}");
    assert!(said.contains("Cargo.lock has version"), "{said}");
    for word in ["", "v1.2.3", "1.2", "1.2.3 "] {
        assert_eq!(copy.release(&["--check", word]).0, Some(2), "{word:?} is no version");
    }
    let current = format!("path = \"crates/keyfob-core\", version = \"{}\"", version());
    copy.replace("Cargo.toml", &current, "path = \"crates/keyfob-core\", version = \"99.0.0\"");
    let said = copy.refusals();
    assert!(said.contains("another version of keyfob-core") && said.contains("(1 to resolve)"), "{said}");
    copy.replace("Cargo.toml", "path = \"crates/keyfob-core\", version = \"99.0.0\"", &current);
    for (language, manifest) in MANIFESTS {
        let file = format!("packages/{language}/{manifest}");
        copy.replace(&file, &format!("\"{}\"", version()), "\"98.0.0\"");
        let said = copy.refusals();
        assert!(said.contains(&format!("{file} has version 98.0.0, not {}", version())), "{said}");
        assert!(said.contains("(1 to resolve)"), "{said}");
        copy.replace(&file, "\"98.0.0\"", &format!("\"{}\"", version()));
    }
}

#[test]
fn a_release_is_refused_without_its_changelog() {
    let copy = Copy::ready("changelog");
    let said_of = |text: &str| {
        copy.write("CHANGELOG.md", text);
        copy.commit();
        copy.refusals()
    };
    let version = version();
    let said = said_of(&format!("## {version}\n\n- All of it.\n"));
    assert!(said.contains("has no heading") && said.contains("(1 to resolve)"), "{said}");
    let said = said_of(&format!("## {version} - 2026-01-31\n\n## 0.0.1 - 2025-01-31\n\n- Something.\n"));
    assert!(said.contains("says nothing of") && said.contains("(1 to resolve)"), "{said}");
    let said =
        said_of(&format!("## Unreleased\n\n- Forgotten.\n\n## {version} - 2026-01-31\n\n- All of it.\n"));
    assert!(said.contains("under Unreleased") && said.contains("(1 to resolve)"), "{said}");
}

#[test]
fn a_release_is_refused_in_a_changed_tree_and_for_a_used_tag() {
    let copy = Copy::ready("tree");
    copy.write("forgotten.txt", "not committed");
    let said = copy.refusals();
    assert!(said.contains("not committed") && said.contains("(1 to resolve)"), "{said}");
    copy.commit();
    copy.git(&["tag", &format!("v{}", version())]);
    let said = copy.refusals();
    assert!(said.contains("exists already") && said.contains("(1 to resolve)"), "{said}");
}

/// Every crate that may be published says where it is kept and documented, from one place where they share it.
#[test]
fn published_crates_have_the_metadata_of_a_registry() {
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let path = entry.expect("an entry").path().join("Cargo.toml");
        let text = fs::read_to_string(&path).expect("a manifest");
        if text.contains("\npublish = false\n") {
            continue;
        }
        for line in [
            "description = ",
            "license.workspace",
            "repository.workspace",
            "homepage.workspace",
            "documentation = ",
            "readme.workspace",
            "rust-version.workspace",
            "[package.metadata.docs.rs]",
        ] {
            assert!(text.contains(&format!("\n{line}")), "{} has no {line}", path.display());
        }
    }
}

/// A workflow runs what a developer runs: the programs of this repository that it names are there, and executable.
#[test]
fn workflows_call_what_exists() {
    use std::os::unix::fs::PermissionsExt as _;
    let workflows = root().join(".github/workflows");
    let ci = fs::read_to_string(workflows.join("ci.yml")).expect("a workflow");
    let programs: Vec<&str> = ci
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- run: "))
        .filter(|run| run.starts_with('.'))
        .collect();
    assert_eq!(programs, [".ci/run"]);
    let mode = fs::metadata(root().join(programs[0])).expect("a program").permissions().mode();
    assert!(mode & 0o100 != 0);
    let advisories = fs::read_to_string(workflows.join("advisories.yml")).expect("a workflow");
    assert!(advisories.contains("schedule:") && advisories.contains("Cargo.lock"));
    let script = fs::read_to_string(root().join(".ci/run")).expect("a script");
    let pinned =
        advisories.lines().find_map(|line| line.split("cargo-deny --version ").nth(1)).expect("a version");
    assert!(script.contains(&format!("cargo-deny --version {pinned}")), "one version of cargo-deny");
    let dependabot = fs::read_to_string(root().join(".github/dependabot.yml")).expect("a file");
    let lists =
        dependabot.lines().filter_map(|line| line.trim().strip_prefix("directories: [")?.strip_suffix(']'));
    let mut named: Vec<String> = lists.flat_map(|list| list.split(", ")).map(str::to_owned).collect();
    let mut locked = Vec::new();
    lock_files(&root(), &mut locked);
    named.sort();
    named.dedup();
    locked.sort();
    locked.dedup();
    assert_eq!(named, locked, "each directory with a lock file is looked after");
}

/// The directories below this one, as dependabot names them, in which versions of other people's programs are pinned.
fn lock_files(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&&*name) {
            lock_files(&path, found);
        } else if ["Cargo.lock", "package-lock.json"].contains(&&*name)
            || (name.ends_with(".txt")
                && fs::read_to_string(&path).is_ok_and(|text| text.contains("--hash=sha256:")))
        {
            let below = dir.strip_prefix(root()).expect("of the workspace");
            found.push(format!("/{}", below.display()));
        }
    }
}
