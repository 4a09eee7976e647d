//! Files that an agent keeps fresh.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Child, Command},
    sync::mpsc,
    thread,
};

use crate::id_tokens;
use keyfob_testkit::{Sandbox, until};
use serde_json::Value;

fn agent(s: &Sandbox, kept: &[String]) -> Child {
    let mut command = s.keyfob(["agent", "--socket"]);
    command.arg(s.path().join("doors/agent.sock"));
    for kept in kept {
        command.args(["--keep", kept]);
    }
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.ends_with("agent.sock\n"), "{line}");
    child
}

fn is(path: &Path, text: &str) -> Option<()> {
    (fs::read_to_string(path).ok()? == text).then_some(())
}

#[test]
fn a_kept_file_holds_the_newest_token_and_goes_with_the_login() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let files = ["token", "header", "json"].map(|name| s.path().join(name));
    let kept = files.each_ref().map(|path| path.display().to_string());
    let mut agent = agent(&s, &[kept[0].clone(), format!("header:{}", kept[1]), format!("json:{}", kept[2])]);
    let first = s.token();
    until("the token", || is(&files[0], &format!("{first}\n")));
    until("the header", || is(&files[1], &format!("Authorization: Bearer {first}\n")));
    until("the answer", || fs::read(&files[2]).ok().filter(|text| !text.is_empty()));
    let answer: Value = serde_json::from_slice(&fs::read(&files[2]).expect("a file")).expect("JSON");
    assert_eq!(answer["token"], first);
    assert!(answer["expires_at"].is_string() && answer.get("expires_in").is_none(), "{answer}");
    for path in &files {
        assert_eq!(fs::metadata(path).expect("a file").mode() & 0o777, 0o600);
    }
    // Renewed by somebody else.
    let handle = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    let second = s.out(&["token", "--rejected", &handle]);
    assert_ne!(second.trim_end(), first);
    until("the new token", || is(&files[0], &second));
    // Whoever signs out has taken it back, and whoever signs in brings it again.
    s.out(&["logout"]);
    until("nothing", || files.iter().all(|path| !path.exists()).then_some(()));
    s.sign_in("default", "ada@example.com");
    until("the next login's", || is(&files[0], &format!("{}\n", s.token())));
    // Nobody keeps it fresh any more.
    let kill = Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().expect("kill runs");
    assert!(kill.success() && agent.wait().expect("it ends").success());
    assert!(files.iter().all(|path| !path.exists()));
}

#[test]
fn what_an_agent_has_not_put_there_stays() {
    let s = Sandbox::new();
    let (others, lost) = (s.path().join("others"), s.path().join("lost"));
    fs::write(&others, "mine").expect("ours");
    // Nobody is signed in: there is nothing to put there.
    let mut agent = agent(&s, &[others.display().to_string(), lost.display().to_string()]);
    let end = |agent: &mut Child| {
        let kill = Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().expect("kill runs");
        assert!(kill.success() && agent.wait().expect("it ends").success());
    };
    end(&mut agent);
    assert_eq!(fs::read_to_string(&others).expect("a file"), "mine");
    // A directory in the place of the file: the text that was made for it is taken away again.
    s.sign_in("default", "ada@example.com");
    fs::create_dir(&lost).expect("ours");
    fs::write(lost.join("full"), "").expect("ours");
    let mut agent = self::agent(&s, &[lost.display().to_string(), others.display().to_string()]);
    until("the token", || is(&others, &format!("{}\n", s.token())));
    end(&mut agent);
    assert!(
        !s.path().join(".lost.keyfob-new").exists()
            && !s.path().join(".lost.keyfob-kept").exists()
            && lost.join("full").exists()
            && !others.exists()
    );
}

/// The files of the configuration: each of its own login, and readable by whom it says.
#[test]
fn an_agent_keeps_the_files_of_the_configuration() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.sign_in("work", "bob@example.com");
    let run = s.path().join("run");
    fs::create_dir(&run).expect("ours");
    let [own, work, vendors] = ["token", "work", "default.json"].map(|name| run.join(name));
    let config = format!(
        "[[agent.sink]]\npath = {own:?}\n[[agent.sink]]\npath = {work:?}\nprofile = \"work\"\nformat = \"header\"\n\
         mode = \"0640\"\n[[agent.sink]]\npath = {vendors:?}\nformat = \"credentials\"\n"
    );
    fs::write(s.path().join("keyfob/config.toml"), config).expect("ours");
    let mut command = s.keyfob(["agent"]);
    command.env("XDG_RUNTIME_DIR", s.path().join("run"));
    let agent = command.spawn().expect("it starts");
    let theirs = s.out(&["--profile", "work", "token"]);
    until("the token", || is(&own, &format!("{}\n", s.token())));
    until("the other login's", || is(&work, &format!("Authorization: Bearer {theirs}")));
    let text = until("the vendor's", || fs::read(&vendors).ok());
    let file: Value = serde_json::from_slice(&text).expect("JSON");
    let members: Vec<_> = file.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_at", "type", "version"], "and no refresh token");
    assert_eq!((&file["type"], &file["version"]), (&Value::from("oauth_token"), &Value::from("1.0")));
    assert_eq!(file["access_token"], s.token());
    assert!(file["expires_at"].as_i64().is_some_and(|end| end > keyfob_testkit::now()), "{file}");
    let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
    assert_eq!([&own, &work, &vendors].map(|path| mode(path)), [0o600, 0o640, 0o600]);
    // Each goes with its own login.
    s.out(&["--profile", "work", "logout"]);
    until("nothing", || (!work.exists()).then_some(()));
    assert!(own.exists());
    let kill = Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().expect("kill runs");
    assert!(kill.success());
    let output = agent.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("work can be read by group "), "{told}");
    assert!(!own.exists() && !vendors.exists());
}

