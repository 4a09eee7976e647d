//! The credential of one session: what it says of its end, and the file that a runner keeps fresh.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Stdio,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use keyfob_testkit::{Ran, Sandbox, now};

const VARIABLE: &str = "CLAUDE_CODE_SESSION_ACCESS_TOKEN";
const FILE: &str = "CLAUDE_SESSION_INGRESS_TOKEN_FILE";

/// A token of a session that ends at this time; whose key signed it nobody here knows.
fn session(name: &str, end: i64) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "HS256"})), part(&json!({"sub": name, "exp": end})))
}

fn file(s: &Sandbox, text: &str) -> PathBuf {
    let path = s.home.path().join("ingress");
    fs::write(&path, text).expect("our file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our file");
    path
}

fn run(s: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Ran {
    Ran::from(s.keyfob(words).envs(variables.iter().copied()).output().expect("it runs"))
}

fn answer(s: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Value {
    serde_json::from_str(run(s, words, variables).answer()).expect("JSON")
}

const HEADER: [&str; 3] = ["header", "--remote", "--json"];

#[test]
fn a_session_credential_says_itself_when_it_ends() {
    let s = Sandbox::new();
    let token = session("one", now() + 600);
    for token in [token.clone(), format!("sk-kind-{token}")] {
        let variables = [(VARIABLE, &*token)];
        let said = answer(&s, &HEADER, &variables);
        assert_eq!((&said["token"], &said["expires_by"]), (&json!(token), &json!("claim")));
        assert!(said["expires_in"].as_i64().is_some_and(|left| (500..=600).contains(&left)), "{said}");
        let status = answer(&s, &["status", "--remote", "--json"], &variables);
        assert_eq!(status["winner"]["expires_at"], said["expires_at"]);
        assert_eq!(status["winner"]["expires_by"], "claim");
        let status = run(&s, &["status", "--remote"], &variables);
        let told = status.answer();
        assert!(told.contains("it says itself that it is valid until"), "{told}");
        assert!(told.contains("nobody has verified"), "{told}");
    }
    // One that says nothing, and one that has ended.
    let said = answer(&s, &HEADER, &[(VARIABLE, "opaque")]);
    assert_eq!((&said["expires_at"], &said["expires_by"]), (&Value::Null, &Value::Null));
    let ended = run(&s, &HEADER, &[(VARIABLE, &session("one", now() - 60))]);
    assert!(ended.answer().contains("claim") && ended.err.contains("says itself that it ended"), "{ended:?}");
    // A login's end is the provider's word.
    s.sign_in("default", "ada@example.com");
    assert_eq!(s.json(&["token"])["expires_by"], "provider");
    assert_eq!(s.json(&["status"])["winner"]["expires_by"], "provider");
}

/// The contract: the newer value of the file counts where the one in the variable has ended.
#[test]
fn the_file_is_read_where_the_variable_has_ended() {
    let s = Sandbox::new();
    let (good, ended) = (session("variable", now() + 600), session("variable", now() - 60));
    let fresh = session("file", now() + 900);
    let path = file(&s, &format!("{fresh}\n"));
    let path = path.to_str().expect("text");
    for (variable, expected) in
        [(&*good, &good), (&ended, &fresh), ("", &fresh), ("opaque", &"opaque".into())]
    {
        let said = answer(&s, &HEADER, &[(VARIABLE, variable), (FILE, path)]);
        assert_eq!(
            (&said["token"], &said["source"]),
            (&json!(expected), &json!("session-token")),
            "{variable}"
        );
    }
    // It is the same source, ahead of a login, and no other purpose knows it.
    s.sign_in("default", "ada@example.com");
    assert_eq!(answer(&s, &HEADER, &[(FILE, path)])["token"], json!(fresh));
    assert_eq!(answer(&s, &["token", "--json"], &[(FILE, path)])["source"], "login");
    // The runner is late: the one that lasts longer is used, and its end is told.
    let older = session("file", now() - 600);
    file(&s, &older);
    let late = run(&s, &HEADER, &[(VARIABLE, &ended), (FILE, path)]);
    assert!(late.answer().contains(&ended) && late.err.contains("has ended"), "{late:?}");
    let status = run(&s, &["status", "--remote"], &[(VARIABLE, &ended), (FILE, path)]);
    assert!(
        !status.out.contains(&ended) && status.out.contains("it says itself that it ended"),
        "{status:?}"
    );
}

#[test]
fn a_file_that_cannot_be_trusted_is_not_read() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = session("file", now() + 600);
    let path = file(&s, &token);
    let told = |value: &str| run(&s, &HEADER, &[(FILE, value)]);
    let text = path.to_str().expect("text");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("ours");
    told(text).failed(3, "session-file").because("session-file", "open-to-others");
    assert!(!told(text).err.contains(&token));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
    told("ingress").because("session-file", "not-absolute");
    told(&format!("{text}-gone")).because("session-file", "missing");
    for wrong in ["", "two words", "two\nlines\n"] {
        file(&s, wrong);
        told(text).because("session-file", "secret-empty");
    }
    let status = run(&s, &["status", "--remote", "--json"], &[(FILE, text)]);
    status.failed(3, "session-file");
    // Every set variable is checked, used or not: a repository leads nothing into itself.
    let repository = s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let within = repository.join("token");
    fs::write(&within, &token).expect("ours");
    let mut command = s.keyfob(["token", "--json"]);
    let output = command.current_dir(&repository).env(FILE, &within).output().expect("it runs");
    Ran::from(output).failed(3, "session-file").because("session-file", "in-repository");
}

/// The provider closes for a credential that has ended there: the file has another one by then.
#[test]
fn connect_goes_on_with_the_newer_one_in_the_file() {
    let s = Sandbox::new();
    let mint = || s.server.mint("ada@example.com", "user:inference").expect("tokens").access_token;
    let path = file(&s, "not-read-while-the-first-is-good");
    let first = mint();
    let mut command = s.keyfob(["connect"]);
    command.env(VARIABLE, &first).env(FILE, &path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    writeln!(stdin, "one").expect("it reads");
    assert_eq!(lines.next().expect("an echo").expect("text"), r#"{"n":1,"text":"one"}"#);
    // The runner writes the next one before the old one ends.
    s.server.advance(3000);
    file(&s, &mint());
    s.server.advance(601);
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.starts_with("Connected")));
    assert!(told.any(|line| line.starts_with("Connected")), "it connects again");
    writeln!(stdin, "two").expect("it reads");
    assert_eq!(lines.next().expect("an echo").expect("text"), r#"{"n":1,"text":"two"}"#);
    // And where the runner wrote nothing, it is told.
    s.server.advance(3601);
    assert!(told.any(|line| line.contains("was rejected")), "nothing newer is there");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
}

/// Who has the session's credential may read it again; any other program has no business with it.
#[test]
fn exec_hands_the_file_on_with_the_sessions_credential_alone() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = file(&s, &session("file", now() + 600));
    let path = path.to_str().expect("text");
    let sees = |words: &[&str]| {
        let words = [words, &["--", "sh", "-c", "echo \"[$CLAUDE_SESSION_INGRESS_TOKEN_FILE]\""]].concat();
        run(&s, &words, &[(FILE, path)]).answer().to_owned()
    };
    assert_eq!(sees(&["exec"]), "[]");
    assert_eq!(sees(&["exec", "--remote"]), format!("[{path}]"));
}
