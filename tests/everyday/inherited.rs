//! State that a run inherits besides its arguments and variables: signals that are ignored or blocked, closed standard
//! streams. Window managers, supervisors and `nohup` leave them behind.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "tests start the real command")]

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use keyfob_testkit::program;

use keyfob_testkit::{Sandbox, stderr};

/// The shell has no command for this.
const IGNORING: &str = "exec env --ignore-signal=CHLD";

/// A line of shell in the sandbox's environment.
fn shell(s: &Sandbox, line: &str) -> Output {
    let like = s.keyfob(["token"]);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).env_clear().current_dir(s.home.path()).stdin(Stdio::null());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().expect("a shell")
}

fn configure(s: &Sandbox, text: &str) {
    let dir = s.home.path().join("keyfob");
    fs::create_dir_all(&dir).expect("ours");
    fs::write(dir.join("config.toml"), text).expect("ours");
}

#[track_caller]
fn answered(output: &Output, answer: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && out.trim() == answer, "{out}{}", stderr(output));
}

/// With SIGCHLD ignored the kernel does not keep how a child ended: the renewal's, the helper's.
#[test]
fn children_are_heard_of_where_their_end_was_ignored() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let ignored = "grep -q 'SigIgn:.*1....$' /proc/self/status";
    answered(&shell(&s, &format!("{IGNORING} {ignored}")), "");
    let before = s.out(&["token"]);
    s.expire();
    let renewed = shell(&s, &format!("{IGNORING} {keyfob} token", keyfob = program()));
    assert!(renewed.status.success() && stderr(&renewed).is_empty(), "{}", stderr(&renewed));
    assert_ne!(String::from_utf8_lossy(&renewed.stdout), before);

    configure(&s, "api_key_helper = \"echo from-the-helper\"\n");
    answered(&shell(&s, &format!("{IGNORING} {keyfob} token", keyfob = program())), "from-the-helper");
}

/// `exec` takes keyfob's place: what it was given, the program is given, and nothing of what keyfob needed itself.
#[test]
fn a_program_finds_the_signals_its_caller_left() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let look = |before: &str| -> Vec<String> {
        let set = "exec env --ignore-signal=CHLD,PIPE,XFSZ --block-signal=TERM";
        let [unset, set] =
            ["exec", set].map(|set| shell(&s, &format!("{set} {before} cat /proc/self/status")));
        let lines = [unset, set].map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let masks = lines.iter().flat_map(|status| status.lines().filter(|line| line.starts_with("Sig")));
        masks.filter(|line| !line.starts_with("SigQ")).map(str::to_owned).collect()
    };
    let (without, with) = (look(""), look(&format!("{keyfob} exec --", keyfob = program())));
    assert_eq!(without, with);
    let bit = |line: &str, signal: u32| {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).expect("a mask"), 16).expect("digits");
        mask >> (signal - 1) & 1 == 1
    };
    let last = |name: &str| with.iter().rfind(|line| line.starts_with(name)).expect("a mask").clone();
    assert!([13, 17, 25].iter().all(|signal| bit(&last("SigIgn"), *signal)), "{with:?}");
    assert!(bit(&last("SigBlk"), 15), "{with:?}");
}

/// What has secrets in its memory leaves no core; a program finds the limit that was set.
#[test]
fn a_program_finds_the_limit_on_cores_that_was_set() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    for limit in ["0", "4096", "unlimited"] {
        let ran = shell(
            &s,
            &format!(
                "ulimit -S -c {limit} && {keyfob} exec -- /bin/sh -c 'ulimit -S -c'",
                keyfob = program()
            ),
        );
        answered(&ran, limit);
    }
    configure(&s, "api_key_helper = \"ulimit -S -c\"\n");
    answered(&shell(&s, &format!("{keyfob} token", keyfob = program())), "0");
}

/// The runtime opens /dev/null where a standard stream was closed. A program is not informed that it was closed.
#[test]
fn a_program_finds_closed_streams_closed() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let look = "for n in 0 1 2; do [ -e /proc/self/fd/$n ] || printf %s $n >>closed; done";
    fs::write(s.home.path().join("look.sh"), look).expect("ours");
    for (redirection, closed) in [("", ""), ("<&-", "0"), (">&-", "1"), ("<&- >&- 2>&-", "012")] {
        let found = s.home.path().join("closed");
        let ran = shell(&s, &format!("{keyfob} exec -- /bin/sh look.sh {redirection}", keyfob = program()));
        assert!(ran.status.success(), "{redirection}: {}", stderr(&ran));
        assert_eq!(fs::read_to_string(&found).unwrap_or_default(), closed, "{redirection}");
        let _ = fs::remove_file(found);
    }
}

