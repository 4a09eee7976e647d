//! Completions as the shells load them, and manual pages as their readers check them.
#![expect(clippy::disallowed_methods, reason = "tests start the shells")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use keyfob_testkit::{Sandbox, stderr};

/// What a program prints, which must end well.
#[track_caller]
fn printed(s: &Sandbox, program: &str, words: &[&str]) -> String {
    // Under the name that people have it by: fish completes only what it finds.
    let bin = s.home.path().join("bin");
    let keyfob = bin.join("keyfob");
    if !keyfob.exists() {
        std::fs::create_dir_all(&bin).expect("ours");
        std::os::unix::fs::symlink(keyfob_testkit::program(), &keyfob).expect("ours");
    }
    let command = bin.display();
    let output = Command::new(program)
        .args(words)
        .env_clear()
        .env("HOME", s.home.path())
        .env("PATH", format!("{command}:/usr/local/bin:/usr/bin:/bin"))
        .env("TERM", "dumb")
        .current_dir(s.home.path())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", stderr(&output));
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8(all).expect("text")
}

fn install(s: &Sandbox, words: &[&str]) -> PathBuf {
    let path = PathBuf::from(s.out(words).trim_end());
    assert!(path.starts_with(s.home.path()) && path.exists(), "{}", path.display());
    path
}

#[test]
fn bash_completes() {
    let s = Sandbox::new();
    let file = install(&s, &["completions", "bash", "--install"]);
    let ask = "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _keyfob \"$1\" \"${!#}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; echo \"${COMPREPLY[@]}\"";
    let file = file.to_str().expect("text");
    let complete = |words: &[&str]| {
        let words: Vec<_> = ["--norc", "-c", ask, file, "keyfob"].iter().chain(words).copied().collect();
        printed(&s, "bash", &words).trim_end().to_owned()
    };
    assert_eq!(complete(&["log"]), "login logout");
    assert_eq!(complete(&["login", "--cop"]), "--copy");
    assert_eq!(complete(&["completions", "z"]), "zsh");
}

#[test]
fn zsh_completes() {
    let s = Sandbox::new();
    let file = install(&s, &["completions", "zsh", "--install"]);
    let dir = file.parent().and_then(Path::to_str).expect("a directory");
    let ask = "fpath=($1 $fpath); autoload -U compinit; compinit -D -u; autoload +X _keyfob && echo $_comps[keyfob]";
    assert_eq!(printed(&s, "zsh", &["-f", "-c", ask, "zsh", dir]), "_keyfob\n");
}

#[test]
fn fish_completes() {
    let s = Sandbox::new();
    install(&s, &["completions", "fish", "--install"]);
    let complete = |line: &str| printed(&s, "fish", &["-c", &format!("complete -C '{line}'")]);
    let shown = complete("keyfob log");
    assert!(shown.lines().all(|line| line.starts_with("login\t") || line.starts_with("logout\t")), "{shown}");
    assert_eq!(shown.lines().count(), 2);
    assert!(complete("keyfob login --cop").starts_with("--copy\t"));
}

#[test]
fn manual_pages_are_read_without_complaint() {
    let s = Sandbox::new();
    let dir = install(&s, &["man", "--install"]);
    let pages: Vec<_> =
        std::fs::read_dir(&dir).expect("pages").map(|page| page.expect("a page").path()).collect();
    assert!(pages.len() > 20, "{pages:?}");
    for page in &pages {
        let page = page.to_str().expect("text");
        assert_eq!(printed(&s, "groff", &["-man", "-ww", "-z", "-Tutf8", page]), "", "{page}");
        assert_eq!(printed(&s, "mandoc", &["-T", "lint", "-W", "error", page]), "", "{page}");
        // Bold is a letter printed twice.
        let shown = printed(&s, "mandoc", &["-T", "ascii", page]);
        let shown: String = shown.split('\u{8}').fold(String::new(), |mut text, part| {
            text.pop();
            text + part
        });
        assert!(shown.contains("SYNOPSIS") && shown.contains("Example"), "{page} teaches nothing: {shown}");
    }
}
