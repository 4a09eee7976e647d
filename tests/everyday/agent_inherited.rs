//! Agents that are inherited: by a program below `exec --agent`, and by an agent from a service manager.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use keyfob_testkit::{Home, Ran, Sandbox, program, token_requests, until};

fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

/// A script with an agent beside it. `$ELSEWHERE` is a home without a login.
fn command(s: &Sandbox, script: &str) -> Command {
    let mut command = s.keyfob(["exec", "--agent", "--", "sh", "-c", script]);
    command.env("KEYFOB", program()).env("ELSEWHERE", s.path().join("elsewhere"));
    command
}

fn run(s: &Sandbox, script: &str) -> Ran {
    Ran::from(command(s, script).output().expect("it runs"))
}

#[test]
fn a_program_below_exec_asks_the_agent_it_inherited() {
    let s = signed_in();
    let ran = run(
        &s,
        "echo $KEYFOB_AGENT; env | grep -c sk-ant; export KEYFOB_HOME=$ELSEWHERE; \"$KEYFOB\" token; \"$KEYFOB\" whoami",
    );
    let lines: Vec<_> = ran.out.lines().collect();
    let number = lines[0].strip_prefix("fd:").and_then(|number| number.parse::<u32>().ok());
    // node hands no lower ones on.
    assert!(number.is_some_and(|number| number >= 100), "{ran:?}");
    assert_eq!(lines[2], s.token());
    assert!(
        lines[3].starts_with("ada@example.com") && lines[3].contains("lent by the agent at descriptor"),
        "{ran:?}"
    );
    let variables = run(&s, "env");
    assert!(!variables.out.contains(&s.token()), "{variables:?}");
    assert!(!variables.out.contains("TOKEN_FILE_DESCRIPTOR"), "{variables:?}");
}

#[test]
fn a_program_that_may_open_few_files_has_an_agent_too() {
    let s = signed_in();
    let mut command = s.command("sh");
    let script =
        "ulimit -n 64; exec \"$0\" exec --agent -- sh -c 'KEYFOB_HOME=$ELSEWHERE \"$0\" token' \"$0\"";
    command.args(["-c", script, program()]).env("ELSEWHERE", s.path().join("elsewhere"));
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.out.trim_end(), s.token(), "{ran:?}");
}

/// They all have the one descriptor, and none gets another's answer.
#[test]
fn many_processes_share_an_inherited_descriptor() {
    let s = signed_in();
    let handle = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    let before = token_requests(&s.server);
    let mut command = command(
        &s,
        "export KEYFOB_HOME=$ELSEWHERE; for i in 1 2 3 4 5 6 7 8; do \
         \"$KEYFOB\" token --wait 60 --rejected $HANDLE & \"$KEYFOB\" whoami --json & done; wait",
    );
    let ran = Ran::from(command.env("HANDLE", &handle).output().expect("it runs"));
    let (answers, tokens): (Vec<&str>, Vec<&str>) = ran.out.lines().partition(|line| line.starts_with('{'));
    assert_eq!((answers.len(), tokens.len()), (8, 8), "{ran:?}");
    assert!(tokens.iter().all(|token| *token == s.token()), "{ran:?}");
    assert!(answers.iter().all(|answer| answer.contains("ada@example.com")), "{ran:?}");
    assert_eq!(token_requests(&s.server), before + 1);
}

#[test]
fn what_runs_below_a_client_of_the_agent_is_one_too() {
    let s = signed_in();
    for nested in [
        "\"$KEYFOB\" exec --agent -- sh -c '\"$KEYFOB\" token'",
        "\"$KEYFOB\" exec --env API_TOKEN -- sh -c '\"$KEYFOB\" token'",
    ] {
        let ran = run(&s, &format!("export KEYFOB_HOME=$ELSEWHERE; {nested}"));
        assert_eq!(ran.out.trim_end(), s.token(), "{nested}: {ran:?}");
    }
}

#[test]
fn exec_with_an_agent_ends_as_its_program_does() {
    let s = signed_in();
    assert_eq!(run(&s, "exit 7").code, Some(7));
    assert_eq!(run(&s, "kill -KILL $$").code, Some(128 + 9));
    assert_eq!(s.run(&["exec", "--agent", "--", "no-such-program"]).code, Some(127));
    ends_as_it_is_told(&mut command(&s, ENDS_AT_A_SIGNAL));
}

/// A program that ends with 9 at the signal that asks it to end.
pub(crate) const ENDS_AT_A_SIGNAL: &str = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";

