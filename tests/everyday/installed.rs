//! What `--install` of completions and manual pages writes goes again, and nothing of somebody's goes with it.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use keyfob_testkit::{Sandbox, stderr};

const BOTH: [(&[&str], &str); 4] = [
    (&["completions", "bash"], ".local/share/bash-completion/completions/keyfob"),
    (&["completions", "zsh"], ".local/share/zsh/site-functions/_keyfob"),
    (&["completions", "fish"], ".config/fish/completions/keyfob.fish"),
    (&["man"], ".local/share/man/man1/keyfob.1"),
];

/// Every file and directory below, with what is in it.
fn everything(dir: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.insert(path.display().to_string(), fs::read(&path).ok());
    }
    found
}

#[test]
fn what_is_installed_goes_again() {
    for (words, place) in BOTH {
        let s = Sandbox::new();
        // The directories of the person's data are there, as they are in every home.
        fs::create_dir_all(s.home.path().join(".local/share/man/man1")).expect("ours");
        fs::create_dir_all(s.home.path().join(".config")).expect("ours");
        fs::write(s.home.path().join(".local/share/man/man1/own.1"), ".TH OWN 1").expect("ours");
        let before = everything(s.home.path());
        s.out(&[words, &["--install"]].concat());
        let path = s.home.path().join(place);
        assert!(path.exists(), "{}", path.display());
        // One of a former version, which has another length and a page that is gone today.
        fs::write(
            &path,
            fs::read_to_string(&path).expect("text").replace(env!("CARGO_PKG_VERSION"), "0.0.1"),
        )
        .expect("ours");
        if words == ["man"] {
            fs::write(path.with_file_name("keyfob-old.1"), ".TH KEYFOB-OLD 1 \"\" \"keyfob 0.0.1\" keyfob\n")
                .expect("ours");
        }
        s.out(&[words, &["--install"]].concat());
        s.out(&[words, &["--uninstall"]].concat());
        assert_eq!(everything(s.home.path()), before, "{words:?}");
        let again = s.output(&[words, &["--uninstall"]].concat());
        assert!(again.status.success() && again.stdout.is_empty(), "{}", stderr(&again));
        assert!(stderr(&again).contains("There are no "), "{}", stderr(&again));
    }
}

#[test]
fn what_is_somebody_elses_is_neither_replaced_nor_removed() {
    for (words, place) in BOTH {
        let s = Sandbox::new();
        let path = s.home.path().join(place);
        let mine = s.home.path().join("mine");
        fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
        fs::write(&mine, "MINE").expect("ours");
        for link in [false, true] {
            if link {
                symlink(&mine, &path).expect("a link");
            } else {
                fs::write(&path, "MINE").expect("ours");
            }
            let before = everything(s.home.path());
            let output = s.output(&[words, &["--install"]].concat());
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            let said = stderr(&output);
            let why = if link { "it is a link to " } else { "keyfob did not write it" };
            assert!(said.contains("is there already") && said.contains(why), "{said}");
            assert_eq!(said.lines().count(), 3, "{said}");
            assert_eq!(everything(s.home.path()), before, "{words:?}");
            let output = s.output(&[words, &["--uninstall"]].concat());
            assert!(output.status.success() && stderr(&output).contains(" stays: "), "{}", stderr(&output));
            assert_eq!(everything(s.home.path()), before, "{words:?}");
            fs::remove_file(&path).expect("ours");
        }
    }
}
