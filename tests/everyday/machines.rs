//! Machines that sign in by themselves (RFC 6749 §4.4): one secret in one place, one token for all processes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use keyfob_dev::{Client, Options};
use serde_json::Value;

use keyfob_testkit::{Sandbox, stderr};

/// With everything in it that a naive header would get wrong.
const SECRET: &str = "s3cr%t:of+ci&1";

struct Machine {
    s: Sandbox,
}

impl Machine {
    /// A machine whose secret is in a separate file.
    fn new() -> Self {
        let machine = Self::configured("");
        machine.keep(SECRET, 0o600);
        machine
    }

    /// The same with further keys, or with another place for the secret.
    fn configured(keys: &str) -> Self {
        let clients = vec![Client::confidential("ci", SECRET).expect("a client")];
        let s = Sandbox::with(Options { clients, ..Options::default() });
        let machine = Self { s };
        let place = if keys.contains("client_secret_command") {
            String::new()
        } else {
            format!("client_secret_file = \"{}\"\n", machine.file().display())
        };
        machine.write(&format!("api_base = \"{}\"\n{place}{keys}", machine.s.server.base_url()));
        machine
    }

    fn write(&self, keys: &str) {
        let dir = self.s.home.path().join("keyfob");
        fs::create_dir_all(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
        let head =
            "environment = \"ci\"\n\n[environments.ci]\ngrant = \"client_credentials\"\nclient_id = \"ci\"\n";
        fs::write(dir.join("config.toml"), format!("{head}{keys}\n")).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.s.home.path().join("client-secret")
    }

    fn keep(&self, secret: &str, mode: u32) {
        fs::write(self.file(), format!("{secret}\n")).expect("a file");
        fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).expect("ours");
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = self.s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.keyfob(words).output().expect("the command runs")
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let output = self.run(&words);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    #[track_caller]
    fn fails(&self, words: &[&str], code: i32, id: &str) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let output = self.run(&words);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(
            (output.status.code(), said["error"]["id"].as_str()),
            (Some(code), Some(id)),
            "{output:?}"
        );
        assert!(!format!("{output:?}").contains("s3cr"), "{output:?}");
        said["error"].clone()
    }

    fn asked(&self) -> u64 {
        self.s.server.grants().client_credentials
    }
}

#[test]
fn a_machine_asks_for_itself_and_asks_again() {
    let m = Machine::new();
    let before = m.json(&["status"]);
    assert_eq!(before["winner"]["state"], "not-yet-exchanged", "{before}");
    let first = m.json(&["token"]);
    assert_eq!(first["source"], "login");
    let status = m.json(&["status", "--verify"]);
    assert_eq!(
        (&status["verified"], &status["winner"]["state"]),
        (&true.into(), &"valid".into()),
        "{status}"
    );
    assert_eq!(m.json(&["token"])["token"], first["token"], "kept until it is near its end");
    assert_eq!(m.asked(), 1);

    // Near its end it is asked for again, and after a 401 exactly once.
    let second = m.json(&["token", "--min-valid", "31536000"]);
    assert_ne!(second["token"], first["token"]);
    let rejected = format!("{}:{}", second["login"].as_str().expect("an id"), second["generation"]);
    let third = m.json(&["token", "--rejected", &rejected]);
    assert_ne!(third["token"], second["token"]);
    assert_eq!(m.json(&["token", "--rejected", &rejected])["token"], third["token"], "already replaced");
    assert_eq!(m.asked(), 3);

    // Proven in the header, both halves encoded (RFC 6749 §2.3.1); never anywhere else.
    let requests = m.s.server.requests();
    let asked: Vec<_> =
        requests.iter().filter(|r| r.grant_type.as_deref() == Some("client_credentials")).collect();
    assert!(asked.iter().all(|r| r.credential == ["basic"] && r.status == 200), "{asked:?}");
    let page = m.run(&["status"]);
    assert!(String::from_utf8_lossy(&page.stdout).starts_with("A machine's client, `ci`"), "{page:?}");
}

/// UserInfo is not available to a machine, which it reports with 403: that is not "not accepted", which is 401.
#[test]
fn verifying_the_token_of_a_machine_is_not_asking_whose_it_is() {
    let m = Machine::new();
    let base = m.s.server.base_url();
    m.write(&format!(
        "issuer = \"{base}\"\ntoken_url = \"{base}/v1/oauth/token\"\nuserinfo_url = \"{base}/oauth/userinfo\"\n\
         client_secret_file = \"{}\"\n",
        m.file().display()
    ));
    m.json(&["token"]);
    let said = m.json(&["status", "--verify"]);
    assert_eq!(
        (&said["verified"], &said["verification"], &said["error"]),
        (&true.into(), &"accepted-without-account".into(), &Value::Null),
        "{said}"
    );
    let page = String::from_utf8(m.run(&["status", "--verify"]).stdout).expect("text");
    assert!(page.contains("Verified: the provider knows it, but does not tell it whose it is"), "{page}");
}

/// One lease: a hundred processes that start together ask once.
#[test]
fn client_credentials_are_requested_once_by_many_processes() {
    let m = Machine::new();
    m.s.server.set_latency(std::time::Duration::from_millis(50));
    let children: Vec<_> = (0..40).map(|_| m.keyfob(&["token"]).spawn().expect("it starts")).collect();
    let tokens: Vec<_> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", stderr(&output));
            output.stdout
        })
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(m.asked(), 1);
}

