//! A helper's key that an API rejected, as scripts report it.
#![expect(clippy::disallowed_methods, reason = "a failure is remembered for a time")]

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use keyfob_testkit::{Sandbox, stderr};

/// A machine whose helper gives another key at its second run, and the same ever after.
fn machine() -> Sandbox {
    let s = Sandbox::new();
    let home = s.home.path();
    fs::create_dir_all(home.join("keyfob")).expect("ours");
    let script = format!(
        "#!/bin/sh\necho run >> {0}/runs\n[ $(wc -l < {0}/runs) = 1 ] && echo the-first-key || echo the-second-key\n",
        home.display()
    );
    keyfob_testkit::script(&home.join("helper.sh"), &script);
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
    let refused = s.output(&["token", "--rejected", &again]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("the rejected key again"), "{}", stderr(&refused));
    assert_eq!(runs(&s), 3);
}

#[test]
fn only_a_key_in_use_can_be_rejected() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.run(&["token", "--rejected", "api-key-helper:0123456789ab", "--json"])
        .because("provider-refused", "rejected-other");
    let refused = s.output(&["token", "--rejected", "api-key-helper:0123456789ab"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(stderr(&refused).contains("login is used"), "{}", stderr(&refused));
    assert_eq!(s.output(&["token", "--rejected", "api-key-helper:xyz"]).status.code(), Some(2));
}

/// A machine with this helper.
fn with_helper(command: &str) -> Sandbox {
    let s = Sandbox::new();
    fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    let config = format!("api_key_helper = {command:?}\n");
    fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
    s
}

/// It may ask the user for something while all is well: a tap on a key, its own renewal.
#[test]
fn what_a_working_helper_says_is_passed_on() {
    let s = with_helper("printf 'tap your \\033[31mkey\\n' >&2; echo the-key");
    let ran = s.output(&["token"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "the-key\n");
    assert!(stderr(&ran).contains("api_key_helper: tap your \\u{1b}[31mkey"), "{}", stderr(&ran));
}

/// A time to live of 0 means never, for a failure too.
#[test]
fn helper_ttl_zero_caches_nothing() {
    let home = "echo run >> $HOME/runs; [ $(wc -l < $HOME/runs) -gt 1 ] && echo the-key";
    let twice = |ttl: &str, second: Option<i32>| {
        let s = with_helper(home);
        let run =
            || s.keyfob(["token"]).env("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", ttl).output().expect("it runs");
        let began = Instant::now();
        assert_eq!(run().status.code(), Some(3));
        let again = run();
        // A failure is remembered for five seconds: a busy machine that needed more has to try again.
        if ttl != "0" && began.elapsed() > Duration::from_secs(5) {
            return false;
        }
        assert_eq!(again.status.code(), second, "{ttl}: {}", stderr(&again));
        assert_eq!(runs(&s), if ttl == "0" { 2 } else { 1 });
        true
    };
    assert!(twice("0", Some(0)));
    assert!((0..10).any(|_| twice("300000", Some(3))), "never twice in five seconds");
}

/// A process that the helper left behind keeps its output open. No caller waits for that.
#[test]
fn a_helper_may_leave_an_agent_behind() {
    let s = with_helper("sleep 300 & echo $! > $HOME/agent; echo the-key");
    assert_eq!(s.out(&["token"]), "the-key\n");
    let agent = fs::read_to_string(s.home.path().join("agent")).expect("its number");
    let agent = agent.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a number");
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).expect("it still runs");
}
