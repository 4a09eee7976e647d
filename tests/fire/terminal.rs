//! Nothing is lost when the caller ends: Ctrl-C, a closed terminal, `timeout`, a shell that waits for its pipe.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, Stdio},
    time::Duration,
};

use keyfob_dev::DevServer;
use rustix::{
    process::{Pid, Signal, kill_process_group},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use keyfob_testkit::{Home, program, provider, rounds::Dice, until};

/// After the caller has ended, the renewal goes on and ends well: one grant, and the next call uses it. The provider
/// holds its request until then.
fn ends_well(server: &DevServer, sandbox: &Home, old: &str, grants: u64) {
    assert!(sandbox.is_busy(), "the renewal ended with its caller, or before");
    assert_eq!((server.held(), server.grants().refreshes), (1, grants - 1));
    server.release();
    drop(sandbox.idle());
    assert_eq!((server.grants().refreshes, server.grants().reuses), (grants, 0));
    let new = sandbox.record()["access_token"].clone();
    assert_ne!(new, old);
    assert_eq!(sandbox.token(), new);
    assert_eq!(server.grants().refreshes, grants);
}

fn slow() -> (DevServer, Home, String) {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let old = sandbox.token();
    sandbox.expire();
    server.hold();
    (server, sandbox, old)
}

/// `keyfob token` as a terminal starts it. The process that runs the tests may ignore these signals (`nohup`, a
/// background job of a script), and ignored signals are inherited.
fn caller(sandbox: &Home, before: &[&str]) -> Command {
    let mut command = Command::new("env");
    sandbox
        .environment(&mut command)
        .arg("--default-signal=HUP,INT")
        .args(before)
        .arg(program())
        .arg("token");
    command
}

#[test]
fn renewal_survives_ctrl_c_during_the_request() {
    let (server, sandbox, old) = slow();
    let mut caller = caller(&sandbox, &[]).process_group(0).spawn().expect("the command starts");
    until("the request", || (server.held() == 1).then_some(()));
    kill_process_group(Pid::from_child(&caller), Signal::INT).expect("a foreground group");
    assert_eq!(caller.wait().expect("our child").signal(), Some(2), "it ends at once, as a person expects");
    ends_well(&server, &sandbox, &old, 1);
}

#[test]
fn ctrl_c_at_any_moment() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(10));
    let mut dice = Dice(4);
    for round in 1..=40 {
        sandbox.expire();
        let mut caller = caller(&sandbox, &[]).process_group(0).spawn().expect("the command starts");
        dice.pause(Duration::from_millis(40));
        // It may have ended already: then there is nobody to tell.
        let _ = kill_process_group(Pid::from_child(&caller), Signal::INT);
        caller.wait().expect("our child");
        sandbox.token();
        assert_eq!((server.grants().refreshes, server.grants().reuses), (round, 0));
    }
}

#[test]
fn renewal_survives_a_closed_terminal() {
    let (server, sandbox, old) = slow();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("a terminal").into_string().expect("ASCII");
    let terminal = |write: bool| -> File {
        let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true).write(write), flags);
        options.open(&name).expect("a terminal")
    };
    // setsid(1) makes it the leader of a session whose terminal this is: closing it sends SIGHUP.
    let mut command = caller(&sandbox, &["setsid", "--ctty"]);
    command.stdin(terminal(true)).stdout(terminal(true)).stderr(terminal(true));
    let mut caller = command.spawn().expect("setsid of util-linux");
    // The command holds three ends of the terminal itself.
    drop(command);
    until("the request", || (server.held() == 1).then_some(()));
    drop(master);
    assert_eq!(caller.wait().expect("our child").signal(), Some(1), "SIGHUP");
    ends_well(&server, &sandbox, &old, 1);
}

#[test]
fn a_caller_ended_by_timeout() {
    let (server, sandbox, old) = slow();
    for seconds in ["0.3", "1", "5", "25"] {
        let mut command = Command::new("timeout");
        sandbox.environment(&mut command).args(["-s", "KILL", seconds]).arg(program()).arg("token");
        let ended = command.status().expect("timeout of coreutils");
        assert!(!ended.success());
        // A slow machine may not have come to ask so soon.
        if server.held() > 0 {
            break;
        }
    }
    ends_well(&server, &sandbox, &old, 1);
}

/// A command substitution ends when the last holder of its pipe ends. The renewal holds none of the caller's
/// descriptors: not the three, and no other.
#[test]
fn a_shell_does_not_wait_for_the_renewal() {
    let (server, sandbox, old) = slow();
    let line = "exec 7>&1 8>&2; \"$1\" token & read -r go; kill -KILL $!; wait $!; echo \"after $?\"";
    let mut command = Command::new("sh");
    sandbox.environment(&mut command).args(["-c", line, "sh"]).arg(program());
    let (mut pipe, writer) = std::io::pipe().expect("a pipe");
    let errors = writer.try_clone().expect("a pipe");
    let mut shell = command.stdout(writer).stderr(errors).stdin(Stdio::piped()).spawn().expect("sh");
    drop(command);
    until("the request", || (server.held() == 1).then_some(()));
    shell.stdin.take().expect("a pipe").write_all(b"go\n").expect("it reads");
    let mut said = String::new();
    pipe.read_to_string(&mut said).expect("text");
    assert!(said.contains("after 137"), "{said:?}");
    ends_well(&server, &sandbox, &old, 1);
    shell.wait().expect("our child");
}
