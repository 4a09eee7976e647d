//! Several doors in one agent, as the configuration describes them.

use std::{
    fs,
    io::Write as _,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixListener},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keyfob_testkit::{Home, Ran, Sandbox, program};
use serde_json::Value;

use crate::agent::{failure, signed_in, wait_for_sockets};

/// An agent that was started without options. It ends with the test.
struct Doors(Child);

impl Drop for Doors {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configure(s: &Sandbox, text: &str) {
    let path = s.path().join("keyfob/config.toml");
    fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
    fs::write(path, text).expect("ours");
}

/// Starts it, and waits for as many sockets as there are.
fn start(command: &mut Command, sockets: &[&Path]) -> Doors {
    let mut child = command.spawn().expect("it starts");
    wait_for_sockets(&mut child, sockets);
    Doors(child)
}

/// A home without a login that knows of this door.
fn behind(s: &Sandbox, socket: &Path) -> Home {
    let mut home = Home::empty(&s.server);
    home.set("KEYFOB_AGENT", socket.to_str().expect("text"));
    home
}

fn sockets(s: &Sandbox) -> [PathBuf; 2] {
    ["plain", "work"].map(|name| s.path().join(format!("doors/{name}.sock")))
}

#[test]
fn one_agent_opens_every_door_of_the_configuration() {
    let s = signed_in();
    s.sign_in("work", "bob@example.com");
    let [plain, work] = sockets(&s);
    let log = s.path().join("work.jsonl");
    configure(
        &s,
        &format!(
            "[agent.doors.plain]\nsocket = {plain:?}\n[agent.doors.work]\nsocket = {work:?}\nprofile = \"work\"\n\
             no_rejected = true\nlifetime = \"8h\"\nlog = {log:?}\n"
        ),
    );
    let _doors = start(&mut s.keyfob(["agent"]), &[&plain, &work]);
    let (open, narrow) = (behind(&s, &plain), behind(&s, &work));
    assert_eq!(open.token(), s.token());
    assert_eq!(narrow.token(), s.out(&["--profile", "work", "token"]).trim_end());
    let handle = narrow.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    assert_eq!(failure(&narrow, &["token", "--rejected", &handle]), (5, "agent-refused".into()));
    assert_eq!(failure(&open, &["--profile", "work", "token"]), (5, "agent-refused".into()));
    // What one door logs is its own.
    let lines = fs::read_to_string(&log).expect("a log");
    assert!(
        lines.lines().count() >= 3 && lines.lines().all(|line| line.contains("\"door\":\"work\"")),
        "{lines}"
    );

    let told = s.json(&["agent", "status"]);
    let doors: Vec<_> = told["doors"].as_array().expect("a list").iter().collect();
    let of = |member: &str| doors.iter().map(|door| door[member].clone()).collect::<Vec<Value>>();
    assert_eq!(of("door"), ["plain", "work"]);
    assert_eq!(of("profile"), ["default", "work"]);
    assert_eq!(of("account"), ["ada@example.com", "bob@example.com"]);
    assert_eq!(of("no_rejected"), [false, true]);
    let page = s.out(&["agent", "status"]);
    assert!(
        page.contains("The login of ada@example.com") && page.contains("The login of bob@example.com"),
        "{page}"
    );
    assert!(page.contains("It closes "), "{page}");
}

#[test]
fn a_door_that_cannot_be_opened_is_named_with_its_line_and_nothing_starts() {
    let s = signed_in();
    let [plain, work] = sockets(&s);
    let open = s.path().join("open");
    fs::create_dir(&open).expect("ours");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("ours");
    let wrong = open.join("agent.sock");
    configure(
        &s,
        &format!("[agent.doors.plain]\nsocket = {plain:?}\n\n[agent.doors.work]\nsocket = {wrong:?}\n"),
    );
    let ran = s.run(&["agent"]);
    assert!(
        ran.code == Some(3)
            && ran.err.contains("config.toml, line 4: ")
            && ran.err.contains("other users can enter it"),
        "{ran:?}"
    );
    assert!(ran.out.is_empty() && !plain.exists(), "{ran:?}");
    // So is one whose profile is none, and a file that cannot be kept.
    configure(&s, &format!("[agent.doors.work]\nsocket = {work:?}\nprofile = \"a/b\"\n"));
    let ran = s.run(&["agent"]);
    assert!(ran.code == Some(2) || ran.code == Some(3), "{ran:?}");
    assert!(ran.err.contains("config.toml, line 1: ") && !work.exists(), "{ran:?}");
    configure(&s, "seal = \"file\"\n[[agent.sink]]\npath = \"/nowhere/token\"\n");
    let ran = s.run(&["agent"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("config.toml, line 2: /nowhere/token cannot be kept fresh"),
        "{ran:?}"
    );
    // What is malformed is told as everywhere, and also where no agent is meant.
    configure(&s, "[agent.doors.work]\nsocket = \"work.sock\"\nuid = [7]\n");
    for words in [&["agent"][..], &["token"]] {
        let ran = s.run(words);
        assert!(ran.code == Some(3) && ran.err.contains("line 2") && ran.err.contains("line 3"), "{ran:?}");
    }
}

#[test]
fn options_describe_one_door_and_leave_the_configured_ones_alone() {
    let s = signed_in();
    let [plain, work] = sockets(&s);
    configure(&s, &format!("[agent.doors.plain]\nsocket = {plain:?}\n"));
    let _doors = start(s.keyfob(["agent", "--socket"]).arg(&work), &[&work]);
    assert!(!plain.exists());
    assert_eq!(behind(&s, &work).token(), s.token());
    // The door of the configuration is told to be closed.
    let ran = s.run(&["agent", "status"]);
    assert!(ran.code == Some(6) && ran.out.contains("The door `plain` is not open."), "{ran:?}");
    let output = s.keyfob(["agent", "status", "--json"]).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["doors"][0]["error"]["id"], "agent-absent");
}

/// sd_listen_fds(3): each socket belongs to the door that would listen at its path.
#[test]
fn the_sockets_of_a_service_manager_go_to_their_doors() {
    let s = signed_in();
    s.sign_in("work", "bob@example.com");
    let [plain, work] = sockets(&s);
    fs::create_dir(plain.parent().expect("a directory")).expect("ours");
    let listening = [&work, &plain].map(|path| UnixListener::bind(path).expect("a socket"));
    let mut command = s.command("sh");
    command.args([
        "-c",
        "exec env LISTEN_PID=$$ LISTEN_FDS=2 \"$0\" agent 3<&0 4<&2 </dev/null 2>/dev/null",
        program(),
    ]);
    let [first, second] = listening.map(|listener| Stdio::from(OwnedFd::from(listener)));
    command.stdin(first).stderr(second);
    let configured = |profile: &str| {
        format!(
            "[agent.doors.plain]\nsocket = {plain:?}\n[agent.doors.work]\nsocket = {work:?}\nprofile = {profile:?}\n"
        )
    };
    configure(&s, &configured("work"));
    let doors = start(&mut command, &[&plain, &work]);
    assert_eq!(behind(&s, &plain).token(), s.token());
    assert_eq!(behind(&s, &work).token(), s.out(&["--profile", "work", "token"]).trim_end());
    drop(doors);
    assert!(plain.exists() && work.exists(), "they are the manager's");
    // One that is no door's is not served by another one in its place.
    let other = UnixListener::bind(s.path().join("other.sock")).expect("a socket");
    let mut command = s.command("sh");
    command.args(["-c", "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" agent 3<&0 </dev/null", program()]);
    command.stdin(Stdio::from(OwnedFd::from(other)));
    fs::remove_file(&plain).and_then(|()| fs::remove_file(&work)).expect("ours");
    fs::set_permissions(plain.parent().expect("a directory"), fs::Permissions::from_mode(0o700))
        .expect("ours");
    let ran = Ran::from(command.output().expect("it ends"));
    assert!(ran.code == Some(2) && ran.err.contains("other.sock, at which no door listens"), "{ran:?}");
    assert!(!plain.exists(), "nothing was opened");
}

/// A pipe that nobody reads would hold up the start, and a link leads to somebody else's file.
#[test]
fn a_log_is_a_file_of_ones_own() {
    let s = signed_in();
    let [pipe, link] = ["pipe", "link"].map(|name| s.path().join(name));
    assert!(s.command("mkfifo").arg(&pipe).status().expect("it runs").success());
    fs::write(s.path().join("file"), "").expect("ours");
    std::os::unix::fs::symlink(s.path().join("file"), &link).expect("ours");
    let socket = s.path().join("doors/agent.sock");
    for (log, why) in [(&pipe, "it is no file"), (&link, "it is a link"), (&s.path().to_owned(), "")] {
        let [socket, log] = [&socket, log].map(|path| path.to_str().expect("text"));
        let ran = s.run(&["agent", "--socket", socket, "--log", log]);
        assert!(ran.code == Some(2) && ran.err.contains("the log ") && ran.err.contains(why), "{ran:?}");
    }
}

/// One door that is not where it may be keeps nobody from the others.
#[test]
fn the_status_of_a_door_does_not_depend_on_the_others() {
    let s = signed_in();
    let [plain, work] = sockets(&s);
    configure(&s, &format!("[agent.doors.work]\nsocket = {work:?}\n"));
    let _doors = start(&mut s.keyfob(["agent"]), &[&work]);
    let repository = s.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let wrong = repository.join("a.sock");
    configure(
        &s,
        &format!(
            "[agent.doors.bad]\nsocket = {wrong:?}\n[agent.doors.gone]\nsocket = {plain:?}\n[agent.doors.work]\nsocket = {work:?}\n"
        ),
    );
    let output = s.keyfob(["agent", "status", "--json"]).current_dir(&repository).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["doors"][0]["error"]["id"], "agent-unsafe", "{told}");
    assert_eq!(told["doors"][1]["error"]["id"], "agent-absent", "{told}");
    assert_eq!(told["doors"][2]["profile"], "default", "{told}");
}

/// A tool that names its host is told nothing where the credential is not for it, and by name where nobody has signed in.
#[test]
fn git_hears_that_nobody_has_signed_in_where_the_agent_runs() {
    let s = Sandbox::new();
    configure(&s, "[environments.local]\nhosts = [\"https://git.company.example\"]\n");
    let agent = crate::agent::Agent::start(&s, &[]);
    let container = agent.container(&s);
    let ask = |host: &str| {
        let mut git = container.keyfob(["token", "--format", "git-credential", "get"]);
        git.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::piped());
        let mut git = git.spawn().expect("it starts");
        let question = format!("protocol=https\nhost={host}\n\n");
        git.stdin.take().expect("a pipe").write_all(question.as_bytes()).expect("it reads");
        Ran::from(git.wait_with_output().expect("it ends"))
    };
    let own = ask("git.company.example");
    assert!(own.code == Some(4) && own.out.is_empty() && own.err.contains("where the agent runs"), "{own:?}");
    let foreign = ask("evil.example");
    assert_eq!((foreign.code, &*foreign.out), (Some(0), ""), "{foreign:?}");
}

/// A door that can give nothing says so wherever one looks, with the command that helps: of its own profile, and not of the one in use.
#[test]
fn a_door_without_a_login_is_told_with_the_way_to_one() {
    let s = signed_in();
    let [plain, work] = sockets(&s);
    let doors = format!(
        "[agent.doors.plain]\nsocket = {plain:?}\n[agent.doors.work]\nsocket = {work:?}\nprofile = \"work\"\n"
    );
    configure(&s, &doors);
    let _doors = start(&mut s.keyfob(["agent"]), &[&plain, &work]);
    let status = s.run(&["agent", "status"]);
    assert_eq!(status.code, Some(4), "{status:?}");
    assert!(status.out.contains("No login: profile `work`"), "{status:?}");
    assert!(status.out.contains("gives nothing now; it is for tokens and headers."), "{status:?}");
    assert!(status.out.contains("gives tokens and headers."), "the other one does: {status:?}");
    assert!(status.err.contains("--profile work login"), "{status:?}");
    let finding = |told: &Value| {
        let findings = told["findings"].as_array().expect("a list").iter();
        findings.filter(|finding| finding["subject"] == "agent").cloned().collect::<Vec<_>>()
    };
    let told: Value = serde_json::from_str(&s.run(&["doctor", "--json"]).out).expect("JSON");
    let found = finding(&told);
    assert_eq!(found.len(), 1, "{told}");
    let text = found[0].to_string();
    assert!(text.contains("the door `work` of the agent gives nothing"), "{text}");
    assert!(text.contains("keyfob --profile work login"), "{text}");

    s.sign_in("work", "bob@example.com");
    let told: Value = serde_json::from_str(&s.run(&["doctor", "--json"]).out).expect("JSON");
    assert!(finding(&told)[0].to_string().contains("there is a login for each door"), "{told}");
    assert!(!s.out(&["agent", "status"]).contains("gives nothing"));
}
