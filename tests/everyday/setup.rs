//! `keyfob setup TOOL`: writes keyfob into another tool's file, and takes it out again.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use keyfob_testkit::{Ran, Sandbox, program};

use crate::screen::Screen;

const MINE: &str = "# my clusters\napiVersion: v1\nkind: Config\nusers:\n  # the one for emergencies\n  - name: admin\n    user: {token: x}\n";

fn kubeconfig(s: &Sandbox) -> PathBuf {
    s.home.path().join(".kube/config")
}

/// A home that has a kubeconfig.
fn with(text: &str) -> Sandbox {
    let s = Sandbox::new();
    fs::create_dir_all(s.home.path().join(".kube")).expect("our directory");
    fs::write(kubeconfig(&s), text).expect("our file");
    fs::set_permissions(kubeconfig(&s), PermissionsExt::from_mode(0o640)).expect("our file");
    s
}

fn read(s: &Sandbox) -> String {
    fs::read_to_string(kubeconfig(s)).expect("a file")
}

#[test]
fn a_kubeconfig_is_made_and_removed() {
    let s = Sandbox::new();
    let ran = s.run(&["setup", "kubernetes", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.err.contains("users:"), "{ran:?}");
    assert!(!kubeconfig(&s).exists(), "only shown");
    let ran = s.run(&["--profile", "work", "setup", "kubernetes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("kubectl config set-context --current --user=keyfob"), "{ran:?}");
    let text = read(&s);
    assert!(text.contains(&format!("command: {}", program())), "not in PATH: {text}");
    assert!(text.contains("      - --profile\n      - work\n      - token\n"), "{text}");
    assert!(text.contains("apiVersion: client.authentication.k8s.io/v1\n"), "{text}");
    let mode = fs::metadata(kubeconfig(&s)).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let again = s.run(&["--profile", "work", "setup", "kubernetes"]);
    assert!(again.code == Some(0) && again.err.contains("says that already"), "{again:?}");
    let undone = s.json(&["setup", "kubernetes", "--undo"]);
    assert_eq!((&undone["changed"], &undone["content"]), (&true.into(), &serde_json::Value::Null));
    assert!(!kubeconfig(&s).exists(), "nothing else was in it");
    assert!(s.run(&["setup", "kubernetes", "--undo"]).err.contains("holds nothing of keyfob's"));
}

#[test]
fn a_persons_kubeconfig_is_kept() {
    let s = with(MINE);
    let shown = s.json(&["setup", "kubernetes", "--dry-run"]);
    assert_eq!((&shown["would_change"], &shown["changed"]), (&true.into(), &false.into()));
    assert_eq!(read(&s), MINE);
    // Other users have tokens and keys there: a program is told keyfob's part alone.
    let content = shown["content"].as_str().expect("text");
    assert!(content.contains("\n- name: keyfob\n") && !content.contains("admin"), "{shown}");
    assert!(!shown.to_string().contains("token: x"), "{shown}");
    let ran = s.run(&["setup", "kubernetes", "--access-token"]);
    assert!(ran.err.contains("+   - name: keyfob"), "the change is shown: {ran:?}");
    assert_eq!(shown["content"].as_str().map(|text| text.contains("--access-token")), Some(false));
    let text = read(&s);
    assert!(text.contains("# the one for emergencies\n  - name: admin\n    user: {token: x}\n"), "{text}");
    assert!(text.contains("      - --access-token\n"), "{text}");
    assert_eq!(fs::metadata(kubeconfig(&s)).expect("a file").permissions().mode() & 0o777, 0o640);
    assert_eq!(s.run(&["setup", "kubernetes", "--undo"]).code, Some(0));
    assert_eq!(read(&s), MINE, "octet by octet");
    let left: Vec<_> = fs::read_dir(s.home.path().join(".kube")).expect("a directory").collect();
    assert_eq!(left.len(), 1, "and nothing beside it: {left:?}");
}

/// What would be written there is a command that kubectl runs.
#[test]
fn a_kubeconfig_of_others_is_not_touched() {
    let told = |s: &Sandbox, words: &[&str]| {
        Ran::from(s.output(&[&["setup", "kubernetes", "--json"], words].concat()))
    };
    let s = with("users: [{name: a, user: {}}]\n");
    told(&s, &[]).failed(2, "usage");
    let s = with("users:\n- name: keyfob\n  user: {token: x}\n");
    for words in [&[][..], &["--undo"]] {
        told(&s, words).failed(2, "usage");
    }
    assert_eq!(told(&s, &["--user", "me"]).code, Some(0));

    let s = with(MINE);
    let elsewhere = s.home.path().join("dotfiles");
    fs::rename(kubeconfig(&s), &elsewhere).expect("ours");
    symlink(&elsewhere, kubeconfig(&s)).expect("ours");
    told(&s, &[]).failed(3, "config-unsafe");
    assert_eq!(fs::read_to_string(&elsewhere).expect("ours"), MINE);
    assert_eq!(told(&s, &["--kubeconfig", elsewhere.to_str().expect("text")]).code, Some(0));

    let s = with(MINE);
    fs::hard_link(kubeconfig(&s), s.home.path().join("second")).expect("ours");
    told(&s, &[]).because("config-unsafe", "second-name");
    let s = with(MINE);
    fs::set_permissions(kubeconfig(&s), PermissionsExt::from_mode(0o666)).expect("ours");
    told(&s, &[]).because("config-unsafe", "writable-by-others");
    if rustix::process::geteuid().is_root() {
        let s = with(MINE);
        std::os::unix::fs::chown(kubeconfig(&s), Some(12345), None).expect("root may");
        told(&s, &[]).because("config-unsafe", "other-owner");
    }
    // kubectl itself is writing (client-go, `lockFile`).
    let s = with(MINE);
    fs::write(s.home.path().join(".kube/config.lock"), "").expect("ours");
    assert!(told(&s, &[]).failed(2, "usage").err.contains("config.lock"));
    assert_eq!(read(&s), MINE);
}

/// A repository can set KUBECONFIG; a person types `--kubeconfig`.
#[test]
fn a_variable_leads_into_no_repository() {
    let s = Sandbox::new();
    let repository = s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let within = |words: &[&str], variable: Option<&str>| {
        let mut command = s.keyfob(words);
        command.current_dir(&repository).envs(variable.map(|value| ("KUBECONFIG", value)));
        Ran::from(command.output().expect("it runs"))
    };
    let file = repository.join("kubeconfig");
    let path = file.to_str().expect("text");
    within(&["setup", "kubernetes", "--json"], Some(path)).failed(3, "home-unsafe");
    within(&["setup", "kubernetes", "--json"], Some("relative")).failed(3, "home-unsafe");
    within(&["setup", "kubernetes", "--json"], Some(&format!("{path}:/b"))).failed(2, "usage");
    assert!(!file.exists());
    assert_eq!(within(&["setup", "kubernetes", "--kubeconfig", "kubeconfig"], None).code, Some(0));
    assert!(file.exists());
    let other = s.home.path().join("other");
    assert_eq!(within(&["setup", "kubernetes"], other.to_str()).code, Some(0));
    assert!(other.exists());
}

#[test]
fn a_person_is_asked_before_it_is_written() {
    let s = with(MINE);
    let screen = Screen::new(100);
    let mut child = screen.start(&s.keyfob(["setup", "kubernetes"]));
    screen.shows("Write that?");
    screen.type_in("n\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(2), "{}", screen.text());
    assert_eq!(read(&s), MINE);
    let screen = Screen::new(100);
    let mut child = screen.start(&s.keyfob(["setup", "kubernetes", "--yes"]));
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
    assert!(read(&s).contains("- name: keyfob"));
}

/// A login that has no ID token is told of while it is set up, and not when kubectl fails.
#[test]
fn a_login_without_an_id_token_is_told_of_at_once() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    assert!(s.run(&["setup", "kubernetes"]).err.contains("no ID token yet"));
    assert!(!s.run(&["setup", "kubernetes", "--access-token"]).err.contains("no ID token yet"));
}

/// kubectl names the cluster to the plugin if the user's entry says so (client-go: `provideClusterInfo`).
#[test]
fn a_cluster_that_is_no_host_gets_no_token() {
    let s = Sandbox::new();
    fs::create_dir_all(s.home.home()).expect("ours");
    let config = "[environments.local]\nscopes = [\"openid\"]\nhosts = [\"https://k8s.company.example\"]\n";
    fs::write(s.home.home().join("config.toml"), config).expect("ours");
    s.login();
    assert_eq!(s.run(&["setup", "kubernetes", "--only-hosts"]).code, Some(0));
    assert!(
        read(&s).contains("      interactiveMode: Never\n      provideClusterInfo: true\n"),
        "{}",
        read(&s)
    );
    assert_eq!(s.json(&["setup", "kubernetes", "--only-hosts"])["would_change"], false);
    assert_eq!(s.json(&["setup", "kubernetes"])["would_change"], true);
    for (server, code) in [
        ("https://k8s.company.example", 0),
        ("https://evil.example", 2),
        ("https://k8s.company.example:6443", 2),
    ] {
        let info = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "spec": { "interactive": false, "cluster": { "server": server } },
        });
        let mut command = s.keyfob(["token", "--format", "kubernetes"]);
        let ran = Ran::from(command.env("KUBERNETES_EXEC_INFO", info.to_string()).output().expect("it runs"));
        assert_eq!(ran.code, Some(code), "{server}: {ran:?}");
    }
}
