//! `keyfob doctor`: every problem it looks for is found; every problem it repairs is repaired and then in order.

use std::{
    fs,
    fs::File,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Output, Stdio},
};

use keyfob_dev::DevServer;
use serde_json::{Value, json};

use keyfob_testkit::{Sandbox, stderr};

struct Practice {
    s: Sandbox,
}

impl Practice {
    fn new() -> Self {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        Self { s }
    }

    fn record(&self) -> PathBuf {
        let mut entries =
            fs::read_dir(self.s.logins()).expect("the store").map(|e| e.expect("an entry").path());
        entries.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record")
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.record().with_extension(extension)
    }

    fn examine(&self, words: &[&str], variables: &[(&str, &str)]) -> (Output, Vec<Value>) {
        let words: Vec<_> = ["doctor", "--json"].iter().chain(words).copied().collect();
        let mut command = self.s.keyfob(words);
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        let output = command.output().expect("the command runs");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output, said["findings"].as_array().expect("a list").clone())
    }

    /// Finds this, repairs it, and then finds nothing.
    #[track_caller]
    fn mends(&self, subject: &str, code: i32, id: &str, cause: &str) -> Value {
        let (output, findings) = self.examine(&[], &[]);
        assert_eq!(output.status.code(), Some(code), "{findings:#?}");
        let error = &one(&findings, subject, "problem")["error"];
        assert_eq!((&error["id"], &error["cause"]), (&json!(id), &json!(cause)), "{error}");
        let (output, findings) = self.examine(&["--fix"], &[]);
        assert_eq!(output.status.code(), Some(0), "{findings:#?}");
        let mended = one(&findings, subject, "fixed").clone();
        let (output, findings) = self.examine(&[], &[]);
        assert_eq!(output.status.code(), Some(0), "{findings:#?}");
        assert!(findings.iter().all(|finding| finding["state"] != "problem"), "{findings:#?}");
        mended
    }
}

/// The one finding of this subject in this state.
#[track_caller]
fn one<'f>(findings: &'f [Value], subject: &str, state: &str) -> &'f Value {
    let mut found = findings.iter().filter(|f| f["subject"] == subject && f["state"] == state);
    found.next().unwrap_or_else(|| panic!("no {subject} {state}: {findings:#?}"))
}

#[test]
fn doctor_finds_nothing_wrong_with_a_healthy_login() {
    let p = Practice::new();
    let (output, findings) = p.examine(&[], &[]);
    assert_eq!(output.status.code(), Some(0), "{findings:#?}");
    for subject in [
        "variables and files",
        "store",
        "locks",
        "room",
        "login",
        "runtime",
        "provider",
        "clock",
        "credential",
        "sources",
        "program",
    ] {
        one(&findings, subject, "ok");
    }
    let page = p.s.output(&["doctor"]);
    assert!(String::from_utf8_lossy(&page.stdout).lines().all(|line| line.starts_with("ok ")), "{page:?}");
}

