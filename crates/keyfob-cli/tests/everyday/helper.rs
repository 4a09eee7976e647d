//! A helper's key that an API rejected, reported from scripts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
};

use crate::sandbox::{Sandbox, stderr};

/// A machine whose helper gives another key at its second run, and the same ever after.
fn machine() -> Sandbox {
    let s = Sandbox::new();
    let home = s.home.path();
    fs::create_dir_all(home.join("keyfob")).expect("ours");
    let script = format!(
        "#!/bin/sh\necho run >> {0}/runs\n[ $(wc -l < {0}/runs) = 1 ] && echo the-first-key || echo the-second-key\n",
        home.display()
    );
    fs::write(home.join("helper.sh"), script).expect("ours");
    fs::set_permissions(home.join("helper.sh"), PermissionsExt::from_mode(0o700)).expect("ours");
    let config = format!("api_key_helper = \"{}/helper.sh\"\n", home.display());
    fs::write(home.join("keyfob/config.toml"), config).expect("ours");
    s
}

fn runs(s: &Sandbox) -> usize {
    fs::read_to_string(s.home.path().join("runs")).expect("it ran").lines().count()
}

#[test]
fn all_who_report_a_key_get_the_one_of_one_run() {
    let s = machine();
    let first = s.json(&["token"]);
    assert_eq!((first["token"].as_str(), runs(&s)), (Some("the-first-key"), 1));
    let rejected = format!("api-key-helper:{}", first["fingerprint"].as_str().expect("a fingerprint"));
    let start = || {
        let mut command = s.keyfob(["token", "--rejected", &rejected]);
        command.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let reporting: Vec<Child> = (0..20).map(|_| start()).collect();
    for child in reporting {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the-second-key\n");
    }
    assert_eq!(runs(&s), 2, "one run for all of them");

    let second = s.json(&["token"]);
    let again = format!("api-key-helper:{}", second["fingerprint"].as_str().expect("a fingerprint"));
    let refused = s.run(&["token", "--rejected", &again]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("the rejected key again"), "{}", stderr(&refused));
    assert_eq!(runs(&s), 3);
}

#[test]
fn only_a_key_in_use_can_be_rejected() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let refused = s.run(&["token", "--rejected", "api-key-helper:0123456789ab"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(stderr(&refused).contains("login is used"), "{}", stderr(&refused));
    assert_eq!(s.run(&["token", "--rejected", "api-key-helper:xyz"]).status.code(), Some(2));
}
