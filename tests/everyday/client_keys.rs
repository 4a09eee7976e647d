//! Clients that prove themselves with a private key (RFC 7523 §2.2, `private_key_jwt`): a person's and a machine's. The
//! provider sees what was signed for this one request, and never the key.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use keyfob_dev::{Client, Fault, FaultGrant, FaultKind, LoggedRequest, Options};
use serde_json::Value;

use crate::visitor::follow;
use keyfob_testkit::{Sandbox, stderr};

/// The keys that the library's own tests read.
fn key(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/keyfob/tests/keys");
    fs::read_to_string(format!("{dir}/{name}.pem")).expect("a key")
}

/// Text of each private key that must be nowhere but in its own file.
fn marks() -> Vec<String> {
    ["p256", "ed25519", "rsa"].map(|name| key(name).lines().nth(1).expect("a line")[..40].to_owned()).into()
}

struct Signer(Sandbox);

impl Signer {
    /// A client whose public key of this name is registered, with that key in its file.
    fn new(name: &str, keys: &str) -> Self {
        let clients = vec![
            Client::with_key("signer", &key(&format!("{name}.pub"))).expect("a client"),
            Client::confidential("secretive", "secret").expect("a client"),
        ];
        let options = Options { clients, device_interval: Duration::from_secs(1), ..Options::default() };
        let signer = Self(Sandbox::with(options));
        signer.configure(keys);
        signer.keep(&key(name));
        signer
    }

    fn configure(&self, keys: &str) {
        let dir = self.0.home.path().join("keyfob");
        fs::create_dir_all(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
        let is_said = ["client_key_file", "client_key_command", "client_secret_file", "\"none\""];
        let place =
            if is_said.iter().any(|key| keys.contains(key)) { "" } else { "client_key_file = \"FILE\"" };
        let base = self.0.server.base_url();
        let config = format!(
            "environment = \"work\"\n\n[environments.work]\nissuer = \"{base}\"\nclient_id = \"signer\"\n\
             scopes = [\"user:inference\"]\n{place}\n{keys}\n"
        );
        let config = config.replace("FILE", &self.file().display().to_string());
        fs::write(dir.join("config.toml"), config).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.0.home.path().join("client-key.pem")
    }

    fn keep(&self, key: &str) {
        fs::write(self.file(), key).expect("a file");
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = self.0.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        let output = self.keyfob(words).output().expect("the command runs");
        let said = format!("{output:?}");
        assert!(marks().iter().all(|mark| !said.contains(mark)), "{said}");
        output
    }

    #[track_caller]
    fn out(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.out(&words)).expect("JSON")
    }

