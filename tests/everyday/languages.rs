//! The packages for Python, Node, Go and Ruby, each with the real command and the real provider: the transcript, an end, a 401,
//! a process that dies, and what nobody may see. `packages/LANGUAGE/tests` has for each a driver that does what it is told.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

mod types;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use keyfob_testkit::{Sandbox, token_requests, until};
use serde_json::{Value, json};

use crate::transcript::{self, Asker};

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages").canonicalize().expect("the packages")
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Python,
    Node,
    Go,
    Ruby,
}

impl Language {
    /// The driver, for this program in the place of keyfob.
    fn driver(self, s: &Sandbox, program: &Path) -> Command {
        let within = |path: &str| packages().join(path);
        let mut command = match self {
            Self::Python => {
                let mut command = s.command("python3");
                command.env("PYTHONPATH", within("python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
                command.args(["-W", "error"]).arg(within("python/tests/driver.py"));
                command
            }
            Self::Node => {
                let mut command = s.command("node");
                command.arg(within("node/tests/driver.mjs"));
                command
            }
            Self::Go => s.command(built_by_go()),
            Self::Ruby => {
                let mut command = s.command("ruby");
                command.env("LC_ALL", "C.UTF-8").arg("-w").arg(within("ruby/tests/driver.rb"));
                command
            }
        };
        command.arg(program).stdin(Stdio::piped()).stderr(Stdio::inherit());
        command
    }
}

/// Where its own files go, and no network.
fn go_apart(go: &mut Command) -> &mut Command {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages-go");
    go.env("GOCACHE", place.join("cache")).env("GOPATH", place.join("path")).env("CGO_ENABLED", "0");
    go.env("GOPROXY", "off").env("GOFLAGS", "-mod=mod -buildvcs=false")
}

/// Built once, without a network: the package has no dependencies.
fn built_by_go() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages-go");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(place.join("driver")).arg("./internal/driver");
        go_apart(&mut go).current_dir(packages().join("go"));
        let vetted = go.output().expect("go is installed");
        assert!(vetted.status.success(), "{}", String::from_utf8_lossy(&vetted.stderr));
        place.join("driver")
    })
}

