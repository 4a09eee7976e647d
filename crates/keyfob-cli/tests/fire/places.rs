//! Hard places: full and read-only disks, mounts, links, damage, clocks.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Output, Stdio},
};

use crate::{Sandbox, age, expire, record, record_path, sandbox::stderr};

/// Runs a shell line with root's rights over mounts of its own: as root directly, else in a user namespace.
fn in_mounts(s: &Sandbox, line: &str) -> Output {
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let mut command = Command::new("unshare");
    command.args([flags, "/bin/sh", "-ec", line]);
    for (name, value) in s.keyfob(["token"]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("K", env!("CARGO_BIN_EXE_keyfob")).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.stdin(Stdio::null()).output().expect("unshare, from util-linux");
    assert!(!stderr(&output).contains("unshare:"), "mount namespaces are needed: {}", stderr(&output));
    output
}

/// A full disk is found before anything is spent; with room again the login renews.
#[test]
fn a_full_disk_spends_nothing() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    let spent = s.server.grants().refreshes;
    let output = in_mounts(
        &s,
        r#"mkdir -p "$HOME/small"; mount -t tmpfs -o size=64k,mode=700 none "$HOME/small"
           cp -a "$KEYFOB_HOME" "$HOME/small/k"; export KEYFOB_HOME="$HOME/small/k"
           head -c 100000 /dev/zero > "$HOME/small/fill" 2>/dev/null || true
           $K token && exit 99; echo "full: $?" >&2
           ls "$KEYFOB_HOME"/logins/*.next 2>/dev/null && exit 98
           mount -o remount,size=4m "$HOME/small"; $K token > /dev/null; echo "roomy: $?" >&2"#,
    );
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("full: 7") && said.contains("roomy: 0"), "{said}");
    assert_eq!((s.server.grants().refreshes - spent, s.server.grants().reuses), (1, 0));
}

/// A store that cannot be written: the token is used until it ends, nothing is ever spent, and it is said.
#[test]
fn a_read_only_store_spends_nothing() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let spent = s.server.grants().refreshes;
    let read_only =
        r#"mount --bind "$KEYFOB_HOME" "$KEYFOB_HOME"; mount -o remount,ro,bind "$KEYFOB_HOME"; $K token"#;
    age(&s, 3600 - 30);
    let early = in_mounts(&s, read_only);
    assert!(early.status.success(), "{}", stderr(&early));
    assert!(stderr(&early).contains("warning:"), "{}", stderr(&early));
    expire(&s);
    let late = in_mounts(&s, read_only);
    assert_eq!(late.status.code(), Some(7), "{}", stderr(&late));
    assert!(stderr(&late).contains("the login is kept"), "{}", stderr(&late));
    assert_eq!(s.server.grants().refreshes, spent);
    assert!(s.run(&["token"]).status.success());
}

/// Two mount namespaces with homes of their own share one bind-mounted record: rename fails, the record is
/// rewritten in place, and still one token is spent once.
#[test]
fn two_containers_share_one_mounted_record() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.server.grants().refreshes;
    let name = record_path(&s).file_name().expect("a name").to_string_lossy().into_owned();
    for round in 1..=10 {
        expire(&s);
        let line = format!(
            r#"share="$KEYFOB_HOME/logins/{name}"
               for c in a b; do
                 mkdir -p -m 700 "$HOME/$c/logins"; chmod 700 "$HOME/$c"; : > "$HOME/$c/logins/{name}"; chmod 600 "$HOME/$c/logins/{name}"
                 unshare -m /bin/sh -ec "mount --bind '$share' '$HOME/$c/logins/{name}'; KEYFOB_HOME='$HOME/$c' $K token" &
               done; wait %1; wait %2"#
        );
        let output = in_mounts(&s, &line);
        let said = stderr(&output);
        assert!(output.status.success(), "round {round}: {said}");
        let tokens = String::from_utf8_lossy(&output.stdout).into_owned();
        let tokens: Vec<_> = tokens.lines().collect();
        assert_eq!(tokens.len(), 2, "round {round}: {said}");
        assert_eq!(tokens[0], tokens[1], "round {round}");
        assert_eq!(s.server.grants().refreshes - before, round, "round {round}");
    }
    assert_eq!(s.server.grants().reuses, 0);
}

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
