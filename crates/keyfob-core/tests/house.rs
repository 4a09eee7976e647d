//! Laws of the house that no type can hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use keyfob_core::contract::{self, REFERENCED, VARIABLES};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `docs/environment.md` comes from the table.
#[test]
fn the_environment_page_is_current() {
    let page = fs::read_to_string(root().join("docs/environment.md")).expect("docs/environment.md");
    assert!(
        page == contract::markdown(),
        "make it again: cargo run -p keyfob-cli -- env --markdown > docs/environment.md"
    );
}

/// One table: no other file of the product spells a variable's name out in its code.
#[test]
fn only_the_table_names_variables() {
    let mut files = Vec::new();
    for name in ["keyfob-core", "keyfob", "keyfob-cli"] {
        sources(&root().join("crates").join(name).join("src"), &mut files);
    }
    for file in files {
        if file.ends_with("contract/names.rs") || file.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for v in VARIABLES.iter().chain(REFERENCED) {
                let spelled = format!("\"{}\"", v.name);
                assert!(!line.contains(&spelled), "{}:{} spells out {}", file.display(), number + 1, v.name);
            }
        }
    }
}

/// Core decides and never acts: without the standard library there is no clock, disk or network to reach.
#[test]
fn core_cannot_reach_the_world() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    assert!(lib.contains("#![no_std]") && !lib.contains("extern crate std"));
}

/// The boundaries between the crates, each of which forbids something.
#[test]
fn crates_depend_only_downwards() {
    let manifest = |name: &str| {
        fs::read_to_string(root().join("crates").join(name).join("Cargo.toml"))
            .expect("a manifest of the workspace")
    };
    let depends = |name: &str, on: &str| {
        manifest(name).lines().any(|line| line.split(['.', ' ', '=']).next() == Some(on))
    };
    for other in ["keyfob", "keyfob-cli", "keyfob-dev"] {
        assert!(!depends("keyfob-core", other), "core may use none of ours");
    }
    for other in ["keyfob-core", "keyfob", "keyfob-cli"] {
        assert!(!depends("keyfob-dev", other), "the provider reads the RFCs by itself");
    }
    assert!(!depends("keyfob", "keyfob-cli"));
    assert!(depends("keyfob", "keyfob-core") && depends("keyfob-cli", "keyfob"));
}