/// Nobody may be there to collect what has ended.
fn runs(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Far more than anything here takes: what has not ended by then never does.
const DEADLINE: Duration = Duration::from_secs(300);

/// Waits for what this process, the first of a group, does. The group is killed at the deadline, which ends the waiting.
fn at_most<T>(id: u32, wait: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    let watch = thread::spawn(move || {
        let is_late = is_done.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
        if is_late {
            let _ = Command::new("kill").args(["-9", "--", &format!("-{id}")]).status();
        }
        is_late
    });
    let waited = wait();
    drop(done);
    assert!(!watch.join().expect("a watch"), "it was killed after {DEADLINE:?}");
    waited
}

/// A program in that language, which has the package.
struct Driver {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(mut command: Command) -> Self {
        let mut child = command.process_group(0).spawn().expect("the language is installed");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    fn does(&mut self, act: &Value) -> Value {
        let mut line = String::new();
        at_most(self.child.id(), || {
            self.input.write_all(format!("{act}\n").as_bytes()).expect("it reads");
            self.output.read_line(&mut line).expect("a line");
        });
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{act}: {error}: {line:?}"))
    }

    fn get(&mut self) -> Value {
        self.does(&json!(["get", {}]))
    }

    /// The processes that it has started and that are running.
    fn started(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        let all: Vec<u32> = children
            .flat_map(|all| all.split(' ').filter_map(|id| id.trim().parse().ok()).collect::<Vec<_>>())
            .collect();
        all.into_iter().filter(|id| runs(*id)).collect()
    }

    /// Ends it. What it has started ends with it.
    fn end(self) {
        let started = self.started();
        let Self { mut child, input, .. } = self;
        drop(input);
        assert!(at_most(child.id(), || child.wait()).expect("it ends").success());
        for id in started {
            until("keyfob to end with it", || (!runs(id)).then_some(()));
        }
    }
}

struct Client {
    language: Language,
    driver: Option<Driver>,
}

impl Asker for Client {
    fn begin(&mut self, s: &Sandbox, variables: &BTreeMap<String, String>) {
        let mut command = self.language.driver(s, Path::new(keyfob_testkit::program()));
        command.envs(variables);
        self.driver = Some(Driver::start(command));
    }

    /// What the package has a way to ask.
    fn ask(&mut self, question: &Value) -> Option<Value> {
        let mut wanted = question.as_object()?.clone();
        if wanted.remove("v") != Some(json!(1))
            || wanted.contains_key("ask")
            || wanted.contains_key("audience")
        {
            return None;
        }
        wanted.remove("id");
        Some(self.driver.as_mut()?.does(&json!(["get", wanted])))
    }

    fn say(&mut self, _: &str) -> Option<Value> {
        None
    }

    /// Go has a type for headers that are lists. The others join them (RFC 9110 §5.3).
    fn expects(&self, mut answer: Value) -> Value {
        let members = answer.as_object_mut().expect("an answer");
        members.retain(|name, _| name != "v" && name != "id");
        if self.language != Language::Go
            && let Some(headers) = members.get_mut("headers").and_then(Value::as_object_mut)
        {
            for value in headers.values_mut() {
                *value = value[0].clone();
            }
        }
        answer
    }

    fn end(&mut self) -> Option<i32> {
        self.driver.take().expect("begun").end();
        None
    }
}

fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

fn executable(path: &Path, text: &str) {
    keyfob_testkit::script(path, &format!("#!/bin/sh\n{text}\n"));
}

/// A program in the place of keyfob whose answers are so long that pipes are full, with a key for a header of its own.
const LONG: &str = r#"exec python3 -c '
import json, sys
for line in sys.stdin:
    answer = dict.fromkeys(("handle", "profile", "expires_at", "expires_in"))
    answer.update(v=1, id=json.loads(line)["id"], headers={"X-Api-Key": ["t"]}, token="t", kind="access", source="long", later="x" * 4096)
    print(json.dumps(answer), flush=True)
'"#;

/// What is only so with other programs in keyfob's place.
fn works_with_long_answers(language: Language, s: &Sandbox) {
    let long = s.path().join("long");
    executable(&long, LONG);
    let mut driver = Driver::start(language.driver(s, &long));
    let many = driver.does(&json!(["many", 3000]));
    let many = many.as_array().expect("answers");
    assert!(many.len() == 3000 && many.iter().all(|one| one["token"] == "t"), "{many:?}");
    match language {
        Language::Python => {
            // Closed again and again while others ask: they get an answer, or an error of the package.
            let said = driver.does(&json!(["close", 120]));
            let said = said.as_array().expect("answers");
            assert_eq!(said.len(), 120);
            assert!(
                said.iter().all(|one| one["token"] == "t" || one["error"]["id"] == "keyfob-ended"),
                "{said:?}"
            );
            assert_eq!(driver.get()["token"], "t");
        }
        Language::Node => {
            let url = format!("{}/v1/whoami", s.server.base_url());
            let before = s.server.requests().len();
            assert_eq!(driver.does(&json!(["follow", url])), json!("TypeError"));
            assert_eq!(s.server.requests().len(), before, "nothing was sent");
        }
        // "a" is a part of "ab", and no member of the list.
        Language::Go => {
            assert_eq!(driver.does(&json!(["put", ["ab, c"], ["a", "c", "ab"]])), json!(["ab, c", "a"]));
            refuses_a_relative_entry_of_path(s);
        }
        Language::Ruby => {}
    }
    driver.end();
}

/// Without a program, the driver of Go looks for it in PATH.
fn refuses_a_relative_entry_of_path(s: &Sandbox) {
    let place = s.path().join("checkout");
    fs::create_dir_all(&place).expect("ours");
    executable(&place.join("keyfob"), "exit 9");
    let mut command = Language::Go.driver(s, Path::new(""));
    command.env("PATH", ".:/usr/bin:/bin").current_dir(&place);
    let mut driver = Driver::start(command);
    let said = driver.get();
    assert_eq!(said["error"]["id"], "keyfob-missing", "{said}");
    assert!(said["error"]["why"].as_str().is_some_and(|why| why.contains("relative")), "{said}");
    driver.end();
}

/// What the package's page shows first, with the command under the name by which the package finds it.
fn page_shows_what_works(language: Language, s: &Sandbox) {
    let (name, fence, file) = match language {
        Language::Python => ("python", "python", "main.py"),
        Language::Node => ("node", "js", "main.mjs"),
        Language::Go => ("go", "go", "main.go"),
        Language::Ruby => ("ruby", "ruby", "main.rb"),
    };
    let page = fs::read_to_string(packages().join(name).join("README.md")).expect("a page");
    let shown = page
        .split(&format!("```{fence}\n"))
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let place = s.path().join("example");
    fs::create_dir_all(place.join("node_modules")).expect("ours");
    fs::write(place.join(file), shown.replace("http://localhost:3000", &s.server.base_url())).expect("ours");
    let bin = s.path().join("bin");
    fs::create_dir_all(&bin).expect("ours");
    symlink(keyfob_testkit::program(), bin.join("keyfob")).expect("ours");
    // A relative entry of PATH is passed over, whatever is there; in Go it is an error, as with its own `exec.LookPath`.
    let relative = if language == Language::Go { "" } else { ".:" };
    executable(&place.join("keyfob"), "exit 9");
    let mut command = match language {
        Language::Python => {
            let mut command = s.command("python3");
            command.env("PYTHONPATH", packages().join("python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
            command
        }
        Language::Node => {
            let module = place.join("node_modules/keyfob");
            symlink(packages().join("node"), module).expect("ours");
            s.command("node")
        }
        Language::Go => {
            let ours = packages().join("go");
            let module = format!(
                "module example\n\ngo 1.19\n\nrequire project.invalid/keyfob v0.0.0\n\nreplace project.invalid/keyfob => {}\n",
                ours.display()
            );
            fs::write(place.join("go.mod"), module).expect("ours");
            let mut command = s.command("go");
            go_apart(&mut command).arg("run");
            command
        }
        Language::Ruby => {
            let mut command = s.command("ruby");
            command.arg("-I").arg(packages().join("ruby/lib"));
            command
        }
    };
    command
        .env("PATH", format!("{relative}{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .current_dir(&place);
    command.arg(file).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the language is installed");
    let output = at_most(child.id(), || child.wait_with_output()).expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((out.trim(), output.status.code()), ("200", Some(0)), "{file}: {err}");
}

/// Everything that has to be so in any language.
fn works(language: Language) {
    assert!(transcript::run(&mut Client { language, driver: None }) > 12);

    let s = signed_in();
    page_shows_what_works(language, &s);
    let asked_before = s.server.requests().iter().filter(|request| request.path == "/v1/whoami").count();
    let program = Path::new(keyfob_testkit::program());
    let mut driver = Driver::start(language.driver(&s, program));
    let first = driver.get();
    s.expire();
    let before = token_requests(&s.server);
    let many = driver.does(&json!(["many", 60]));
    let tokens: BTreeSet<_> =
        many.as_array().expect("answers").iter().map(|one| one["token"].as_str()).collect();
    assert_eq!(tokens.len(), 1, "{many}");
    assert!(!tokens.contains(&first["token"].as_str()), "it had ended");
    assert_eq!(token_requests(&s.server), before + 1);
    assert_eq!(driver.started().len(), 1, "one process for all of them");

    // By the provider's clock it has ended, by this machine's it has not: only the 401 says so.
    let url = format!("{}/v1/whoami", s.server.base_url());
    s.server.advance(12 * 3600);
    if language != Language::Python {
        assert_eq!(driver.does(&json!(["fetch", "", url])), json!(200));
        let seen = s.server.requests().iter().filter(|request| request.path == "/v1/whoami").count();
        assert_eq!(seen, asked_before + 2, "the rejected request and the accepted one");
        assert_eq!(token_requests(&s.server), before + 2);
    }
    if language == Language::Node {
        assert_eq!(driver.does(&json!(["follow", url])), json!(200), "`Authorization` alone");
        // A body that was read from a stream is sent once. The next request has the new credential.
        s.server.advance(12 * 3600);
        let takes_post = format!("{}/oauth/userinfo", s.server.base_url());
        assert_eq!(driver.does(&json!(["stream", takes_post])), json!(401));
        assert_eq!(token_requests(&s.server), before + 3);
        let seen = s.server.requests().iter().filter(|request| request.path == "/oauth/userinfo").count();
        assert_eq!(seen, 1, "once");
    }

    // It is killed, and a new one answers.
    for id in driver.started() {
        assert!(Command::new("kill").args(["-9", &id.to_string()]).status().expect("it runs").success());
        until("it to be gone", || (!runs(id)).then_some(()));
    }
    let after = driver.get();
    assert!(after["token"].is_string(), "{after}");
    if matches!(language, Language::Python | Language::Ruby) {
        assert_eq!(
            driver.does(&json!(["fork", {}]))["handle"],
            after["handle"],
            "in a process that was forked"
        );
        assert_eq!(driver.get()["handle"], after["handle"], "and here as before");
    }

    let shown = driver.does(&json!(["shown"])).to_string();
    let token = after["token"].as_str().expect("a token");
    assert!(shown.contains(after["handle"].as_str().expect("a handle")) && !shown.contains(token), "{shown}");
    driver.end();

    // What is no keyfob, or one of a later version.
    let fake = |name: &str, text: &str| {
        let path = s.path().join(name);
        executable(&path, text);
        path
    };
    let later = r#"{"v":1,"id":1,"headers":{"X":["a"]},"token":"t","kind":"access","source":"new","handle":null,"profile":null,"expires_at":null,"expires_in":null,"later":{}}"#;
    let says = format!(
        "read -r line; echo garbage; echo null; echo '[7]'; echo '{{\"id\":99}}'; echo '{later}'; read -r line"
    );
    let mut driver = Driver::start(language.driver(&s, &fake("later", &says)));
    let said = driver.get();
    assert_eq!((&said["token"], &said["source"]), (&json!("t"), &json!("new")), "{said}");
    driver.end();
    for (path, id) in [(fake("ends", "exit 3"), "keyfob-ended"), (s.path().join("absent"), "keyfob-missing")]
    {
        let mut driver = Driver::start(language.driver(&s, &path));
        let said = driver.get();
        assert_eq!(said["error"]["id"], id, "{said}");
        assert!(said["error"]["hint"].is_string(), "{said}");
        driver.end();
    }
    gives_way_when_silent(language, &s);
    works_with_long_answers(language, &s);
}

/// A launcher that never answers and whose own child holds its pipes when it is killed: who asks is told so, and the next question
/// starts another one.
fn gives_way_when_silent(language: Language, s: &Sandbox) {
    let (launcher, was) = (s.path().join("silent"), s.path().join("was-silent"));
    let holds = "read -r line; (while read -r line; do :; done); :";
    executable(
        &launcher,
        &format!("if [ -e {was} ]; then {LONG}; fi\n: > {was}\n{holds}", was = was.display()),
    );
    let mut driver = Driver::start(language.driver(s, &launcher));
    // A second: each waits a fixed while longer than it is told. On a busy machine that may be over before the launcher has begun.
    let wait = if language == Language::Go { -29 } else { -19 };
    while !was.exists() {
        let said = driver.does(&json!(["get", { "wait": wait }]));
        let told = (&said["error"]["id"], &said["error"]["exit_code"]);
        assert_eq!(told, (&json!("keyfob-silent"), &json!(6)), "{said}");
    }
    let said = driver.get();
    assert_eq!(said["token"], "t", "{said}");
    driver.end();
}

#[test]
fn python_works() {
    works(Language::Python);
}

#[test]
fn node_works() {
    works(Language::Node);
}

#[test]
fn go_works() {
    works(Language::Go);
}

#[test]
fn ruby_works() {
    works(Language::Ruby);
}

/// httpx, requests and the SDKs of Anthropic and OpenAI, from PyPI, by `packages/python/tests/requirements.txt`.
#[cfg(feature = "libraries")]
#[test]
fn python_libraries_send_it_and_renew_after_a_401() {
    let s = signed_in();
    let venv = s.path().join("venv");
    let run = |command: &mut Command| {
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&venv));
    let requirements = packages().join("python/tests/requirements.txt");
    run(Command::new(venv.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--no-compile",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "-r",
        ])
        .arg(requirements));
    let mut command = s.command(venv.join("bin/python"));
    command.env("PYTHONPATH", packages().join("python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(packages().join("python/tests/driver.py")).arg(keyfob_testkit::program());
    command.stdin(Stdio::piped()).stderr(Stdio::inherit());
    let mut driver = Driver::start(command);
    let url = format!("{}/v1/whoami", s.server.base_url());
    let before = token_requests(&s.server);
    for (renewals, library) in ["requests", "httpx", "httpx in asyncio", "anthropic"].iter().enumerate() {
        let first = driver.does(&json!(["fetch", library, url]));
        assert_eq!(token_requests(&s.server), before + renewals, "{library}: it was accepted");
        // By the provider's clock it has ended: only the 401 says so.
        s.server.advance(12 * 3600);
        assert_eq!(driver.does(&json!(["fetch", library, url])), first, "{library}");
        assert_eq!(token_requests(&s.server), before + renewals + 1, "{library}: one renewal");
    }
    // Requests that overlapped have a 401 each for the same token: one renewal, and what came of it is kept.
    let said = driver.does(&json!(["fetch", "anthropic, two 401s for one token", url]));
    assert!(said[0] != said[1] && said[1] == said[2] && said[2] == said[3], "{said}");
    // OpenAI's asks before every request, and tells of no 401.
    let token = driver.get()["token"].clone();
    assert!(driver.does(&json!(["fetch", "openai", url])).is_string());
    s.expire();
    assert!(driver.does(&json!(["fetch", "openai", url])).is_string());
    assert_ne!(driver.get()["token"], token);
    // Another host gets nothing, and the error says so.
    let other = Sandbox::new();
    let foreign = driver.does(&json!(["get", { "uri": other.server.base_url() }]));
    assert_eq!(foreign["error"]["id"], "url-not-approved", "{foreign}");
    driver.end();
}