#[test]
fn signing_out_ends_the_token_at_the_provider() {
    let m = Machine::new();
    let first = m.json(&["token"]);
    let out = m.json(&["logout"]);
    assert_eq!(out["logged_out"][0]["revocation"], "confirmed", "{out}");
    let whoami = format!("{}/v1/whoami", m.s.server.base_url());
    let bearer = format!("Bearer {}", first["token"].as_str().expect("a token"));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let seen = agent.get(&whoami).header("Authorization", bearer).call().expect("an answer");
    assert_eq!(seen.status(), 401);
    assert_ne!(m.json(&["token"])["login"], first["login"], "the next one is another");
}

/// Interactive sign-in is refused here, in each of its forms.
#[test]
fn login_to_a_client_credentials_environment_is_refused() {
    let m = Machine::new();
    for words in [&["login", "--no-browser"][..], &["login", "--device"], &["setup-token"]] {
        let error = m.fails(words, 2, "usage");
        assert!(
            error["message"].as_str().expect("text").contains("does not support interactive sign-in"),
            "{error}"
        );
    }
}

#[test]
fn the_secret_is_this_users_alone_and_never_told() {
    let m = Machine::configured("");
    let path = m.file();
    let missing = m.fails(&["token"], 3, "client-secret");
    assert!(missing.to_string().contains(path.to_str().expect("text")), "{missing}");
    m.keep(SECRET, 0o640);
    // The failure before is shared for a moment; a person mends it and goes on.
    wait(&m);
    m.fails(&["token"], 3, "client-secret");
    m.keep("", 0o600);
    wait(&m);
    assert_eq!(m.fails(&["token"], 3, "client-secret")["cause"], "secret-empty");
    m.keep("two words", 0o600);
    wait(&m);
    m.fails(&["token"], 3, "client-secret");
    m.keep("s3cret-of-another", 0o600);
    wait(&m);
    m.fails(&["token"], 5, "provider-refused");
    m.s.stretch_cooldown();
    let shared = m.fails(&["token"], 6, "cooling-down");
    assert!(shared.to_string().contains("invalid_client"), "everybody is told why: {shared}");
    assert_eq!(m.asked(), 0);
    m.keep(SECRET, 0o600);
    wait(&m);
    let output = m.run(&["exec", "--", "env"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!format!("{output:?}").contains("s3cr"));
    assert!(!written(m.s.home.path(), &m.file()).contains("s3cr"), "only its own file has it");
}

/// A link, as orchestrators mount secrets, is followed; what it leads to is checked.
#[test]
fn client_secret_file_may_be_a_symbolic_link() {
    let m = Machine::configured("");
    let real = m.s.home.path().join("..data-secret");
    fs::write(&real, SECRET).expect("a file");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o400)).expect("ours");
    std::os::unix::fs::symlink("..data-secret", m.file()).expect("a link");
    m.json(&["token"]);
}

#[test]
fn a_command_gives_the_secret_and_the_body_carries_it() {
    let keys = format!("client_secret_command = \"echo '{SECRET}'\"\nclient_auth = \"client_secret_post\"");
    let m = Machine::configured(&keys);
    m.json(&["token"]);
    let requests = m.s.server.requests();
    let asked = requests.iter().find(|r| r.grant_type.as_deref() == Some("client_credentials"));
    assert_eq!(asked.expect("one request").credential, [""; 0], "not in the header");

    let m = Machine::configured("client_secret_command = \"echo locked >&2; exit 3\"");
    let error = m.fails(&["token"], 3, "client-secret");
    assert!(error.to_string().contains("it said: locked"), "{error}");
    assert_eq!(m.asked(), 0);
}

/// The command of a vault starts its agent, which keeps the output open: no caller waits for that, least of all under
/// the lease.
#[test]
fn a_command_may_leave_an_agent_behind() {
    let keys = format!("client_secret_command = \"sleep 300 & echo $! > $HOME/agent; echo '{SECRET}'\"");
    let m = Machine::configured(&keys);
    m.json(&["token"]);
    let agent = fs::read_to_string(m.s.home.path().join("agent")).expect("its number");
    let agent = agent.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a number");
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).expect("it still runs");
}

/// From the issuer alone: its metadata is read once, not for every token.
#[test]
fn client_credentials_need_only_the_issuer() {
    let m = Machine::new();
    let place = format!("client_secret_file = \"{}\"", m.file().display());
    m.write(&format!("issuer = \"{}\"\nscopes = [\"user:inference\"]\n{place}", m.s.server.base_url()));
    m.json(&["token"]);
    m.json(&["token", "--min-valid", "31536000"]);
    assert_eq!(m.asked(), 2);
    let metadata = m.s.server.requests().into_iter().filter(|r| r.path.contains("well-known")).count();
    assert_eq!(metadata, 1);
}

/// A configuration that is half a machine is refused before any network use, naming the key.
#[test]
fn client_credentials_with_incomplete_configuration_are_refused() {
    let m = Machine::new();
    m.write(&format!("api_base = \"{}\"", m.s.server.base_url()));
    let error = m.fails(&["token"], 3, "config-malformed");
    assert!(error.to_string().contains("`client_secret_file` of [environments.ci]"), "{error}");
    assert!(m.s.server.requests().is_empty());
}

/// Lets the shared pause after a failure pass, without a clock of ours: the record says until when.
fn wait(m: &Machine) {
    let dir = m.s.logins();
    let record = fs::read_dir(dir).expect("the store").map(|e| e.expect("an entry").path());
    let path = record.into_iter().find(|p| p.extension().is_some_and(|e| e == "json")).expect("a record");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    record.as_object_mut().expect("an object").remove("cooldown").expect("a pause");
    fs::write(&path, record.to_string()).expect("ours");
}

/// Everything written below a directory, but for one file.
fn written(dir: &Path, but: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all += &written(&path, but);
        } else if path != but {
            all += &String::from_utf8_lossy(&fs::read(&path).expect("a file"));
        }
    }
    all
}
