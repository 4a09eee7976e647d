//! The agent: what it gives, to whom, and what those get who may not have it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start real programs, and a thread that answers one of them"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
};

use serde_json::{Value, json};

use keyfob_testkit::{Home, Ran, Sandbox, token_requests, until};

/// An agent that listens. It ends with the test.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
}

/// Waits until it says that it listens at each of these sockets.
pub(crate) fn wait_for_sockets(child: &mut Child, sockets: &[&Path]) {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    for socket in sockets {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        if line.is_empty() {
            let mut why = String::new();
            let _ = child.stderr.take().expect("a pipe").read_to_string(&mut why);
            panic!("it did not listen: {why}");
        }
        assert_eq!(line.trim_end(), socket.to_str().expect("text"));
    }
}

impl Agent {
    /// With these words behind `agent`, beside its home.
    pub(crate) fn start(s: &Sandbox, words: &[&str]) -> Self {
        let socket = s.path().join("doors/agent.sock");
        Self::begin(s, &socket, words)
    }

    pub(crate) fn begin(s: &Sandbox, socket: &Path, words: &[&str]) -> Self {
        let path = socket.to_str().expect("text");
        let child = s.keyfob(["agent", "--socket", path]).args(words).spawn().expect("it starts");
        Self::listens(child, &[socket.to_owned()])
    }

    /// With the doors of the configuration, which are at these sockets. What it is asked goes to the first.
    pub(crate) fn configured(s: &Sandbox, sockets: &[PathBuf]) -> Self {
        Self::listens(s.keyfob(["agent"]).spawn().expect("it starts"), sockets)
    }

    pub(crate) fn listens(mut child: Child, sockets: &[PathBuf]) -> Self {
        let places: Vec<_> = sockets.iter().map(PathBuf::as_path).collect();
        wait_for_sockets(&mut child, &places);
        Self { child, socket: sockets[0].clone() }
    }

    /// A home without a login, whose programs know of the agent: a container.
    pub(crate) fn container(&self, s: &Sandbox) -> Home {
        let mut home = Home::empty(&s.server);
        home.set("KEYFOB_AGENT", self.socket.to_str().expect("text"));
        home
    }