#[test]
fn doctor_fix_repairs_permissions() {
    let p = Practice::new();
    fs::set_permissions(p.s.logins(), fs::Permissions::from_mode(0o755)).expect("ours");
    p.mends("store", 7, "store-unsafe", "mendable");
    fs::set_permissions(p.record(), fs::Permissions::from_mode(0o644)).expect("ours");
    assert_eq!(p.s.output(&["token"]).status.code(), Some(7), "a record that others can read is not used");
    p.mends("login", 7, "store-unsafe", "mendable");
    assert!(p.s.output(&["token"]).status.success());
    let mode = fs::metadata(p.record()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_record_is_set_aside_and_goes_with_the_next_login() {
    let p = Practice::new();
    let record = p.record();
    fs::write(&record, "{\"version\":1,\"torn").expect("ours");
    let (output, _) = p.examine(&["--fix"], &[]);
    assert_ne!(output.status.code(), Some(0), "nobody is signed in any more");
    assert!(!record.exists());
    // Kept for whoever can still read it, as long as nothing is in its place.
    let (_, findings) = p.examine(&["--fix"], &[]);
    one(&findings, "set-aside file", "problem");
    p.s.sign_in("default", "ada@example.com");
    let mended = p.mends("set-aside file", 7, "store-corrupt", "set-aside");
    assert!(mended["text"].as_str().expect("text").contains(".damaged-"), "{mended}");
    assert_eq!(p.s.output(&["token"]).status.code(), Some(0));
}

/// The intent to renew, and no answer: the state after a kill at the worst moment.
#[test]
fn an_unfinished_renewal_is_noted() {
    let p = Practice::new();
    let record: Value = serde_json::from_slice(&fs::read(p.record()).expect("a file")).expect("JSON");
    let generation = json!({ "login": record["login"], "number": record["generation"] });
    let intent = json!({ "intent": generation, "attempt": 1, "at": record["issued_at"] });
    private(&p.beside("next"), &intent);
    let mended = p.mends("login", 6, "outcome-unknown", "interrupted");
    assert!(mended["text"].as_str().expect("text").contains("unknown, and noted"), "{mended}");
    assert_eq!(p.s.json(&["status"])["winner"]["state"], "outcome-unknown");
}

/// A renewed login that the disk took only in another place.
#[test]
fn a_recovery_file_is_adopted() {
    let p = Practice::new();
    let mut record: Value = serde_json::from_slice(&fs::read(p.record()).expect("a file")).expect("JSON");
    let generation = record["generation"].as_u64().expect("a number") + 1;
    record["generation"] = generation.into();
    private(&p.beside("recovery"), &record);
    p.mends("login", 6, "outcome-unknown", "interrupted");
    assert!(!p.beside("recovery").exists());
    assert_eq!(p.s.json(&["status"])["winner"]["generation"], generation);
}

/// A process that was stopped in the middle of a renewal: all others wait, and its number is reported.
#[test]
fn doctor_names_the_holder_of_the_lease() {
    let p = Practice::new();
    p.s.json(&["token", "--min-valid", "31536000"]);
    let lock = p.beside("lock");
    let held = File::options().read(true).write(true).open(&lock).expect("a lock file");
    held.lock().expect("nobody else");
    fs::write(&lock, "process 4711\n").expect("ours");
    let (output, findings) = p.examine(&["--fix"], &[]);
    assert_eq!(output.status.code(), Some(0), "{findings:#?}");
    assert!(one(&findings, "lease", "ok")["text"].as_str().expect("text").contains("process 4711"));
    // Nor is anything mended behind its back.
    private(&p.beside("next"), &json!({ "intent": 1 }));
    let (_, findings) = p.examine(&["--fix"], &[]);
    assert!(
        one(&findings, "login", "ok")["text"].as_str().expect("text").contains("process 4711 is renewing")
    );
    assert!(p.beside("next").exists());
}

/// A filesystem without locks, and one that only pretends, as a C library that answers so. Nothing is renewed there:
/// two processes would spend one token.
#[test]
#[expect(clippy::disallowed_methods, reason = "the C compiler that the build needs too")]
fn missing_locks_are_told() {
    let p = Practice::new();
    let source = p.s.home.path().join("flock.c");
    fs::write(&source, "#include <errno.h>\nint flock(int f, int o) { (void)f; (void)o; ANSWER; }\n")
        .expect("ours");
    for (answer, why) in [("return 0", "pretends to lock"), ("errno = ENOLCK; return -1", "no locks")] {
        let library = p.s.home.path().join(format!("{}.so", why.replace(' ', "-")));
        let define = format!("-DANSWER={answer}");
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-shared", "-fPIC", &define, "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().expect("a C compiler").success());
        let preload = [("LD_PRELOAD", library.to_str().expect("text"))];
        let (output, findings) = p.examine(&["--fix"], &preload);
        assert_eq!(output.status.code(), Some(7), "{findings:#?}");
        let error = &one(&findings, "locks", "problem")["error"];
        assert_eq!(error["id"], "locks-missing");
        assert!(error["message"].as_str().expect("text").contains(why), "{error}");

        let mut command = p.s.keyfob(["token", "--min-valid", "31536000", "--json"]);
        let output = command.envs(preload).output().expect("it runs");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (output.status.code(), &said["error"]["id"]),
            (Some(7), &json!("locks-missing")),
            "{said}"
        );
    }
    assert_eq!(p.s.server.grants().refreshes, 1, "only the one that signed in");
}

#[test]
fn a_wrong_clock_is_told() {
    let p = Practice::new();
    for (seconds, word) in [(7200, "behind"), (-7200 - 3600, "ahead of")] {
        p.s.server.advance(seconds);
        let (output, findings) = p.examine(&[], &[]);
        assert_eq!(output.status.code(), Some(6), "{findings:#?}");
        let clock = &one(&findings, "clock", "problem")["error"];
        assert!(clock["message"].as_str().expect("text").contains(word), "{clock}");
        assert_eq!(clock["hint"], "set this machine's clock");
        assert_eq!(clock["cause"], "clock-wrong");
    }
}

/// Each host separately, with its purpose.
#[test]
fn doctor_names_a_host_that_does_not_respond() {
    let p = Practice::new();
    let gone = DevServer::start(keyfob_dev::Options { port: 0, ..Default::default() }).expect("a provider");
    let base = format!("{}/console", gone.base_url());
    gone.stop();
    let (output, findings) = p.examine(&[], &[("CLAUDE_LOCAL_OAUTH_CONSOLE_BASE", &base)]);
    assert_eq!(output.status.code(), Some(6), "{findings:#?}");
    let said = one(&findings, "provider", "problem")["error"]["message"].to_string();
    assert!(said.contains(base.trim_end_matches("/console")) && said.contains("console"), "{said}");
    assert!(one(&findings, "provider", "ok")["text"].as_str().expect("text").contains("token"));
}

