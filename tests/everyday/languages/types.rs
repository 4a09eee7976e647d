//! What each language's own checker says of the packages: mypy (PyPI) and TypeScript (npm) by lock files, `go vet`, `ruby -wc`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{go_apart, packages};

/// What it printed, which has to succeed.
fn passes(command: &mut Command) -> String {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ran.status.success(), "{command:?}: {said}");
    said
}

/// Where a lock file's packages are installed, once for each of its states and never in the source tree.
fn installed(name: &str, lock: &Path, install: impl FnOnce(&Path)) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let wanted = fs::read_to_string(lock).expect("a lock file");
    if !fs::read_to_string(place.join("installed")).is_ok_and(|of| of == wanted) {
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("a directory");
        install(&place);
        fs::write(place.join("installed"), wanted).expect("ours");
    }
    place
}

#[test]
fn python_has_types() {
    let lock = packages().join("python/tests/types.txt");
    let place = installed("packages-mypy", &lock, |place| {
        passes(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(place.join("venv")));
        let mut pip = Command::new(place.join("venv/bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]);
        passes(pip.args(["--only-binary=:all:", "--require-hashes", "-r"]).arg(&lock));
    });
    // What it has to look at, and how strictly, is in pyproject.toml.
    let mut mypy = Command::new(place.join("venv/bin/mypy"));
    mypy.arg("--cache-dir").arg(place.join("cache")).current_dir(packages().join("python"));
    let said = passes(&mut mypy);
    let sources = fs::read_dir(packages().join("python/src/keyfob")).expect("the package");
    let sources = sources.filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "py"))
    });
    assert_eq!(said.trim(), format!("Success: no issues found in {} source files", sources.count() + 1));
}

#[test]
fn node_has_types() {
    let tests = packages().join("node/tests");
    let place = installed("packages-typescript", &tests.join("typescript/package-lock.json"), |place| {
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            fs::copy(tests.join("typescript").join(file), place.join(file)).expect("a file of ours");
        }
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        passes(Command::new("npm").args(npm).current_dir(place));
    });
    let mut tsc = Command::new(place.join("node_modules/.bin/tsc"));
    tsc.arg("--project").arg(&tests).arg("--typeRoots").arg(place.join("node_modules/@types"));
    assert_eq!(passes(&mut tsc), "");
}

#[test]
fn go_is_vetted() {
    let go = |words: &[&str]| {
        let mut go = Command::new("go");
        passes(go_apart(&mut go).args(words).current_dir(packages().join("go")))
    };
    assert_eq!(go(&["vet", "./..."]), "");
    assert_eq!(passes(Command::new("gofmt").arg("-l").arg(packages().join("go"))), "", "not as gofmt has it");
}

#[test]
fn ruby_is_checked() {
    for file in ["lib/keyfob.rb", "tests/driver.rb"] {
        let mut ruby = Command::new("ruby");
        ruby.env("LC_ALL", "C.UTF-8").arg("-wc").arg(packages().join("ruby").join(file));
        assert_eq!(passes(&mut ruby).trim(), "Syntax OK", "{file}");
    }
}