    /// The answer to a request as it stands, as it came.
    pub(crate) fn text(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        // What is too large is refused before it was all read.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// A request as it stands, and its answer.
    pub(crate) fn raw(&self, request: &str) -> (u16, Value) {
        let answer = self.text(request);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    pub(crate) fn post(&self, path: &str, question: &Value) -> (u16, Value) {
        let body = question.to_string();
        self.raw(&format!(
            "POST {path} HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

pub(crate) fn id(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["id"].as_str().unwrap_or("none"))
}

/// What a run that failed said in JSON, and its code.
#[track_caller]
pub(crate) fn failure(home: &Home, words: &[&str]) -> (i32, String) {
    let output = home.keyfob(words).arg("--json").output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().expect("a code"), said["error"]["id"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_home_without_a_login_is_a_client_of_the_agent() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let meta = fs::symlink_metadata(&agent.socket).expect("a socket");
    assert_eq!(meta.mode() & 0o777, 0o600);
    let container = agent.container(&s);
    let token = s.token();
    assert_eq!(container.token(), token);
    assert_eq!(container.out(&["header"]), format!("Authorization: Bearer {token}\n"));
    let exec = container.out(&["exec", "--env", "API_TOKEN", "--", "sh", "-c", "printf %s \"$API_TOKEN\""]);
    assert_eq!(exec, token);
    let on_a_pipe = "cat <&\"$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR\"";
    assert_eq!(container.out(&["exec", "--", "sh", "-c", on_a_pipe]), token);

    let (own, lent) = (s.json(&["token"]), container.json(&["token"]));
    for same in ["token", "headers", "handle", "source", "fingerprint", "login", "generation", "profile"] {
        assert_eq!(own[same], lent[same], "{same}");
    }
    assert!(lent["considered"][0]["reason"].as_str().is_some_and(|why| why.contains("lent by the agent")));

    // After a 401 it is renewed where the login is, once, and the same handle does not renew it again.
    let before = token_requests(&s.server);
    let handle = lent["handle"].as_str().expect("a handle");
    let renewed = container.out(&["token", "--rejected", handle]);
    assert_ne!(renewed.trim_end(), token);
    assert_eq!(container.out(&["token", "--rejected", handle]), renewed);
    assert_eq!(s.token(), renewed.trim_end());
    assert_eq!(token_requests(&s.server), before + 1);
    assert!(container.files("json").is_empty(), "no login came along");
}

#[test]
fn status_says_whose_login_an_agent_lends() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    let status = container.json(&["status"]);
    assert_eq!(status["winner"]["state"], "lent");
    assert_eq!(status["winner"]["handle"], s.json(&["token"])["handle"]);
    assert_eq!(status["agent"]["account"], "ada@example.com");
    assert_eq!(status["agent"]["socket"], agent.socket.to_str().expect("text"));
    assert_eq!(status["error"], Value::Null);
    let page = container.out(&["status"]);
    assert!(page.contains("Signed in as ada@example.com, by an agent."), "{page}");
    let who = container.out(&["whoami"]);
    assert!(
        who.starts_with("ada@example.com (profile `default`") && who.contains("lent by the agent"),
        "{who}"
    );
    let of_the_agent = container.json(&["agent", "status"]);
    assert_eq!(of_the_agent["account"], "ada@example.com");
    assert_eq!(of_the_agent["pid"], agent.child.id());
    assert!(of_the_agent["answered"].as_u64().is_some_and(|count| count >= 3), "{of_the_agent}");
    let page = container.out(&["agent", "status"]);
    assert!(page.contains("The login of ada@example.com") && page.contains("tokens and headers"), "{page}");
    // The home of the login itself has no use for the agent.
    assert_eq!(s.json(&["status"])["agent"], Value::Null);
}

#[test]
fn many_who_ask_an_agent_at_an_ended_token_renew_once() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    // The agent looks at the login too, whenever it comes to that: its renewal is the one that there is.
    let before = token_requests(&s.server);
    s.expire();
    let patient = || container.keyfob(["token", "--wait", "60"]).spawn().expect("it starts");
    let asking: Vec<_> = (0..24).map(|_| patient()).collect();
    let tokens: Vec<String> = asking
        .into_iter()
        .map(|child| Ran::from(child.wait_with_output().expect("it ends")).answer().to_owned())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_eq!(token_requests(&s.server), before + 1);
    assert_eq!(s.token(), tokens[0]);
}

#[test]
fn an_agent_renews_before_anybody_asks() {
    let s = signed_in();
    s.wear();
    let before = token_requests(&s.server);
    let _agent = Agent::start(&s, &[]);
    until("the renewal", || (token_requests(&s.server) == before + 1).then_some(()));
    until("the new login", || (s.record()["generation"] == 2).then_some(()));
}

/// The provider is silent while the agent renews ahead: the token is good for two more minutes, and whoever asks has it.
#[test]
fn a_renewal_ahead_keeps_nobody_waiting() {
    let s = signed_in();
    let token = s.token();
    s.wear();
    s.server.hold();
    let agent = Agent::start(&s, &[]);
    until("the renewal", || (s.server.held() == 1).then_some(()));
    let container = agent.container(&s);
    for _ in 0..2 {
        let ran = Ran::from(
            container
                .keyfob(["token", "--wait", "60"])
                .spawn()
                .expect("it starts")
                .wait_with_output()
                .expect("it ends"),
        );
        assert_eq!(ran.answer(), token);
    }
    assert_eq!((s.server.held(), &s.record()["generation"]), (1, &json!(1)), "it is still held");
    s.server.release();
    until("the new login", || (s.record()["generation"] == 2).then_some(()));
}

#[test]
fn a_request_that_is_no_request_gets_an_answer_with_its_id() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let head = |lines: &str| {
        format!("POST /v1/token HTTP/1.1\r\nConnection: close\r\n{lines}Content-Length: 2\r\n\r\n{{}}")
    };
    let right = "Host: keyfob\r\nKeyfob: 1\r\n";
    assert_eq!(agent.raw(&head(right)).0, 200);
    for wrong in [
        "Host: keyfob\r\n",
        "Host: localhost\r\nKeyfob: 1\r\n",
        "Host: keyfob\r\nKeyfob: 2\r\n",
        "Host: keyfob\r\nKeyfob: 1\r\nOrigin: https://evil.example\r\n",
        "Host: keyfob\r\nKeyfob: 1\r\nX-Forwarded-For: 10.0.0.1\r\n",
    ] {
        assert_eq!(id(&agent.raw(&head(wrong))), (400, "usage"), "{wrong:?}");
    }
    let get = |path: &str| agent.raw(&format!("GET {path} HTTP/1.1\r\n{right}Connection: close\r\n\r\n"));
    assert_eq!(id(&get("/v1/token")), (405, "usage"));
    assert_eq!(id(&get("/v1/refresh-token")), (404, "usage"));
    assert_eq!(id(&get("http://keyfob/v1/status")), (400, "usage"));
    assert_eq!(get("/v1/status").0, 200);
    for (question, status) in [
        (json!({"min_valid": 60}), 200),
        (json!({"min_valid": -1}), 400),
        (json!({"audience": "https://api.example.com"}), 400),
        (json!({"rejected": "7"}), 400),
        (json!({"method": "GET", "url": "https://api.example.com/"}), 400),
        (json!([]), 400),
        (json!({"profile": "x".repeat(70_000)}), 413),
    ] {
        let answer = agent.post("/v1/token", &question);
        assert_eq!(answer.0, status, "{:.60}", question.to_string());
        assert!(status == 200 || answer.1["error"]["id"] == "usage", "{answer:?}");
    }
    // A head that is too long, and what is no HTTP, are not believed either, and the next request is served.
    assert_eq!(agent.raw(&head(&format!("{right}X: {}\r\n", "x".repeat(20_000)))).0, 431);
    assert_eq!(agent.raw("ssh-agent\r\n\r\n").0, 400);
    let two = "Content-Length: 3\r\n";
    assert_eq!(agent.raw(&head(&format!("{right}{two}"))).0, 400, "two lengths");
    assert_eq!(agent.raw(&head(right)).0, 200);
}

#[test]
fn a_narrow_door_gives_headers_for_its_hosts_and_no_token() {
    let s = signed_in();
    let base = s.server.base_url();
    let headers = |agent: &Agent, url: &str| agent.post("/v1/headers", &json!({"method": "GET", "url": url}));
    let agent = Agent::start(&s, &["--host", &base]);
    assert_eq!(id(&agent.post("/v1/token", &json!({}))), (403, "agent-refused"));
    let (status, answer) = headers(&agent, &format!("{base}/v1/whoami"));
    assert_eq!((status, &answer["headers"][0]["name"]), (200, &json!("Authorization")));
    assert_eq!(answer["headers"][0]["value"], format!("Bearer {}", s.token()));
    assert_eq!(answer.get("token"), None);
    assert_eq!(id(&headers(&agent, "https://evil.example/")), (403, "agent-refused"));
    assert_eq!(
        id(&agent.post("/v1/headers", &json!({"method": "TRACE", "url": base}))),
        (403, "agent-refused")
    );
    assert_eq!(failure(&agent.container(&s), &["token"]), (5, "agent-refused".into()));
    drop(agent);
    // Without hosts of its own it is as wide as the credential is, and no wider.
    let agent = Agent::start(&s, &["--headers-only"]);
    assert_eq!(headers(&agent, &base).0, 200);
    assert_eq!(id(&headers(&agent, "https://evil.example/")), (403, "agent-refused"));
    assert_eq!(id(&agent.post("/v1/token", &json!({}))), (403, "agent-refused"));
}

/// git names the host, and the login is of the agent's environment: the environment here, which may be another one, does not
/// say whose hosts those are.
#[test]
fn git_gets_what_an_agent_lends_for_the_agents_hosts_alone() {
    let s = signed_in();
    let config = "[environments.local]\nhosts = [\"https://git.company.example\"]\n";
    fs::write(s.path().join("keyfob/config.toml"), config).expect("ours");
    let narrow = ["--host", "https://git.company.example"];
    for words in [&[][..], &narrow] {
        let agent = Agent::start(&s, words);
        let container = agent.container(&s);
        // The environment of a container without a configuration: the provider's own.
        let ask = |host: &str| {
            let mut git = container.keyfob(["token", "--format", "git-credential", "get"]);
            git.env_remove("USE_LOCAL_OAUTH").stdin(std::process::Stdio::piped());
            let mut git = git.spawn().expect("it starts");
            let question = format!("protocol=https\nhost={host}\n\n");
            git.stdin.take().expect("a pipe").write_all(question.as_bytes()).expect("it reads");
            Ran::from(git.wait_with_output().expect("it ends"))
        };
        let own = ask("git.company.example");
        assert!(own.out.contains(&format!("password={}\n", s.token())), "{own:?}");
        // A host of the environment here, and of no login here.
        let ours = ask("api.anthropic.com");
        assert_eq!((ours.code, &*ours.out), (Some(5), ""), "{ours:?}");
        let foreign = ask("evil.example");
        assert_eq!((foreign.code, &*foreign.out, &*foreign.err), (Some(0), "", ""));
    }
}

/// Only "not for this host" is no news for a tool that asks for each of its hosts. The rest a person has to hear of, with what to
/// do about it.
#[test]
fn each_refusal_of_a_door_is_told_by_its_cause() {
    let mut s = signed_in();
    let cause = |(status, answer): (u16, Value)| {
        assert_eq!((status, &answer["error"]["id"]), (403, &json!("agent-refused")), "{answer}");
        answer["error"]["cause"].as_str().unwrap_or_default().to_owned()
    };
    let agent = Agent::start(&s, &["--host", "https://git.company.example", "--no-rejected"]);
    let asked = |more: Value| {
        let mut question = json!({"method": "GET", "url": "https://git.company.example/x"});
        question.as_object_mut().expect("ours").extend(more.as_object().expect("ours").clone());
        agent.post("/v1/headers", &question)
    };
    assert_eq!(cause(asked(json!({"url": "https://evil.example/"}))), "door-host");
    // The environment does not have it.
    assert_eq!(cause(asked(json!({}))), "door-host");
    assert_eq!(cause(asked(json!({"profile": "work"}))), "door-login");
    assert_eq!(cause(asked(json!({"environment": "production"}))), "door-login");
    assert_eq!(cause(asked(json!({"rejected": format!("{}:1", "07".repeat(16))}))), "door-rejected");
    assert_eq!(cause(agent.post("/v1/token", &json!({}))), "door-narrow");
    // Of git's hosts, one that another profile was named for.
    let container = agent.container(&s);
    let mut git = container.keyfob(["--profile", "work", "token", "--format", "git-credential", "get"]);
    let mut git = git.stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    let question = b"protocol=https\nhost=git.company.example\n\n";
    git.stdin.take().expect("a pipe").write_all(question).expect("it reads");
    let ran = Ran::from(git.wait_with_output().expect("it ends"));
    assert!(ran.code == Some(5) && ran.err.contains("open a door for that login"), "{ran:?}");
    drop(agent);

    s.set("ANTHROPIC_API_KEY", "kdev-ak-invented");
    let agent = Agent::start(&s, &[]);
    assert_eq!(cause(agent.post("/v1/token", &json!({}))), "not-lent");
}

#[test]
fn a_door_is_for_one_login_and_never_answers_for_another() {
    let s = signed_in();
    s.sign_in("work", "bob@example.com");
    let agent = Agent::start(&s, &["--profile", "work"]);
    let container = agent.container(&s);
    let token = container.token();
    assert_eq!(s.out(&["--profile", "work", "token"]).trim_end(), token);
    assert_eq!(container.out(&["--profile", "work", "token"]).trim_end(), token);
    assert_eq!(failure(&container, &["--profile", "default", "token"]), (5, "agent-refused".into()));
    let mut elsewhere = container.keyfob(["token", "--json"]);
    elsewhere.env_remove("USE_LOCAL_OAUTH").env("KEYFOB_ENVIRONMENT", "production");
    let ran = Ran::from(elsewhere.output().expect("it runs"));
    assert!(ran.code == Some(5) && ran.out.contains("agent-refused"), "{ran:?}");
}

#[test]
fn an_api_key_is_not_lent() {
    let mut s = signed_in();
    s.set("ANTHROPIC_API_KEY", "kdev-ak-invented");
    let agent = Agent::start(&s, &[]);
    let (status, answer) = agent.post("/v1/token", &json!({}));
    assert_eq!((status, &answer["error"]["id"]), (403, &json!("agent-refused")));
    assert!(!answer.to_string().contains("invented"), "{answer}");
}

/// A helper may ask a person for something, and its key is lent to nobody.
#[test]
fn an_agent_runs_no_api_key_helper() {
    let s = signed_in();
    let config = "api_key_helper = \"echo run >> $HOME/runs; echo kdev-ak-invented\"\n";
    fs::write(s.path().join("keyfob/config.toml"), config).expect("ours");
    let agent = Agent::start(&s, &[]);
    assert_eq!(id(&agent.post("/v1/token", &json!({}))), (403, "agent-refused"));
    assert_eq!(s.run(&["exec", "--agent", "--", "true"]).code, Some(5));
    assert!(!s.path().join("runs").exists());
    s.token();
    assert!(s.path().join("runs").exists(), "a command runs it");
}

#[test]
fn with_a_login_at_hand_no_agent_is_asked() {
    let mut s = signed_in();
    s.set("KEYFOB_AGENT", "/nowhere/agent.sock");
    s.token();
    s.set("KEYFOB_AGENT", "not even a path");
    s.token();
}

#[test]
fn an_agent_that_does_not_answer_is_told_with_a_way_out() {
    let s = signed_in();
    let mut container = Home::empty(&s.server);
    let socket = s.path().join("doors/agent.sock");
    container.set("KEYFOB_AGENT", socket.to_str().expect("text"));
    assert_eq!(failure(&container, &["token"]), (6, "agent-absent".into()));
    let ran = container.run(&["token"]);
    assert!(ran.err.contains("`keyfob agent`") && ran.err.contains("does not answer"), "{ran:?}");
    assert_eq!(container.run(&["status"]).code, Some(6));
    assert_eq!(failure(&container, &["agent", "status"]), (6, "agent-absent".into()));
    // Something else that listens there is no agent.
    fs::create_dir(socket.parent().expect("a directory")).expect("ours");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut some = [0; 16];
        let _ = stream.read(&mut some);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n").expect("it reads");
    });
    assert_eq!(failure(&container, &["token"]), (6, "agent-absent".into()));
    other.join().expect("it answered");
}

#[test]
fn a_repository_brings_no_agent_and_neither_does_a_relative_path() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    let repository = container.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let planted = repository.join("agent.sock");
    fs::hard_link(&agent.socket, &planted).expect("the same socket");
    for named in [planted.to_str().expect("text"), "agent.sock"] {
        let mut command = container.keyfob(["token", "--json"]);
        let ran =
            Ran::from(command.current_dir(&repository).env("KEYFOB_AGENT", named).output().expect("it runs"));
        assert!(ran.code == Some(3) && ran.out.contains("agent-unsafe"), "{named}: {ran:?}");
    }
    // Nor does one listen there.
    let path = repository.join("own.sock");
    let mut listening = s.keyfob(["agent", "--socket", path.to_str().expect("text")]);
    let ran = Ran::from(listening.current_dir(&repository).output().expect("it ends"));
    assert!(ran.code == Some(3) && ran.err.contains("outside the repository"), "{ran:?}");
}