    #[track_caller]
    fn signs_in(&self) {
        let output = follow(&mut self.keyfob(&["login", "--no-browser"]));
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// Three lines, by this id, and the provider has not been asked for anything but its metadata.
    #[track_caller]
    fn refused(&self, words: &[&str], code: i32, id: &str) -> String {
        let posts = self.posts().len();
        let output = self.run(words);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {told}");
        for label in ["error:", "cause:", "hint:"] {
            assert!(told.lines().any(|line| line.starts_with(label)), "{label} {told}");
        }
        assert_eq!(self.posts().len(), posts, "{words:?}: {told}");
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let said: Value = serde_json::from_slice(&self.run(&words).stdout).expect("JSON");
        assert_eq!(said["error"]["id"], id, "{said}");
        told
    }

    fn posts(&self) -> Vec<LoggedRequest> {
        self.0.server.requests().into_iter().filter(|request| request.method == "POST").collect()
    }

    /// What everything that keyfob keeps says.
    fn stored(&self) -> String {
        let logins = fs::read_dir(self.0.home.path().join("keyfob/logins")).expect("the logins");
        logins.map(|one| fs::read_to_string(one.expect("an entry").path()).unwrap_or_default()).collect()
    }
}

/// The exchange, each renewal (in its process of its own) and the revocation carry what the key signed for them, whatever
/// kind of key it is; the login remembers where the key is and how the client proves itself, and nothing of the key.
#[test]
fn every_request_of_a_person_is_signed_anew() {
    for name in ["p256", "ed25519", "rsa"] {
        let s = Signer::new(name, "");
        s.signs_in();
        let stored = s.stored();
        assert!(stored.contains("private_key_jwt") && stored.contains("client-key.pem"), "{stored}");
        assert!(marks().iter().all(|mark| !stored.contains(mark)), "{stored}");
        let first = s.out(&["token"]);
        assert_ne!(s.out(&["token", "--min-valid", "7200"]), first, "{name}");
        let end = s.json(&["logout"]);
        assert_eq!(end["logged_out"][0]["revocation"], "confirmed", "{end}");
        let posts = s.posts();
        assert!(posts.len() >= 3 && posts.iter().all(|post| post.status == 200), "{posts:?}");
        assert!(posts.iter().all(|post| post.credential == ["assertion"]), "{posts:?}");
    }
}

/// A code on another device: the first request and each poll are signed anew; and the key may come from a command, under an
/// id that the provider knows it by.
#[test]
fn polls_are_signed_anew_and_a_command_may_give_the_key() {
    let s = Signer::new("p256", "client_key_command = \"cat FILE\"\nclient_key_id = \"k1\"");
    s.out(&["login", "--device"]);
    assert!(s.posts().iter().all(|post| post.status < 500 && post.credential == ["assertion"]));
    assert!(s.stored().contains("\"key_id\": \"k1\""), "{}", s.stored());
    s.out(&["token", "--min-valid", "7200"]);
}

#[test]
fn a_machine_proves_itself_with_a_key() {
    for name in ["ed25519", "rsa"] {
        let s = Signer::new(name, "grant = \"client_credentials\"\nclient_auth = \"private_key_jwt\"");
        let first = s.out(&["token"]);
        assert_ne!(s.out(&["token", "--min-valid", "31536000"]), first);
        let end = s.json(&["logout"]);
        assert_eq!(end["logged_out"][0]["revocation"], "confirmed", "{end}");
        assert_eq!(s.0.server.grants().client_credentials, 2);
        assert!(s.posts().iter().all(|post| post.status == 200 && post.credential == ["assertion"]));
    }
}

/// A refresh token in a variable is exchanged by the same client, with the same key.
#[test]
fn a_seed_is_exchanged_with_the_key() {
    let s = Signer::new("p256", "");
    s.signs_in();
    let logins = fs::read_dir(s.0.home.path().join("keyfob/logins")).expect("the logins");
    let mut paths = logins.map(|entry| entry.expect("an entry").path());
    let record = paths.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record");
    let stored: Value = serde_json::from_slice(&fs::read(record).expect("ours")).expect("JSON");
    let seed = stored["refresh_token"].as_str().expect("a refresh token");
    let output = s.keyfob(&["token"]).env("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", seed).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(s.posts().last().expect("one").credential, ["assertion"]);
}

/// A key that cannot be read, and one that cannot be used: told before a person is sent to a page, and before anything of a
/// login is spent. Each has its own id.
#[test]
fn a_key_that_cannot_be_used_spends_nothing() {
    let s = Signer::new("p256", "");
    s.signs_in();
    let commands: [&[&str]; 3] =
        [&["login", "--no-browser"], &["login", "--device"], &["token", "--min-valid", "7200"]];
    fs::remove_file(s.file()).expect("our file");
    for words in commands {
        let told = s.refused(words, 3, "client-key");
        assert!(
            told.contains("`client_key_file` of environment `work`") && told.contains("there is no file"),
            "{told}"
        );
    }
    for (text, why) in [
        (key("encrypted"), "passphrase"),
        (key("p256.pub"), "what is public"),
        ("nonsense".into(), "no private key in PEM"),
        (" \n".into(), "it is empty"),
    ] {
        s.keep(&text);
        assert!(s.refused(commands[2], 3, "client-key").contains(why), "{why}");
    }
    for (name, why) in [("p384", "P-384"), ("rsa-1024", "less than 2048 bits")] {
        s.keep(&key(name));
        for words in commands {
            assert!(s.refused(words, 3, "client-key-kind").contains(why), "{why}");
        }
    }
    s.keep(&key("p256"));
    fs::set_permissions(s.file(), fs::Permissions::from_mode(0o644)).expect("ours");
    let told = s.refused(commands[2], 3, "client-key");
    assert!(told.contains("chmod 600"), "{told}");
    // Nothing was lost by any of that.
    fs::set_permissions(s.file(), fs::Permissions::from_mode(0o600)).expect("ours");
    s.out(commands[2]);
}

/// A command that fails is not run by every call: the pause is told with its end, the token at hand is used, and as soon
/// as the command is mended and the pause has passed, the login is renewed.
#[test]
fn a_persons_key_command_that_fails_is_not_run_by_every_call() {
    let s = Signer::new("p256", "client_key_command = \"echo x >> FILE.ran; cat FILE\"");
    s.signs_in();
    let ran = || fs::read_to_string(s.file().with_extension("pem.ran")).expect("ours").lines().count();
    fs::remove_file(s.file()).expect("our file");
    let before = ran();
    let wanted: &[&str] = &["token", "--min-valid", "7200"];
    let first = s.run(wanted);
    assert_eq!(first.status.code(), Some(3), "{}", stderr(&first));
    assert_eq!(ran(), before + 1);
    s.0.stretch_cooldown();
    let second = s.run(wanted);
    assert!(stderr(&second).contains("asking again is allowed in"), "{}", stderr(&second));
    assert_eq!(ran(), before + 1);
    let token = s.out(&["token"]);
    s.keep(&key("p256"));
    s.0.edit(|record| record["cooldown"]["until"] = (keyfob_testkit::now() + 1).into());
    assert_ne!(s.out(&["token", "--min-valid", "7200", "--wait", "60"]), token);
    assert_eq!(s.0.server.grants().refreshes, 1);
}

/// A machine likewise; and whose failure is shared for a moment is told by the same id.
#[test]
fn a_machines_key_that_cannot_be_used_is_told() {
    let s = Signer::new("p256", "grant = \"client_credentials\"");
    s.keep(&key("p384"));
    s.refused(&["token"], 3, "client-key-kind");
    s.keep(&key("p256"));
    s.out(&["token"]);
    let s = Signer::new(
        "p256",
        "grant = \"client_credentials\"\nclient_key_command = \"echo locked >&2; exit 3\"",
    );
    let output = s.run(&["token"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("`client_key_command` of environment `work`"), "{}", stderr(&output));
    assert!(s.posts().is_empty());
}

/// RFC 8414 §2: what the provider's metadata names is respected before a person is asked. The development provider names
/// what it takes, so that a stub stands in for one that takes less.
#[test]
fn what_the_metadata_does_not_name_is_not_tried() {
    for (more, id, why) in [
        (
            r#""token_endpoint_auth_methods_supported":["client_secret_basic"],"#,
            "client-auth-unsupported",
            "its metadata names client_secret_basic",
        ),
        (
            r#""token_endpoint_auth_methods_supported":["private_key_jwt"],
               "token_endpoint_auth_signing_alg_values_supported":["RS256"],"#,
            "client-key-kind",
            "the key signs with ES256, and the provider takes RS256",
        ),
    ] {
        let s = Signer::new("p256", "");
        let issuer = metadata_alone(more);
        let config = s.0.home.path().join("keyfob/config.toml");
        let text = fs::read_to_string(&config).expect("ours");
        fs::write(&config, text.replace(&s.0.server.base_url(), &issuer)).expect("ours");
        for words in [&["login", "--no-browser"][..], &["login", "--device"]] {
            assert!(s.refused(words, 3, id).contains(why), "{why}");
        }
    }
}

/// A provider of which only the metadata is there.
fn metadata_alone(more: &str) -> String {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let body = format!(
        r#"{{{more}"issuer":"{base}","authorization_endpoint":"{base}/a","token_endpoint":"{base}/t",
        "device_authorization_endpoint":"{base}/d"}}"#
    );
    let answer = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    };
    std::thread::Builder::new().spawn(answer).expect("a thread");
    base
}

