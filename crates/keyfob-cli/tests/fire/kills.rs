//! It outlives its caller, and what it does not outlive it recognises.

use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Sandbox, expire, kill, record, record_path, sandbox::stderr, until, worker};

/// Kills whatever renews this sandbox's login.
fn kill_worker(s: &Sandbox) -> bool {
    let Some(pid) = worker(s).and_then(Pid::from_raw) else { return false };
    kill_process(pid, Signal::KILL).is_ok()
}

/// SIGKILL of the caller at a hundred different moments: the login is intact after each.
#[test]
fn a_killed_caller_loses_nothing() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.server.set_latency(Duration::from_millis(8));
    for round in 0..100_u64 {
        expire(&s);
        let child = s.keyfob(["token"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        // 0 to 30 ms in steps that do not repeat: before the lease, in flight, while saving, after.
        thread::sleep(Duration::from_micros(round * 7919 % 30_000));
        kill(child);
        let output = s.run(&["token"]);
        assert!(output.status.success(), "round {round}: {}", stderr(&output));
    }
    assert_eq!(s.server.grants().reuses, 0);
}

/// Ctrl-C reaches the whole foreground process group; the renewal is not in it.
#[test]
fn control_c_does_not_reach_the_renewal() {
    use std::os::unix::process::CommandExt;
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    let generation = record(&s)["generation"].as_u64();
    s.server.set_latency(Duration::from_millis(300));
    let mut child = s.keyfob(["token"]).process_group(0).stdout(Stdio::null()).spawn().expect("it runs");
    until("the intent", || record_path(&s).with_extension("next").exists());
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process_group(group, Signal::INT).expect("kill");
    assert!(!child.wait().expect("it ends").success());
    until("the new record", || record(&s)["generation"].as_u64() > generation);
    assert!(s.run(&["token"]).status.success());
    assert_eq!(s.server.grants().reuses, 0);
}

/// `$(keyfob token)` ends when the command ends: the renewal holds no descriptor of the caller's, whatever number
/// it has.
#[test]
fn nobody_waits_for_the_renewal() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.set_latency(Duration::from_secs(3));
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut shell = Command::new("/bin/sh");
    for (name, value) in s.keyfob(["token"]).get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let line = format!("{} token 7>&1 & sleep 0.5; kill -9 $!", env!("CARGO_BIN_EXE_keyfob"));
    let mut child = shell.args(["-c", &line]).stdout(writer).stderr(Stdio::null()).spawn().expect("a shell");
    drop(shell);
    child.wait().expect("it ends");
    assert!(worker(&s).is_some(), "the renewal goes on");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the end of the pipe");
    assert!(worker(&s).is_some(), "the pipe ended before the renewal did");
    until("the renewal", || worker(&s).is_none());
    assert!(s.run(&["token"]).status.success());
}

/// The renewing process itself is killed while its request is in flight: recognised as "outcome unknown", the
/// access token used until it ends, then one declared retry. A strict provider refuses that one, and says so.
#[test]
fn a_killed_renewal_is_an_unknown_outcome() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.inject(keyfob_dev::FaultKind::Late, 1);
    let child = s.keyfob(["token"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    until("the rotation", || s.server.grants().refreshes >= 2);
    until("the worker", || kill_worker(&s));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("outcome") && stderr(&output).contains("unknown"));
    assert!(!stderr(&output).contains("logged out"));
    assert_eq!(record(&s)["refresh_token"].as_str().map(|t| t.starts_with("kdev-rt-")), Some(true));
    let retry = s.run(&["token"]);
    assert_eq!(retry.status.code(), Some(4), "{}", stderr(&retry));
    assert!(stderr(&retry).contains("has ended"));
    assert_eq!(s.server.grants().reuses, 1, "one declared retry, and no more");
    assert_eq!(s.run(&["token"]).status.code(), Some(4));
    assert_eq!(s.server.grants().reuses, 1);
}

/// The same with a provider that accepts a just-rotated token once more, as many do: the retry mends it.
#[test]
fn a_grace_period_mends_a_killed_renewal() {
    let s = Sandbox::with(keyfob_dev::Options {
        reuse_grace: Duration::from_secs(60),
        ..keyfob_dev::Options::default()
    });
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.inject(keyfob_dev::FaultKind::Late, 1);
    let child = s.keyfob(["token"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    until("the rotation", || s.server.grants().refreshes >= 2);
    until("the worker", || kill_worker(&s));
    kill(child);
    let output = s.run(&["token"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Sixty random kills of the renewing process, with the odds. Whatever the moment, the outcome is one of the
/// promised ones.
#[test]
fn killed_at_any_moment_the_outcome_is_a_promised_one() {
    let mut lost = 0;
    let s = Sandbox::new();
    s.server.set_latency(Duration::from_millis(3));
    s.sign_in("default", "ada@example.com");
    for round in 0..60_u64 {
        expire(&s);
        let child = s.keyfob(["token"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        thread::sleep(Duration::from_micros(1000 + round * 6143 % 16_000));
        kill_worker(&s);
        kill(child);
        let output = s.run(&["token"]);
        match output.status.code() {
            Some(0) => {}
            Some(4) => {
                lost += 1;
                assert!(stderr(&output).contains("has ended"), "{}", stderr(&output));
                s.sign_in("default", "ada@example.com");
            }
            code => panic!("round {round}: {code:?}: {}", stderr(&output)),
        }
    }
    println!("{lost} of 60 random kills of the renewing process cost the login at a strict provider");
}