#[test]
fn a_socket_is_made_where_nobody_else_can_go() {
    let s = signed_in();
    let open = s.path().join("open");
    fs::create_dir(&open).expect("ours");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("ours");
    let path = open.join("agent.sock");
    let words = ["agent", "--socket", path.to_str().expect("text")];
    let ran = s.run(&words);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.err.contains("other users can enter it") && ran.err.contains("made for you alone"),
        "{ran:?}"
    );
    fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).expect("ours");
    let agent = Agent::begin(&s, &path, &[]);
    // There is one already, and it goes on.
    let second = s.run(&words);
    assert!(second.code == Some(2) && second.err.contains("another agent listens there"), "{second:?}");
    assert_eq!(agent.container(&s).token(), s.token());
}

#[test]
fn a_killed_agent_is_started_again_and_a_stopped_one_leaves_nothing() {
    let s = signed_in();
    let mut agent = Agent::start(&s, &[]);
    agent.child.kill().and_then(|()| agent.child.wait()).expect("ours");
    assert!(agent.socket.exists(), "a killed one cannot clean up");
    let container = agent.container(&s);
    assert_eq!(failure(&container, &["token"]).0, 6);
    let mut agent = Agent::start(&s, &[]);
    assert_eq!(container.token(), s.token());
    agent.signal("-TERM");
    assert!(agent.child.wait().expect("it ends").success());
    assert!(!agent.socket.exists());
    // Everything works without it where the login is.
    s.token();
}

