//! `keyfob serve --stdio`: the transcript, and what no transcript shows: many at once, bounds, and every way to its end.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixListener,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use keyfob_testkit::{Home, Sandbox, bare, token_requests, until};
use serde_json::{Value, json};

use crate::transcript::{self, Asker};

/// A process that answers.
struct Served {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Served {
    fn start(home: &Home) -> Self {
        Self::run(home.keyfob(["serve", "--stdio"]))
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    fn write(&mut self, line: &str) {
        self.input.as_mut().expect("open").write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, question: &Value) -> Value {
        self.write(&question.to_string());
        self.read()
    }

    fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "nothing is said that was not asked");
        self.child.wait().expect("it ends").code()
    }
}

#[derive(Default)]
struct Raw(Option<Served>);

impl Asker for Raw {
    fn begin(&mut self, s: &Sandbox, variables: &BTreeMap<String, String>) {
        let mut command = s.keyfob(["serve", "--stdio"]);
        command.envs(variables);
        self.0 = Some(Served::run(command));
    }

    fn ask(&mut self, question: &Value) -> Option<Value> {
        self.say(&question.to_string())
    }

    fn say(&mut self, line: &str) -> Option<Value> {
        let served = self.0.as_mut()?;
        served.write(line);
        Some(served.read())
    }

    fn expects(&self, answer: Value) -> Value {
        answer
    }

    fn end(&mut self) -> Option<i32> {
        self.0.take().expect("begun").end()
    }
}

fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

#[test]
fn it_answers_as_the_transcript_says() {
    assert!(transcript::run(&mut Raw::default()) > 20);
}

/// The provider answers one of them. Whoever asks meanwhile has an answer of their own, by name, in whatever order.
#[test]
fn many_questions_at_once_renew_once() {
    let s = signed_in();
    s.expire();
    let before = token_requests(&s.server);
    let mut served = Served::start(&s);
    for name in 0..200 {
        served.write(&json!({ "v": 1, "id": name, "wait": 60 }).to_string());
    }
    let answers: Vec<_> = (0..200).map(|_| served.read()).collect();
    let names: BTreeSet<_> = answers.iter().map(|answer| answer["id"].as_u64().expect("a name")).collect();
    let tokens: BTreeSet<_> =
        answers.iter().map(|answer| answer["token"].as_str().expect("a token")).collect();
    assert_eq!((names.len(), tokens.len()), (200, 1));
    assert_eq!(token_requests(&s.server), before + 1);
    assert_eq!(served.end(), Some(0));
}

/// Makes one profile's login expire.
fn expire_alone(s: &Sandbox, profile: &str) {
    let login =
        s.files("json").into_iter().find(|path| keyfob_testkit::read_record(path)["profile"] == profile);
    let record = login.expect("a login");
    let mut expired = keyfob_testkit::read_record(&record);
    keyfob_testkit::expired(&mut expired);
    keyfob_testkit::write_in_place(&record, &expired);
}

fn is_busy(answer: &Value) -> bool {
    let error = &answer["error"];
    (&error["id"], &error["cause"], &error["exit_code"]) == (&json!("unreachable"), &json!("busy"), &json!(6))
}