/// What is signed is dated by the provider's clock: a wrong one of this machine's costs one request more at the sign-in, and
/// none later. A refused client has spent nothing (RFC 6749 §5.2).
#[test]
fn assertions_are_dated_by_the_providers_clock() {
    for turned in [-600, 600, 30] {
        let s = Signer::new("p256", "");
        s.0.server.advance(turned);
        s.signs_in();
        s.out(&["token", "--min-valid", "7200"]);
        let outcomes: Vec<_> = s.posts().into_iter().map(|post| post.outcome).collect();
        let first = if turned < 0 { "assertion-early" } else { "assertion-expired" };
        let expected: &[&str] =
            if turned == 30 { &["code-exchanged", "rotated"] } else { &[first, "code-exchanged", "rotated"] };
        assert_eq!(outcomes, expected, "{turned}");

        let m = Signer::new("p256", "grant = \"client_credentials\"");
        m.0.server.advance(turned);
        m.out(&["token"]);
        m.out(&["token", "--min-valid", "31536000"]);
        assert_eq!(m.posts().len(), if turned == 30 { 2 } else { 3 }, "{turned}");
    }
}

/// A clock that changed since the sign-in: the renewal is refused, nothing is spent, and the next one is dated rightly.
#[test]
fn a_clock_that_changed_is_learned_from_a_refusal() {
    let s = Signer::new("p256", "");
    s.signs_in();
    s.0.server.advance(-600);
    let output = s.run(&["token", "--min-valid", "7200"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    s.out(&["token", "--min-valid", "7200", "--wait", "60"]);
    assert_eq!(s.0.server.grants().refreshes, 1);
}

/// Hostile: another client's request cannot be made with what this one signs; a provider that busily refuses gets a new
/// assertion each time, and none is ever sent twice.
#[test]
fn no_assertion_is_sent_twice() {
    let s = Signer::new("p256", "");
    s.signs_in();
    s.0.server.inject(Fault { grant: FaultGrant::Revoke, kind: FaultKind::Status503 }, 1);
    let end = s.json(&["logout"]);
    assert_eq!(end["logged_out"][0]["revocation"], "confirmed", "{end}");
    let outcomes: Vec<_> = s.posts().into_iter().map(|post| post.outcome).collect();
    assert!(!outcomes.iter().any(|outcome| outcome == "assertion-replayed"), "{outcomes:?}");
    assert_eq!(outcomes.last().map(String::as_str), Some("revoked"));
}

/// RFC 6749 §5.2: a client whose proof is not accepted is named, with what to do; the login stays.
#[test]
fn a_refused_assertion_is_told_by_its_cause() {
    let s = Signer::new("p256", "");
    s.keep(&key("ed25519"));
    let output = s.run(&["login", "--device", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (output.status.code(), &said["error"]["cause"]),
        (Some(5), &"assertion-refused".into()),
        "{said}"
    );
    s.keep(&key("p256"));
    s.signs_in();
    s.0.server.inject(FaultKind::InvalidClient, 1);
    let output = s.run(&["token", "--min-valid", "7200"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("register the public half"), "{}", stderr(&output));
    s.out(&["token", "--min-valid", "7200", "--wait", "60"]);
}

/// `doctor` and `status` say how the client proves itself, and whether what it needs for that can be read.
#[test]
fn doctor_and_status_say_how_the_client_proves_itself() {
    let s = Signer::new("p256", "client_key_id = \"k1\"");
    s.signs_in();
    let page = s.out(&["doctor"]);
    let line = page.lines().find(|line| line.contains("client key")).expect("a finding").to_owned();
    assert!(line.contains("ES256") && line.contains("private_key_jwt") && line.starts_with("ok"), "{line}");
    let client_auth = |s: &Signer| {
        let said: Value = serde_json::from_slice(&s.run(&["status", "--json"]).stdout).expect("JSON");
        said["client_auth"].clone()
    };
    let said = client_auth(&s);
    assert_eq!(said["method"], "private_key_jwt", "{said}");
    assert_eq!(
        (&said["file"], &said["key_id"]),
        (&s.file().display().to_string().into(), &"k1".into()),
        "{said}"
    );
    assert_eq!((&said["readable"], &said["error"]), (&true.into(), &Value::Null), "{said}");
    assert!(s.out(&["status", "--all"]).contains("private_key_jwt"), "{}", s.out(&["status", "--all"]));
    s.keep(&key("p384"));
    let said = client_auth(&s);
    assert_eq!(
        (&said["readable"], &said["error"]["id"]),
        (&false.into(), &"client-key-kind".into()),
        "{said}"
    );
    let output = s.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("client-key-kind"));

    // A login keeps to how it was made; without one the configuration says it. A command is not run for a look.
    s.keep(&key("p256"));
    s.configure("client_auth = \"none\"");
    assert_eq!(client_auth(&s)["method"], "private_key_jwt");
    s.out(&["logout"]);
    s.configure("client_key_command = \"touch FILE.ran; cat FILE\"");
    let said = client_auth(&s);
    assert_eq!((&said["command"], &said["readable"]), (&true.into(), &Value::Null), "{said}");
    assert!(!s.file().with_extension("pem.ran").exists());
    s.configure("client_secret_file = \"FILE\"");
    assert_eq!(client_auth(&s)["method"], "client_secret_basic");
    s.configure("client_auth = \"none\"");
    assert_eq!(client_auth(&s)["method"], "none");
}
