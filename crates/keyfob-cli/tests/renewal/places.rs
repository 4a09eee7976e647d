//! Hard places: links, permissions, damage, clocks, no home.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::{Sandbox, age, expire, record, record_path, sandbox::stderr};

#[test]
fn a_link_stays_a_link() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = record_path(&s);
    let elsewhere = s.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::rename(&path, elsewhere.join("login.json")).expect("moved");
    symlink(elsewhere.join("login.json"), &path).expect("a link");
    expire(&s);
    let before = record(&s)["generation"].as_u64();
    assert!(s.run(&["token"]).status.success());
    assert!(fs::symlink_metadata(&path).expect("it is there").file_type().is_symlink());
    assert!(record(&s)["generation"].as_u64() > before);
}

/// What others could have read or written is refused with its reason; `--json` tells the id.
#[test]
fn others_permissions_are_refused() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    };
    for (path, wrong, right) in [(record_path(&s), 0o644, 0o600), (s.logins(), 0o755, 0o700)] {
        mode(&path, wrong);
        let output = s.run(&["token", "--json"]);
        assert_eq!(output.status.code(), Some(7), "{}", path.display());
        assert!(String::from_utf8_lossy(&output.stdout).contains("store-unsafe"), "{}", path.display());
        mode(&path, right);
    }
    assert!(s.run(&["token"]).status.success());
    fs::hard_link(record_path(&s), s.home.path().join("second")).expect("a second name");
    assert_eq!(s.run(&["token"]).status.code(), Some(7));
}

/// A damaged file is set aside under a name that is told, and never overwritten; a newer one is left alone.
#[test]
fn damage_is_set_aside() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = record_path(&s);
    let whole = fs::read_to_string(&path).expect("a record");
    fs::write(&path, whole.replacen("\"version\": 1", "\"version\": 99", 1)).expect("a record");
    let newer = s.run(&["token", "--json"]);
    assert!(String::from_utf8_lossy(&newer.stdout).contains("store-newer"));
    assert!(path.exists());

    fs::write(&path, &whole[..whole.len() / 2]).expect("half a record");
    let output = s.run(&["token", "--json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let aside = fs::read_dir(s.logins())
        .expect("the store")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains(".damaged-"))
        .expect("a file set aside");
    assert!(stderr(&output).contains(&*aside.to_string_lossy()));
    assert_eq!(fs::read_to_string(&aside).expect("kept"), whole[..whole.len() / 2]);
    s.sign_in("default", "ada@example.com");
    assert!(aside.exists() && s.run(&["token"]).status.success());
}

/// A clock stepped back four hours makes one renewal, not a loop.
#[test]
fn a_clock_stepped_back_renews_once() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.server.grants().refreshes;
    age(&s, -4 * 3600);
    for _ in 0..5 {
        assert!(s.run(&["token"]).status.success());
    }
    assert_eq!(s.server.grants().refreshes - before, 1);
}

#[test]
fn a_home_is_found_without_home() {
    let s = Sandbox::new();
    let output = s
        .keyfob(["status", "--json"])
        .env_remove("HOME")
        .env_remove("KEYFOB_HOME")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}