/// However many wait for the provider, they keep no other waiting: what needs no provider is answered before.
#[test]
fn an_answer_is_bounded_in_time_and_the_renewal_goes_on() {
    let s = signed_in();
    s.sign_in("fresh", "ada@example.com");
    let mut served = Served::start(&s);
    expire_alone(&s, "default");
    s.server.hold();
    for _ in 0..100 {
        served.write(r#"{"v":1,"id":"slow","wait":1}"#);
    }
    until("the renewal to reach the provider", || (s.server.held() == 1).then_some(()));
    served.write(r#"{"v":1,"id":"quick","profile":"fresh","wait":60}"#);
    let answers: Vec<_> = (0..=100).map(|_| served.read()).collect();
    let (slow, quick): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["id"] == "slow");
    assert!(slow.len() == 100 && slow.into_iter().all(is_busy), "{answers:?}");
    assert_eq!((&quick[0]["id"], &quick[0]["profile"]), (&json!("quick"), &json!("fresh")), "{quick:?}");
    s.server.release();
    let after = served.ask(&json!({ "v": 1, "id": 3, "wait": 60 }));
    assert!(after["token"].is_string(), "{after}");
    assert_eq!(served.end(), Some(0));
}

/// Lines come faster than they are answered, until it has been.
#[test]
fn an_answer_is_in_time_while_other_questions_come() {
    let s = signed_in();
    let mut served = Served::start(&s);
    expire_alone(&s, "default");
    s.server.hold();
    served.write(r#"{"v":1,"id":"slow","wait":1}"#);
    let mut input = served.input.take().expect("open");
    let is_answered = Arc::new(AtomicBool::new(false));
    let asking = thread::spawn({
        let is_answered = Arc::clone(&is_answered);
        move || {
            let many = "{\"v\":1,\"id\":\"hello\",\"ask\":\"hello\"}\n".repeat(1000);
            while !is_answered.load(Ordering::Relaxed) {
                input.write_all(many.as_bytes()).expect("it reads");
            }
        }
    });
    let slow =
        until("the answer that is due", || Some(served.read()).filter(|answer| answer["id"] == "slow"));
    assert!(is_busy(&slow), "{slow}");
    is_answered.store(true, Ordering::Relaxed);
    s.server.release();
    let mut rest = String::new();
    served.output.read_to_string(&mut rest).expect("text");
    asking.join().expect("all was read");
    assert_eq!(served.child.wait().expect("it ends").code(), Some(0));
}

/// What was asked before the end of the input is answered.
#[test]
fn the_end_of_the_input_ends_it_when_all_is_answered() {
    let s = signed_in();
    let output = s.feed(&["serve", "--stdio"], "{\"v\":1,\"id\":1}\n\n{\"v\":1,\"id\":2}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!((output.status.code(), text.lines().count()), (Some(0), 2), "{text}");
    s.expire();
    s.server.hold();
    let output = s.feed(&["serve", "--stdio"], "{\"v\":1,\"id\":1,\"wait\":1}");
    let answer = serde_json::from_slice(&output.stdout).expect("an answer");
    assert!(is_busy(&answer) && output.status.success(), "{answer}: nobody waits any longer");
    s.server.release();
    let ran = s.run(&["serve"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_answered() {
    let s = signed_in();
    let mut served = Served::start(&s);
    let long = json!({ "v": 1, "id": 1, "uri": "x".repeat(1 << 20) });
    let answer = served.ask(&long);
    assert_eq!((&answer["id"], &answer["error"]["id"]), (&Value::Null, &json!("usage")), "{answer}");
    let answer = served.ask(&json!({ "v": 1, "id": 2 }));
    assert!(answer["token"].is_string(), "{answer}");
    assert_eq!(served.end(), Some(0));
}

/// The process that started it is killed, while another one still has both ends of the pipes.
#[cfg(target_os = "linux")]
#[test]
fn it_ends_with_the_process_that_has_started_it() {
    use std::os::unix::process::CommandExt as _;

    let s = signed_in();
    let program = keyfob_testkit::program();
    // The shell's other child keeps the pipes open, as what a program has forked does.
    let script = format!(
        "exec 3<&0; sleep 1000 <&3 & echo $! > sleeping; {program} serve --stdio <&3 & echo $! > served; wait"
    );
    let mut command = s.command("sh");
    command.args(["-c", &script]).stdin(Stdio::piped()).process_group(0);
    let mut shell = Group(command.spawn().expect("it starts"));
    let Group(shell) = &mut shell;
    let mut input = shell.stdin.take().expect("a pipe");
    let mut output = BufReader::new(shell.stdout.take().expect("a pipe"));
    input.write_all(b"{\"v\":1,\"id\":1}\n").expect("it reads");
    let mut line = String::new();
    output.read_line(&mut line).expect("an answer");
    assert!(line.contains("\"token\""), "{line}");
    // The shell writes it down after it has started the process, and may do so after that has answered.
    let number = |name: &str| {
        until("a number", || {
            let text = fs::read_to_string(s.path().join(name)).unwrap_or_default();
            text.strip_suffix('\n').map(str::to_owned)
        })
    };
    let stat = format!("/proc/{}/stat", number("served"));
    let is_there = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(is_there());
    shell.kill().expect("it is ours");
    shell.wait().expect("it ends");
    until("it to end", || (!is_there()).then_some(()));
    let sleeping = format!("/proc/{}/stat", number("sleeping"));
    assert!(fs::exists(sleeping).expect("a directory"), "the pipes were open until now");
    drop(input);
}

/// A process and what it has started in its group, which ends with this, whatever the test comes to.
#[cfg(target_os = "linux")]
struct Group(Child);

#[cfg(target_os = "linux")]
impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

/// An agent waits for as long as the question does.
#[test]
fn an_agent_is_told_how_long_somebody_waits() {
    let s = Sandbox::new();
    let socket = s.path().join("agent.sock");
    let agent = UnixListener::bind(&socket).expect("a socket");
    let mut command = s.keyfob(["serve", "--stdio"]);
    command.env("KEYFOB_AGENT", &socket);
    let mut served = Served::run(command);
    for (question, wait) in [(r#"{"v":1,"id":1,"wait":47}"#, Some("47")), (r#"{"v":1,"id":2}"#, None)] {
        served.write(question);
        let (mut stream, _) = agent.accept().expect("it asks");
        let mut input = BufReader::new(stream.try_clone().expect("a descriptor"));
        let lines = input.by_ref().lines().map(|line| line.expect("text"));
        let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let header = |name| head.iter().find_map(|line| line.strip_prefix(name));
        assert_eq!(header("prefer: wait="), wait, "{head:?}");
        let length = header("content-length: ").and_then(|n| n.parse().ok()).expect("a body");
        input.read_exact(&mut vec![0; length]).expect("all of it");
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("it reads");
        drop((stream, input));
        assert_eq!(served.read()["error"]["id"], "agent-absent");
    }
    assert_eq!(served.end(), Some(0));
}

/// Without a login of its own it asks an agent, which judges by its own environment where the credential may go.
#[test]
fn without_a_login_an_agent_is_asked() {
    let s = signed_in();
    let socket = s.path().join("doors/agent.sock");
    let mut agent = s.keyfob(["agent", "--socket"]).arg(&socket).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(agent.stdout.take().expect("a pipe")).read_line(&mut line).expect("it listens");
    let mut container = Home::empty(&s.server);
    container.set("KEYFOB_AGENT", socket.to_str().expect("text"));
    let mut served = Served::start(&container);
    let uri = format!("{}/v1/whoami", s.server.base_url());
    let first = served.ask(&json!({ "v": 1, "id": 1, "uri": uri }));
    assert!(first["token"].is_string() && first["handle"].is_string(), "{first}");
    let next = served.ask(&json!({ "v": 1, "id": 2, "uri": uri, "rejected": first["handle"] }));
    assert!(next["token"].is_string() && next["token"] != first["token"], "{next}");
    let foreign = served.ask(&json!({ "v": 1, "id": 3, "uri": "https://evil.example/" }));
    assert_eq!(foreign["error"]["id"], "url-not-approved", "{foreign}");
    assert_eq!(served.end(), Some(0));
    agent.kill().expect("it is ours");
    agent.wait().expect("it ends");
}

/// A choice on the command line holds for the logins of other profiles too, and no variable's token is taken for one.
#[test]
fn a_profile_means_its_login_and_no_other_credential() {
    let s = signed_in();
    let mut command = Command::new(keyfob_testkit::program());
    bare(&mut command, s.path()).stdout(Stdio::piped());
    keyfob_testkit::local(&mut command, &s.server.base_url());
    command.args(["serve", "--stdio", "--home"]).arg(s.home()).env("CLAUDE_CODE_OAUTH_TOKEN", "brought");
    let mut served = Served::run(command);
    let own = served.ask(&json!({ "v": 1, "id": 1 }));
    assert_eq!((&own["token"], &own["handle"]), (&json!("brought"), &Value::Null), "{own}");
    let stored = served.ask(&json!({ "v": 1, "id": 2, "profile": "default" }));
    assert_eq!((&stored["source"], &stored["profile"]), (&json!("login"), &json!("default")), "{stored}");
    let absent = served.ask(&json!({ "v": 1, "id": 3, "profile": "absent" }));
    assert_eq!(absent["error"]["id"], "login-needed", "{absent}");
    let no_name = served.ask(&json!({ "v": 1, "id": 4, "profile": "../x" }));
    assert_eq!(no_name["error"]["id"], "usage", "{no_name}");
    assert_eq!(served.end(), Some(0));
}

/// Ended at once, it would leave those who asked at the same time with the end of a process, and not with what to correct.
#[test]
fn what_is_wrong_is_told_to_all_who_ask_at_once() {
    let s = Sandbox::new();
    let mut command = s.keyfob(["serve", "--stdio"]);
    command.env("USE_LOCAL_OAUTH", "yes");
    let mut served = Served::run(command);
    let questions: Vec<_> = (0..20).map(|id| json!({"v": 1, "id": id}).to_string()).collect();
    served.write(&questions.join("\n"));
    for id in 0..20 {
        let answer = served.read();
        assert_eq!(
            (&answer["id"], &answer["error"]["id"]),
            (&json!(id), &json!("variable-malformed")),
            "{answer}"
        );
    }
    assert_eq!(served.child.wait().expect("it ends by itself").code(), Some(3));
}
