//! Files that an agent keeps fresh.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Child, Command},
};

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
    assert!(!s.path().join("lost.new").exists() && lost.join("full").exists() && !others.exists());
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
}