/// A signal for that program reaches it, and this command ends as it does.
pub(crate) fn ends_as_it_is_told(command: &mut Command) {
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(kill.success() && line == "ready\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(9));
}

/// A program that ends before what it started: what has been asked by then is answered, and `exec` ends after it.
#[test]
fn who_asks_below_a_program_that_has_ended_is_still_answered() {
    let s = signed_in();
    let answer = s.path().join("answer");
    let script = "echo ready; read word; (\"$KEYFOB\" token --wait 60 --rejected \"$HANDLE\" > \"$ANSWER\" &) ; read word; exit 3";
    let mut command = command(&s, &format!("export KEYFOB_HOME=$ELSEWHERE; {script}"));
    command.env("HANDLE", s.json(&["token"])["handle"].as_str().expect("a handle")).env("ANSWER", &answer);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let mut words = child.stdin.take().expect("a pipe");
    s.server.hold();
    words.write_all(b"ask\n").expect("it reads");
    until("the renewal", || (s.server.held() == 1).then_some(()));
    let told = Instant::now();
    words.write_all(b"end\n").expect("it reads");
    s.server.release();
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    // It waits for ten seconds, and for no answer that takes this machine longer.
    if told.elapsed() < Duration::from_secs(10) {
        let whole = || std::fs::read_to_string(&answer).ok().filter(|text| text.ends_with('\n'));
        assert_eq!(until("its answer", whole).trim_end(), s.token());
    }
}

#[test]
fn exec_lends_no_api_key_and_starts_nothing() {
    let s = signed_in();
    let mut command = command(&s, "echo started");
    let ran = Ran::from(command.env("ANTHROPIC_API_KEY", "kdev-ak-invented").output().expect("it runs"));
    assert!(ran.code == Some(5) && ran.out.is_empty(), "{ran:?}");
    assert!(ran.err.contains("leave `--agent` out"), "{ran:?}");
}

#[test]
fn a_descriptor_that_is_no_agents_is_told() {
    let s = signed_in();
    let home = Home::empty(&s.server);
    let told = |named: &str, script: &str| {
        let mut command = home.command("sh");
        command.args(["-c", script, program()]).env("KEYFOB_AGENT", named);
        let ran = Ran::from(command.output().expect("it runs"));
        let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_default();
        (ran.code, said["error"]["id"].as_str().unwrap_or_default().to_owned())
    };
    let plain = "exec \"$0\" token --json";
    for named in ["fd:", "fd:1", "fd:x", "fd:-3", "fd:99999999999"] {
        assert_eq!(told(named, plain), (Some(3), "variable-malformed".into()), "{named}");
    }
    assert_eq!(told("fd:77", plain), (Some(3), "descriptor-not-open".into()));
    // Whatever runs in between has closed it: that is where a person has to look.
    let closed =
        Ran::from(home.command(program()).arg("token").env("KEYFOB_AGENT", "fd:77").output().expect("runs"));
    assert!(
        closed.err.contains("let what runs between `keyfob exec --agent` and this pass it on"),
        "{closed:?}"
    );
    for other in ["9</dev/null", "9<&0 </dev/null"] {
        assert_eq!(told("fd:9", &format!("{plain} {other}")), (Some(6), "agent-absent".into()), "{other}");
    }
}

/// sd_listen_fds(3): the socket is listened at before there is an agent, and after it.
#[test]
fn an_agent_listens_at_the_socket_of_a_service_manager() {
    let s = signed_in();
    let path = s.path().join("manager.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let start = |words: &str| {
        let script = format!("exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" agent {words} 3<&0 </dev/null");
        let mut command = s.command("sh");
        command.args(["-c", &script, program()]);
        command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().expect("a descriptor"))));
        command.spawn().expect("it starts")
    };
    let mut container = Home::empty(&s.server);
    container.set("KEYFOB_AGENT", path.to_str().expect("text"));
    // Somebody asks before it has started, and is answered when it has.
    let waiting = container.keyfob(["token", "--wait", "60"]).spawn().expect("it starts");
    let mut agent = start("");
    assert_eq!(Ran::from(waiting.wait_with_output().expect("it ends")).answer(), s.token());
    let mut line = String::new();
    BufReader::new(agent.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line.trim_end(), path.to_str().expect("text"));
    agent.kill().and_then(|()| agent.wait()).expect("ours");
    // It ends when nobody asks, and leaves the socket to the manager.
    assert!(start("--idle 1").wait().expect("it ends").success());
    assert!(path.exists());
    // The variables of another process are none.
    let mut other = s.keyfob(["agent", "--socket", "/proc/agent.sock"]);
    let ran = Ran::from(other.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").output().expect("it runs"));
    assert!(ran.err.contains("/proc cannot hold the socket"), "{ran:?}");
}
