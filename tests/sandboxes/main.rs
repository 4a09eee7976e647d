//! The agent, asked from where programs are locked up: by other users, in user and network namespaces, in bubblewrap, and over ssh. Run
//! with `cargo test -p keyfob-tests --features sandboxes --test sandboxes`, as CI does: needs root, curl, util-linux, bubblewrap, OpenSSH,
//! npm, socat and ripgrep.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

mod runtime;
mod ssh;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
};

use keyfob_testkit::{Ran, Sandbox, program, until};
use serde_json::Value;
use tempfile::TempDir;

/// A user that the door is open to, and one that it is not.
const FRIEND: u64 = 4711;
const STRANGER: u64 = 4712;
/// The one who runs the agent: these tests are root's, who can become anybody.
const ROOT: u64 = 0;

/// What stands for all users without a number in a namespace.
const OVERFLOW: u64 = 65534;

/// Where bubblewrap shows the directory of the agent's socket.
const DOORS_INSIDE: &str = "/tmp/doors";

/// An agent whose socket everybody can reach, and which answers one more user than its own.
struct Stage {
    s: Sandbox,
    doors: TempDir,
    agent: Child,
}

impl Stage {
    fn new() -> Self {
        Self::within(&[], &[])
    }

    /// With these words before the command, and further options.
    fn within(before: &[String], options: &[&str]) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests become other users, as root alone can");
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        // Not below a directory that is somebody's alone, as the sandbox is.
        let doors = tempfile::Builder::new().prefix("keyfob-doors-").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(doors.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let mut command = match before {
            [] => s.keyfob(["agent"]),
            [first, more @ ..] => {
                let mut command = s.command(first);
                command.args(more).args([program(), "agent"]);
                command
            }
        };
        command.args(["--for-uid", &FRIEND.to_string()]).args(options).arg("--log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.arg(s.path().join("log")).arg("--socket").arg(doors.path().join("a.sock"));
        let mut agent = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(agent.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        if line.is_empty() {
            let mut why = String::new();
            let _ = agent.stderr.take().expect("a pipe").read_to_string(&mut why);
            panic!("it did not listen: {why}");
        }
        Self { s, doors, agent }
    }

    fn socket(&self) -> String {
        self.in_doors("a.sock")
    }

    fn in_doors(&self, name: &str) -> String {
        self.doors.path().join(name).into_os_string().into_string().expect("text")
    }

    /// What these words get, which start curl: the answer, and by the agent's log whom it saw and with what status.
    fn ask(&self, words: &[String]) -> (Value, u64, u64) {
        let (answer, line) = self.answer(words);
        (answer, line["uid"].as_u64().expect("a uid"), line["status"].as_u64().expect("one"))
    }

    /// The same with the whole line of the log.
    fn answer(&self, words: &[String]) -> (Value, Value) {
        // One who may not ask is waited for five seconds: a curl that the machine stopped for as long has no answer, and asks again.
        let answer = until("an answer", || {
            let ran = Ran::from(Command::new("env").args(words).current_dir("/").output().expect("env runs"));
            assert!(ran.code == Some(0) || ran.err.contains("(52)") || ran.err.contains("(56)"), "{ran:?}");
            serde_json::from_str(&ran.out).ok()
        });
        // It is written before the answer is, and nobody else asks.
        let log = fs::read_to_string(self.s.path().join("log")).expect("the log");
        (answer, serde_json::from_str(log.lines().last().expect("a line")).expect("JSON"))
    }

    /// Who asked, and what became of it.
    fn log(&self) -> Vec<(u64, u64)> {
        let log = fs::read_to_string(self.s.path().join("log")).expect("the log");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .map(|line| (line["uid"].as_u64().expect("a uid"), line["status"].as_u64().expect("one")))
            .collect()
    }

    fn is_answered(&self, uid: u64, before: &[String], socket: &str) {
        let (answer, seen, status) = self.ask(&[before, &curl(socket)].concat());
        assert_eq!(answer["token"], self.s.token(), "{before:?}");
        assert_eq!((seen, status), (uid, 200), "{before:?}");
    }

    fn is_refused(&self, uid: u64, before: &[String], socket: &str) {
        let (answer, seen, status) = self.ask(&[before, &curl(socket)].concat());
        assert_eq!(answer["error"]["id"], "agent-refused", "{before:?}");
        assert!(!answer.to_string().contains(&self.s.token()), "{before:?}");
        assert_eq!((seen, status), (uid, 403), "{before:?}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    words.into_iter().map(Into::into).collect()
}

fn curl(socket: &str) -> Vec<String> {
    let head = ["curl", "-sS", "-H", "Keyfob: 1", "-d", "{}", "--unix-socket", socket];
    words(head.into_iter().chain(["http://keyfob/v1/token"]))
}

fn as_user(uid: u64) -> Vec<String> {
    let uid = &uid.to_string();
    words(["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"])
}

/// root in a user namespace of one's own.
fn as_a_root_of_ones_own() -> Vec<String> {
    words(["unshare", "-Ur"])
}

/// bubblewrap with nothing of this machine but its programs: no network, no home, no processes.
fn bubblewrap() -> Vec<String> {
    let mut found = words(["bwrap", "--unshare-all", "--die-with-parent"]);
    for directory in ["/usr", "/bin", "/lib", "/lib64"] {
        found.extend(words(["--ro-bind-try", directory, directory]));
    }
    found.extend(words(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]));
    found
}

/// The same, with the command in it and an empty home.
fn bubblewrap_with_keyfob() -> Vec<String> {
    let mut found = bubblewrap();
    found.extend(words([
        "--ro-bind",
        program(),
        "/tmp/keyfob",
        "--dir",
        "/tmp/home",
        "--chdir",
        "/tmp/home",
    ]));
    found.extend(words(["--setenv", "HOME", "/tmp/home", "--setenv", "KEYFOB_HOME", "/tmp/home/none"]));
    found
}

#[test]
fn the_kernel_says_who_asks_whatever_a_namespace_calls_him() {
    let stage = Stage::new();
    let socket = &stage.socket();
    stage.is_answered(FRIEND, &as_user(FRIEND), socket);
    stage.is_refused(STRANGER, &as_user(STRANGER), socket);
    // There they are root, and stay who they are.
    let disguised = |uid| [as_user(uid), as_a_root_of_ones_own()].concat();
    stage.is_answered(FRIEND, &disguised(FRIEND), socket);
    stage.is_refused(STRANGER, &disguised(STRANGER), socket);
    stage.is_answered(ROOT, &as_a_root_of_ones_own(), socket);
}

/// In a user namespace all users without a number there are shown by one, and a door that names it is open to none of them.
#[test]
fn a_user_without_a_number_may_be_anybody_and_is_nobody() {
    let unmapped = OVERFLOW.to_string();
    let stage = Stage::within(&words(["unshare", "-Ur"]), &["--for-uid", &unmapped]);
    let ask = |before: Vec<String>| {
        let (answer, _) = stage.answer(&[before, curl(&stage.socket())].concat());
        (answer["error"]["id"].clone(), answer["error"]["why"].clone(), answer.to_string())
    };
    for stranger in [FRIEND, STRANGER, OVERFLOW] {
        let (id, why, all) = ask(as_user(stranger));
        assert_eq!(id, "agent-refused", "{all}");
        assert_eq!(why, "it is not open to a user that the system does not tell");
        assert!(!all.contains(&stage.s.token()), "{all}");
    }
    // Its own user has one there.
    assert!(ask(Vec::new()).2.contains(&stage.s.token()));
}

/// An agent whose own user has no number would take everybody for him; so would a client at somebody's socket.
#[test]
fn without_a_number_of_its_own_nobody_serves_and_nobody_is_believed() {
    let stage = Stage::new();
    for namespace in [&["unshare", "-U"][..], &["unshare", "-U", "--map-user=65534"]] {
        let socket = stage.in_doors("other.sock");
        let mut command = stage.s.command(namespace[0]);
        command.args(&namespace[1..]).args([program(), "agent", "--for-uid", "4711", "--socket", &socket]);
        let ran = Ran::from(command.output().expect("it ends"));
        assert!(ran.code == Some(3) && ran.err.contains("whoever asks could be anybody"), "{ran:?}");
        assert!(ran.err.contains("--map-current-user") && ran.out.is_empty(), "{ran:?}");

        let mut command = stage.s.command(namespace[0]);
        command.args(&namespace[1..]).args([program(), "token"]).env("KEYFOB_AGENT", stage.socket());
        let ran =
            Ran::from(command.env("KEYFOB_HOME", stage.s.path().join("none")).output().expect("it ends"));
        assert!(ran.code == Some(3) && ran.out.is_empty(), "{ran:?}");
        assert!(ran.err.contains("neither you nor root"), "{ran:?}");
    }
}

#[test]
fn the_kernel_says_who_asks_from_bubblewrap() {
    let stage = Stage::new();
    let doors = stage.in_doors("");
    let inside = |uid, more: &[&str]| {
        let bind = words(["--bind", &doors, DOORS_INSIDE].into_iter().chain(more.iter().copied()));
        [as_user(uid), bubblewrap(), bind].concat()
    };
    let socket = &format!("{DOORS_INSIDE}/a.sock");
    stage.is_answered(FRIEND, &inside(FRIEND, &[]), socket);
    stage.is_refused(STRANGER, &inside(STRANGER, &[]), socket);
    stage.is_refused(STRANGER, &inside(STRANGER, &["--uid", &FRIEND.to_string()]), socket);
    stage.is_refused(STRANGER, &inside(STRANGER, &["--uid", &ROOT.to_string()]), socket);
}

#[test]
fn without_a_network_the_socket_is_enough() {
    let stage = Stage::new();
    let mut command = stage.s.command("unshare");
    command.args(["-n", program(), "token"]).env("KEYFOB_AGENT", stage.socket());
    let ran = Ran::from(command.env("KEYFOB_HOME", stage.s.path().join("none")).output().expect("unshare"));
    assert_eq!(ran.out.trim_end(), stage.s.token(), "{ran:?}");

    let mut found = bubblewrap_with_keyfob();
    found.extend(words(["--bind", &stage.in_doors(""), DOORS_INSIDE]));
    found.extend(words(["--setenv", "KEYFOB_AGENT", &format!("{DOORS_INSIDE}/a.sock")]));
    found.extend(words(["/tmp/keyfob", "token"]));
    let ran = Ran::from(stage.s.command("env").args(found).output().expect("env runs"));
    assert_eq!(ran.out.trim_end(), stage.s.token(), "{ran:?}");
    assert_eq!(stage.log(), [(ROOT, 200), (ROOT, 200)]);
}

/// No path leads out, and no login in; what it inherited is the way.
#[test]
fn a_sandbox_asks_the_agent_it_inherited() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let mut command = s.keyfob(["exec", "--agent", "--"]);
    command.args(bubblewrap_with_keyfob());
    command.args(["sh", "-c", "/tmp/keyfob token; find /tmp ! -type d; env"]);
    let ran = Ran::from(command.output().expect("it runs"));
    let mut lines = ran.out.lines();
    assert_eq!(lines.next(), Some(&*s.token()), "{ran:?}");
    assert_eq!(lines.next(), Some("/tmp/keyfob"), "{ran:?}");
    let environment: Vec<_> = lines.collect();
    assert!(environment.iter().any(|line| line.starts_with("KEYFOB_AGENT=fd:")), "{ran:?}");
    assert!(!environment.iter().any(|line| line.starts_with('/') || line.contains(&s.token())), "{ran:?}");
}
