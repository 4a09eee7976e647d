//! `exec --file`: a file that is kept fresh for one program.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use keyfob_testkit::{Ran, now, until};

use crate::{
    agent::{Agent, signed_in},
    id_tokens,
};

/// Says where its file is and what is in it, waits for a word, and says again what is in it.
const READER: &str = "echo $THE_FILE; cat \"$THE_FILE\"; echo; read word; cat \"$THE_FILE\"; echo";

/// Runs it, with something done between the two readings when the file has changed by it. Returns both contents and the path.
fn read_twice(command: &mut Command, between: impl FnOnce()) -> ([String; 2], PathBuf) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().and_then(Result::ok).unwrap_or_else(|| panic!("it says no more"));
    let path = PathBuf::from(next());
    let first = next();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a directory"))), (0o600, 0o700));
    between();
    until("another token", || {
        let text = fs::read_to_string(&path).ok()?;
        (!text.is_empty() && text.trim_end() != first).then_some(())
    });
    child.stdin.take().expect("a pipe").write_all(b"now\n").expect("it reads");
    let second = loop {
        let line = next();
        if !line.is_empty() {
            break line;
        }
    };
    assert!(child.wait().expect("it ends").success());
    ([first, second], path)
}

#[test]
fn a_program_reads_a_valid_token_before_and_after_it_ends() {
    let s = signed_in();
    let before = s.token();
    let mut command = s.keyfob(["exec", "--file", "THE_FILE", "--", "sh", "-c", READER]);
    let (read, path) = read_twice(&mut command, || s.expire());
    assert_eq!(read[0], before);
    assert_eq!(read[1], s.token());
    assert!(!path.exists() && !path.parent().expect("a directory").exists(), "it goes with the program");
}

/// A JWT, as AWS, Azure, Vault and the vendor's own programs read it: alone in the file.
#[test]
fn a_program_reads_a_valid_id_token_before_and_after_it_ends() {
    let s = id_tokens::signed_in(&["openid", "offline_access"]);
    let words = ["exec", "--file", "THE_FILE=id-token", "--file", "OTHER=json", "--", "sh", "-c", READER];
    let (read, path) = read_twice(&mut id_tokens::command(&s, &words), || id_tokens::ends(&s, now() - 10));
    let [first, second] = read.map(|token| id_tokens::claims(&token));
    assert_eq!(first["sub"], second["sub"]);
    assert!(second["exp"].as_i64().is_some_and(|end| end > now() - 10), "{second}");
    assert!(!path.exists());
}

#[test]
fn a_program_with_files_ends_as_it_does_and_gets_nothing_else() {
    let s = signed_in();
    let script = "test \"$(cat \"$TOKEN_FILE\")\" = \"$1\" || exit 1; env | grep -c -F \"$1\"; env | grep -c FILE_DESCRIPTOR; exit 7";
    let token = s.token();
    let mut words = vec!["exec", "--file", "TOKEN_FILE", "--", "sh", "-c", script, "sh"];
    words.push(&token);
    let ran = s.run(&words);
    assert_eq!((ran.code, &*ran.out), (Some(7), "0\n0"), "{ran:?}");
    // With an agent beside it, for what is more than a file.
    let script = "\"$KEYFOB\" token && cat \"$TOKEN_FILE\"";
    let mut command = s.keyfob(["exec", "--agent", "--file", "TOKEN_FILE", "--", "sh", "-c"]);
    command.arg(format!("export KEYFOB_HOME=$ELSEWHERE; {script}"));
    command.env("KEYFOB", keyfob_testkit::program()).env("ELSEWHERE", s.path().join("elsewhere"));
    assert_eq!(Ran::from(command.output().expect("it runs")).out, format!("{token}\n{token}"));
    assert_eq!(s.run(&["exec", "--file", "TOKEN_FILE", "--", "no-such-program"]).code, Some(127));
    for wrong in ["1X", "X=jwt", "X=", "=token"] {
        assert_eq!(s.run(&["exec", "--file", wrong, "--", "true"]).code, Some(2), "{wrong}");
    }
}

#[test]
fn no_file_is_made_of_what_cannot_be_renewed_here() {
    let s = signed_in();
    let mut command = s.keyfob(["exec", "--file", "TOKEN_FILE", "--", "echo", "started"]);
    let ran = Ran::from(command.env("ANTHROPIC_API_KEY", "kdev-ak-invented").output().expect("it runs"));
    assert!(ran.code == Some(5) && ran.out.is_empty() && ran.err.contains("leave `--file` out"), "{ran:?}");
    // A login that an agent lends is kept fresh by that agent.
    let agent = Agent::start(&s, &[]);
    let ran = agent.container(&s).run(&["exec", "--file", "TOKEN_FILE", "--", "echo", "started"]);
    assert!(ran.code == Some(5) && ran.out.is_empty() && ran.err.contains("keyfob agent --keep"), "{ran:?}");
    // Without an ID token there is nothing to put there, and nothing is started.
    let ran = s.run(&["exec", "--file", "TOKEN_FILE=id-token", "--", "echo", "started"]);
    assert!(ran.code == Some(4) && ran.out.is_empty() && ran.err.contains("ID token"), "{ran:?}");
}