/// A JWT alone, which is replaced when it ends although the access token is good.
#[test]
fn an_id_token_is_kept_fresh_by_its_own_end() {
    let s = id_tokens::signed_in(&["openid", "offline_access"]);
    let (path, socket) = (s.path().join("jwt"), s.path().join("doors/agent.sock"));
    let mut command = id_tokens::command(&s, &["agent", "--socket"]);
    command.arg(&socket).arg("--keep").arg(format!("id-token:{}", path.display()));
    let mut agent = command.spawn().expect("it starts");
    let first = until("the ID token", || fs::read_to_string(&path).ok().filter(|text| !text.is_empty()));
    assert_eq!(s.record()["id_token"], first.as_str());
    id_tokens::ends(&s, keyfob_testkit::now() - 10);
    let second = until("another one", || fs::read_to_string(&path).ok().filter(|text| *text != first));
    assert_eq!(id_tokens::claims(&first)["sub"], id_tokens::claims(&second)["sub"]);
    assert_eq!(s.record()["id_token"], second.as_str());
    agent.kill().and_then(|()| agent.wait()).expect("ours");
}

/// Two agents on one file, as while one is replaced by another: the second takes it over when the first is gone, however that
/// ended.
#[test]
fn a_file_is_taken_over_from_an_agent_that_was_killed() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.sign_in("work", "bob@example.com");
    let path = s.path().join("token");
    let keep = |name: &str, profile: &str| {
        let mut command = s.keyfob(["--profile", profile, "agent", "--socket"]);
        command.arg(s.path().join(format!("doors/{name}.sock"))).arg("--keep").arg(&path);
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert!(line.ends_with(".sock\n"), "{line}");
        child
    };
    let mut first = keep("first", "default");
    until("the first one's", || is(&path, &format!("{}\n", s.token())));
    let mut second = keep("second", "work");
    // Read by a thread: what waits for a line has no deadline.
    let (say, said) = mpsc::channel();
    let err = BufReader::new(second.stderr.take().expect("a pipe"));
    thread::Builder::new()
        .spawn(move || err.lines().map_while(Result::ok).all(|line| say.send(line).is_ok()))
        .expect("a thread");
    until("its word", || said.try_recv().ok().filter(|line| line.contains("another agent keeps it fresh")));
    assert_eq!(fs::read_to_string(&path).expect("a file").trim_end(), s.token());
    first.kill().and_then(|()| first.wait()).expect("ours");
    let theirs = s.out(&["--profile", "work", "token"]);
    until("the second one's", || is(&path, &theirs));
    assert!(!s.path().join(".token.keyfob-new").exists());
    second.kill().and_then(|()| second.wait()).expect("ours");
}

/// A killed agent cannot take its file away. The next one does, although the login is gone by then.
#[test]
fn what_a_killed_agent_left_goes_with_the_login() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = s.path().join("token");
    let kept = [path.display().to_string()];
    let mut first = agent(&s, &kept);
    until("the token", || is(&path, &format!("{}\n", s.token())));
    first.kill().and_then(|()| first.wait()).expect("ours");
    assert!(path.exists());
    s.out(&["logout"]);
    let mut second = agent(&s, &kept);
    until("nothing", || (!path.exists()).then_some(()));
    second.kill().and_then(|()| second.wait()).expect("ours");
    assert!(!s.path().join(".token.keyfob-kept").exists());
}

/// An agent with files is needed although nobody asks, and ends when the last door at which somebody could has closed.
#[test]
fn files_keep_no_agent_whose_doors_have_closed() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (path, socket) = (s.path().join("token"), s.path().join("doors/agent.sock"));
    let config = format!(
        "[agent.doors.job]\nsocket = {socket:?}\nlifetime = \"1s\"\n[[agent.sink]]\npath = {path:?}\n"
    );
    fs::create_dir_all(s.path().join("keyfob")).expect("ours");
    fs::write(s.path().join("keyfob/config.toml"), config).expect("ours");
    let ran = s.run(&["agent", "--idle", "1h"]);
    assert!(ran.code == Some(0) && ran.err.contains("goes on although nobody asks"), "{ran:?}");
    assert!(!path.exists() && !socket.exists());
}

#[test]
fn a_file_is_kept_only_where_nobody_else_can_put_one() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let open = s.path().join("open");
    fs::create_dir(&open).expect("ours");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("ours");
    let path = open.join("token");
    let ran = s.run(&["agent", "--keep", path.to_str().expect("text")]);
    assert!(ran.code == Some(3) && ran.err.contains("cannot be kept fresh"), "{ran:?}");
    let nowhere = s.run(&["agent", "--keep", "/nowhere/token"]);
    assert!(nowhere.code == Some(2) && nowhere.err.contains("/nowhere/token"), "{nowhere:?}");
    let twice = s.path().join("token");
    let twice = twice.to_str().expect("text");
    let ran = s.run(&["agent", "--keep", twice, "--keep", &format!("json:{twice}")]);
    assert!(ran.code == Some(2) && ran.err.contains("named twice"), "{ran:?}");
}