/// A limit on the size of files is a disk error, and reported as one; it does not end the process in a write.
#[test]
fn file_size_limit_is_reported_as_an_error() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let asked = s.server.requests().len();
    let refused =
        shell(&s, &format!("ulimit -f 0; exec {keyfob} token --min-valid 86400", keyfob = program()));
    assert_eq!(refused.status.code(), Some(7), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("large"), "{}", stderr(&refused));
    assert_eq!(s.server.requests().len(), asked, "nothing was spent");
}

/// A result that cannot be printed is not a success, and a token that is shown once is not minted without a reader.
#[test]
fn token_to_a_closed_stdout_is_an_error() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for words in ["token", "token --json", "header", "status", "env", "setup-token --no-browser"] {
        let asked = s.server.requests().len();
        let ran = shell(&s, &format!("{keyfob} {words} >&-", keyfob = program()));
        assert_eq!(ran.status.code(), Some(2), "{words}: {}", stderr(&ran));
        assert!(stderr(&ran).contains("closed from the start"), "{words}: {}", stderr(&ran));
        assert_eq!(s.server.requests().len(), asked, "{words} asked the provider");
    }
}

/// The outer program did not close the pipe it was handed: the inner one's program has nothing of the outer login.
#[test]
fn a_nested_exec_hands_over_its_own_credential_alone() {
    let (s, keyfob) = (Sandbox::new(), program());
    for profile in ["a", "b"] {
        s.sign_in(profile, &format!("{profile}@example.com"));
    }
    let pipes = "for f in /proc/self/fd/*; do case $(readlink $f) in pipe:*) [ ${f##*/} -gt 2 ] && echo ${f##*/};; esac; done";
    fs::write(s.home.path().join("pipes.sh"), pipes).expect("ours");
    // Whoever runs the tests may have pipes of their own open here.
    let usual = String::from_utf8_lossy(&shell(&s, "/bin/sh pipes.sh").stdout).lines().count();
    let inner = format!("exec {keyfob} --profile b exec -- /bin/sh pipes.sh");
    let ran = shell(&s, &format!("{keyfob} --profile a exec -- /bin/sh -c '{inner}'"));
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), usual + 1, "{ran:?}");
    // It closed it, and has something else of its own there: that is not ours to close.
    let inner = format!(
        "eval \"exec $CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR</etc/passwd\"; exec {keyfob} --profile b exec -- ls -l /proc/self/fd"
    );
    let ran = shell(&s, &format!("{keyfob} --profile a exec -- /bin/bash -c '{inner}'"));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("/etc/passwd"), "{ran:?}");
}

/// What a host program hands its own children would have the program ask that host instead.
#[test]
fn nothing_of_a_hosts_goes_along() {
    let (s, keyfob) = (Sandbox::new(), program());
    s.sign_in("default", "ada@example.com");
    let names = [
        "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH",
        "CLAUDE_CODE_SDK_HAS_HOST_AUTH_REFRESH",
        "CLAUDE_CODE_GATEWAY_TOKEN",
        "CLAUDE_CODE_GATEWAY_TOKEN_FILE_DESCRIPTOR",
        "CLAUDE_BRIDGE_OAUTH_TOKEN",
        "ANTHROPIC_IDENTITY_TOKEN",
    ];
    let set: Vec<_> = names.iter().map(|name| format!("{name}=9")).collect();
    let look = "env; [ -e /proc/self/fd/9 ] && echo still-open";
    fs::write(s.home.path().join("look.sh"), look).expect("ours");
    let ran = shell(&s, &format!("exec 9</etc/passwd; {} {keyfob} exec -- /bin/sh look.sh", set.join(" ")));
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR="), "{ran:?}");
    for name in names {
        assert!(!said.contains(name), "{name}: {said}");
    }
    assert!(!said.contains("still-open"), "{said}");
}

/// Nobody reads while it is put there: what a pipe does not hold as it is, it is made to hold.
#[test]
fn a_large_credential_is_handed_over() {
    let s = Sandbox::new();
    let token = "x".repeat(100_000);
    let count = "wc -c <&$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR";
    let mut command = s.keyfob(["exec", "--", "/bin/sh", "-c", count]);
    let ran = command.env("CLAUDE_CODE_OAUTH_TOKEN", &token).output().expect("it runs");
    answered(&ran, "100000");
}