/// Asked the way a renewal would ask: through the proxy, believing the same certificates, and saying which.
#[test]
fn doctor_checks_proxy_and_certificates() {
    let p = Practice::new();
    let config = "environment = \"work\"\n[environments.work]\nclient_id = \"agents\"\n\
        token_url = \"https://id.invalid/token\"\nauthorize_url = \"https://id.invalid/authorize\"\n";
    fs::write(p.s.home.path().join("keyfob/config.toml"), config).expect("a file");
    let mut command = p.s.keyfob(["doctor", "--json"]);
    command.env_remove("USE_LOCAL_OAUTH").env("HTTPS_PROXY", "http://ada:s3cret@127.0.0.1:9");
    let output = command.output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = &one(said["findings"].as_array().expect("a list"), "provider", "problem")["error"];
    assert!(error.to_string().contains("id.invalid"), "{error}");
    assert!(!format!("{output:?}").contains("s3cret"), "{output:?}");

    let (output, findings) = p.examine(&[], &[("SSL_CERT_FILE", "/nowhere/ca.pem")]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(one(&findings, "variables and files", "problem").to_string().contains("/nowhere/ca.pem"));
}

/// Metadata that cannot be fetched prevent every sign-in: `doctor` fetches them and reports the failure.
#[test]
fn doctor_fetches_the_provider_metadata() {
    let p = Practice::new();
    let config = format!(
        "environment = \"work\"\n[environments.work]\nclient_id = \"agents\"\nissuer = \"{}/nobody\"\n",
        p.s.server.base_url()
    );
    fs::write(p.s.home.path().join("keyfob/config.toml"), config).expect("a file");
    let mut command = p.s.keyfob(["doctor", "--json"]);
    let output = command.env_remove("USE_LOCAL_OAUTH").output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = said["findings"].as_array().expect("a list");
    assert_eq!(one(findings, "metadata", "problem")["error"]["id"], "metadata-invalid");
    one(findings, "provider", "ok");
}

#[test]
fn a_shadowed_login_is_told() {
    let p = Practice::new();
    let (output, findings) = p.examine(&[], &[("ANTHROPIC_API_KEY", "kdev-ak-local")]);
    assert_eq!(output.status.code(), Some(0), "{findings:#?}");
    let text = &one(&findings, "sources", "ok")["text"];
    assert_eq!(text, "api-key is used, and comes before login");
}

/// All of them at once, before anything else, and the exit code is theirs.
#[test]
fn malformed_variables_are_told_together() {
    let p = Practice::new();
    let variables = [("CLAUDE_CODE_USER_EMAIL", "nobody"), ("USE_STAGING_OAUTH", "yes")];
    let (output, findings) = p.examine(&[], &variables);
    assert_eq!(output.status.code(), Some(3), "{findings:#?}");
    let problems: Vec<_> = findings.iter().filter(|f| f["subject"] == "variables and files").collect();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    for ((name, _), problem) in variables.iter().zip(problems) {
        assert!(problem.to_string().contains(name), "{problem}");
    }
}

fn private(path: &std::path::Path, content: &Value) {
    fs::write(path, content.to_string()).expect("ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

/// What `seal` was called before: said where a person reads it, and never on the standard output of what is for programs.
#[test]
fn an_earlier_name_in_the_configuration_is_read_and_said() {
    let p = Practice::new();
    let config = p.s.home.path().join("keyfob/config.toml");
    fs::write(&config, "store = \"file\"\n").expect("ours");
    let (_, findings) = p.examine(&[], &[]);
    let said = one(&findings, "variables and files", "problem");
    assert_eq!(said["error"]["id"], "config-malformed");
    let run = |words: &[&str]| p.s.keyfob(words.iter().copied()).output().expect("the command runs");
    for command in ["status", "env"] {
        let output = run(&[command]);
        assert!(stderr(&output).contains("which is called `seal` now"), "{command}: {output:?}");
    }
    let token = run(&["token"]);
    assert!(token.status.success() && !String::from_utf8_lossy(&token.stdout).contains("seal"), "{token:?}");
    fs::write(&config, "store = \"file\"\nseal = \"file\"\n").expect("ours");
    let both = run(&["token"]);
    assert!(!both.status.success() && both.stdout.is_empty(), "{both:?}");
    assert!(stderr(&both).contains("`store`, its earlier name"), "{both:?}");
}