#[test]
fn a_door_closes_when_its_time_is_over() {
    let s = signed_in();
    let mut agent = Agent::start(&s, &["--lifetime", "1"]);
    assert!(agent.child.wait().expect("it ends").success());
    assert!(!agent.socket.exists());
}

#[test]
fn a_login_that_a_person_has_to_renew_is_told_through_the_agent() {
    let s = Sandbox::new();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    assert_eq!(failure(&container, &["token"]), (4, "login-needed".into()));
    let told = container.run(&["token"]);
    assert!(told.err.contains("hint:  where the agent runs: "), "{told:?}");
    assert_eq!(container.run(&["agent", "status"]).code, Some(4));
    // Whoever signs in there helps everybody, and the agent is not started again.
    s.sign_in("default", "ada@example.com");
    assert_eq!(container.token(), s.token());
}

#[test]
fn the_log_says_who_had_what_and_holds_no_token() {
    let s = signed_in();
    let log = s.path().join("access.jsonl");
    let agent = Agent::start(&s, &["--log", log.to_str().expect("text")]);
    assert_eq!(agent.post("/v1/token", &json!({})).0, 200);
    assert_eq!(
        agent.post("/v1/headers", &json!({"method": "GET", "url": "https://evil.example/x?y"})).0,
        403
    );
    let text = fs::read_to_string(&log).expect("a log");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let own = fs::metadata(&log).expect("ours");
    assert_eq!(own.mode() & 0o777, 0o600);
    assert_eq!((&lines[0]["door"], &lines[0]["uid"]), (&json!("agent"), &json!(own.uid())));
    assert_eq!((&lines[0]["path"], &lines[0]["status"]), (&json!("/v1/token"), &json!(200)));
    assert_eq!(lines[0]["login"], s.record()["login"]);
    #[cfg(target_os = "linux")]
    assert_eq!(lines[0]["pid"], std::process::id());
    assert_eq!(
        (&lines[1]["origin"], &lines[1]["error"]),
        (&json!("https://evil.example"), &json!("agent-refused"))
    );
    assert!(!text.contains(&s.token()), "{text}");
}

