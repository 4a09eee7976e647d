//! Difficult conditions: links, permissions, damage, clocks, and a 401 that several processes get.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use keyfob_testkit::{Home, Ran, namespace::Namespace, now, program, provider, token_requests};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn a_linked_record_stays_a_link() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let link = sandbox.record_path();
    let elsewhere = sandbox.home().with_file_name("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    let target = elsewhere.join("synced.json");
    fs::rename(&link, &target).expect("a new place");
    symlink("../../elsewhere/synced.json", &link).expect("a link");
    let old = sandbox.token();
    sandbox.expire();
    let new = sandbox.token();
    assert_ne!(new, old);
    assert!(link.symlink_metadata().expect("a link").is_symlink(), "the link was replaced");
    assert!(!target.symlink_metadata().expect("a file").is_symlink());
    assert_eq!(sandbox.record()["access_token"], new);
    assert!(
        elsewhere.join("synced.lock").exists(),
        "the lock belongs beside the record, not beside a link to it"
    );
    sandbox.run(&["logout"]).answer();
    sandbox.run(&["token", "--json"]).failed(4, "login-needed");
    assert!(!target.exists());
}

/// No HOME at all: the directories XDG names are enough.
#[test]
fn store_without_a_home_variable_uses_the_password_database() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let state = sandbox.home().with_file_name("state");
    fs::create_dir_all(state.join("keyfob")).expect("a directory");
    fs::rename(sandbox.logins(), state.join("keyfob/logins")).expect("a new place");
    let mut command = sandbox.keyfob(["token"]);
    command.env_remove("KEYFOB_HOME").env("XDG_STATE_HOME", &state).env("XDG_CONFIG_HOME", &state);
    assert!(Ran::from(command.output().expect("it runs")).answer().starts_with("kdev-at-"));
}

/// Nothing of the kind either: then the home is the password database's, and where that knows none it is said.
#[test]
fn the_password_database_names_the_home() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let place = sandbox.home().with_file_name("of-the-database");
    fs::create_dir_all(place.join(".local/state/keyfob")).expect("a directory");
    fs::rename(sandbox.logins(), place.join(".local/state/keyfob/logins")).expect("a new place");
    let space = Namespace::new();
    let bind = |path: &str, content: &str| {
        let file = sandbox.home().with_file_name(path.replace('/', "-"));
        fs::write(&file, content).expect("a file");
        space.shell(&sandbox, &format!("mount --bind '{}' {path}", file.display()));
    };
    // Some name services invent an entry for root.
    bind("/etc/nsswitch.conf", "passwd: files\n");
    let run = |words: &[&str]| {
        let mut command = space.command(&sandbox, &[&[program()], words].concat());
        Ran::from(command.env_remove("KEYFOB_HOME").env_remove("HOME").output().expect("it runs"))
    };
    bind("/etc/passwd", &format!("root:x:0:0::{}:/bin/sh\n", place.display()));
    assert!(run(&["token"]).answer().starts_with("kdev-at-"));
    bind("/etc/passwd", "somebody:x:4242:4242::/home/somebody:/bin/sh\n");
    let told = run(&["token", "--json"]);
    assert!(told.failed(7, "no-home").err.contains("the password database has none"), "{told:?}");
}

#[test]
fn what_is_open_to_others_is_refused() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    let (record, before) = (sandbox.record_path(), token_requests(&server));
    for mode in [0o644, 0o640, 0o606, 0o660] {
        chmod(&record, mode);
        let told = sandbox.run(&["token", "--json"]);
        told.failed(7, "store-unsafe").because("store-unsafe", "open-to-others");
        assert!(told.err.contains(&format!("{mode:04o}")), "{told:?}");
    }
    chmod(&record, 0o600);
    // A way that others can change is no way that a variable may name; one that they, or the user's own group, can use
    // holds no logins.
    let unsafe_home = (3, "home-unsafe");
    for (mode, (code, id)) in [
        (0o777, unsafe_home),
        (0o702, unsafe_home),
        (0o770, (7, "store-unsafe")),
        (0o755, (7, "store-unsafe")),
    ] {
        chmod(&sandbox.logins(), mode);
        sandbox.run(&["token", "--json"]).failed(code, id);
    }
    chmod(&sandbox.logins(), 0o700);
    fs::hard_link(&record, sandbox.home().join("second-name")).expect("a link");
    sandbox.run(&["token", "--json"]).failed(7, "store-unsafe");
    fs::remove_file(sandbox.home().join("second-name")).expect("ours");
    chmod(&sandbox.home(), 0o777);
    sandbox.run(&["token", "--json"]).failed(3, "home-unsafe");
    chmod(&sandbox.home(), 0o700);
    assert_eq!(token_requests(&server), before, "something was spent");
    sandbox.token();
}

/// Damaged files are set aside under a name that is reported, and nothing that was set aside is ever overwritten.
#[test]
fn damage_is_set_aside_and_kept() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let (record, whole) = (sandbox.record_path(), fs::read(sandbox.record_path()).expect("a record"));
    // More often than once a second.
    for round in 1..=4 {
        let damaged = &whole[..whole.len() / 5 * round];
        fs::write(&record, damaged).expect("ours");
        chmod(&record, 0o600);
        let told = sandbox.run(&["token", "--json"]);
        told.failed(7, "store-corrupt").because("store-corrupt", "set-aside");
        let kept: Vec<_> = fs::read_dir(sandbox.logins())
            .expect("the logins")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.to_string_lossy().contains("damaged"))
            .collect();
        assert_eq!(kept.len(), round, "{kept:?}");
        let named = kept.iter().find(|path| told.err.contains(&format!("{}\n", path.display())));
        let named = named.unwrap_or_else(|| panic!("{told:?} names none of {kept:?}"));
        assert!(fs::read(named).expect("ours") == damaged, "{} holds something else", named.display());
        sandbox.run(&["token", "--json"]).failed(4, "login-needed");
    }
    sandbox.login();
    sandbox.token();
}

#[test]
fn a_newer_form_is_refused_and_left_alone() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    sandbox.edit(|record| record["version"] = json!(99));
    let before = fs::read(sandbox.record_path()).expect("a record");
    sandbox.run(&["token", "--json"]).failed(7, "store-newer");
    let told = sandbox.run(&["logout", "--json"]);
    told.failed(7, "store-newer");
    assert_eq!(fs::read(sandbox.record_path()).expect("a record"), before);
    assert_eq!(server.grants().refreshes, 0);
}

/// The clock was stepped back four hours: what was issued "in the future" is renewed once, and then accepted.
#[test]
fn a_clock_stepped_back_renews_once() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.edit(|record| {
        record["issued_at"] = json!(now() + 4 * 3600);
        record["expires_at"] = json!(now() + 5 * 3600);
    });
    let tokens: Vec<_> = (0..4).map(|_| sandbox.token()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
}

/// A provider four hours ahead or behind: renewed when it is due by the provider's clock, without a loop.
#[test]
fn expiry_is_right_when_the_provider_clock_differs() {
    for ahead in [4 * 3600, -4 * 3600] {
        let server = provider();
        server.advance(ahead);
        let sandbox = Home::signed_in(&server);
        let first = sandbox.token();
        assert_eq!((0..5).map(|_| sandbox.token()).filter(|token| *token != first).count(), 0);
        assert_eq!(server.grants().refreshes, 0, "{ahead}");
        sandbox.edit(|record| {
            record["issued_at"] = json!(now() + ahead - 3700);
            record["expires_at"] = json!(now() + ahead - 100);
        });
        let second = sandbox.token();
        assert_ne!(first, second);
        assert_eq!((0..5).map(|_| sandbox.token()).filter(|token| *token != second).count(), 0);
        assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0), "{ahead}");
    }
}

/// After a 401 each process names the generation it used. One of them renews it, the others adopt; a process that names
/// an older one gets the newest.
#[test]
fn a_rejected_generation_is_renewed_once() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(100));
    for round in 1..=5 {
        let used: Value = serde_json::from_str(sandbox.run(&["token", "--json"]).answer()).expect("JSON");
        let rejected = format!("{}:{}", used["login"].as_str().expect("an id"), used["generation"]);
        let words = ["token", "--rejected", &rejected];
        let started: Vec<_> = (0..8).map(|_| sandbox.keyfob(words).spawn().expect("it starts")).collect();
        let new = {
            let mut ended =
                started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
            let first = ended.next().expect("eight").answer().to_owned();
            ended.for_each(|ran| assert_eq!(ran.answer(), first));
            first
        };
        assert_ne!(used["token"], new);
        assert_eq!(sandbox.run(&words).answer(), new, "an older generation is not renewed again");
        assert_eq!((server.grants().refreshes, server.grants().reuses), (round, 0));
    }
}