#[test]
fn the_answers_of_an_agent_are_not_kept_and_say_the_scheme() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let mut stream = UnixStream::connect(&agent.socket).expect("it listens");
    // Two questions on one connection.
    for last in [false, true] {
        let close = if last { "Connection: close\r\n" } else { "" };
        let request = format!(
            "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\n{close}Content-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("text");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(answers.to_ascii_lowercase().matches("cache-control: no-store").count(), 2);
    assert_eq!(answers.matches("\"scheme\":\"Bearer\"").count(), 2);
    for kept in ["refresh_token", s.record()["refresh_token"].as_str().expect("one")] {
        assert!(!answers.contains(kept), "{kept}");
    }
}

/// Real programs: curl asks, and another user's curl gets nothing but the reason.
#[cfg(feature = "tools")]
#[test]
fn curl_is_a_client_and_another_users_curl_is_none() {
    use std::os::unix::process::CommandExt as _;
    const STRANGER: u32 = 65534;

    let s = signed_in();
    let dir = tempfile::Builder::new().prefix("keyfob-doors-").tempdir_in("/tmp").expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let socket = dir.path().join("for-all.sock");
    let curl = |uid: Option<u32>| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-H", "Keyfob: 1", "-d", "{}", "--unix-socket"]).arg(&socket);
        command.arg("http://keyfob/v1/token").current_dir("/");
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let output = command.output().expect("curl, and the right to be another user");
        serde_json::from_slice::<Value>(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    // A door for somebody else: the socket can be reached by all, and whoever is not named is told so.
    let agent = Agent::begin(&s, &socket, &["--for-uid", "4711"]);
    assert_eq!(curl(None)["token"], s.token());
    assert_eq!(curl(Some(STRANGER))["error"]["id"], "agent-refused");
    assert_eq!(curl(Some(4711))["token"], s.token());
    drop(agent);
}
