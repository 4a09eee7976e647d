//! Federation: an identity token of the machine is exchanged for an access token (RFC 7523 §2.1, RFC 8693 §2), once for all
//! processes, and the next one when that is due.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output, time::Duration};

use keyfob_dev::{Client, Fault, FaultGrant, FaultKind, LOCAL_IDENTITY_REQUEST_TOKEN, Options, Workload};
use keyfob_testkit::{Sandbox, stderr, token_requests};
use serde_json::Value;

pub(crate) const RULE: &str = "ANTHROPIC_FEDERATION_RULE_ID";
pub(crate) const ORGANIZATION: &str = "ANTHROPIC_ORGANIZATION_ID";
pub(crate) const TOKEN: &str = "ANTHROPIC_IDENTITY_TOKEN";
pub(crate) const TOKEN_FILE: &str = "ANTHROPIC_IDENTITY_TOKEN_FILE";

/// A machine whose identity tokens a platform keeps in a file.
pub(crate) struct Machine {
    pub(crate) s: Sandbox,
}

impl Machine {
    /// The vendor's variables, with a fresh token in a file.
    pub(crate) fn of_vendor() -> Self {
        let mut machine = Self::new(Options::default());
        machine.s.set(RULE, "fdrl_local");
        machine.s.set(ORGANIZATION, "550e8400-e29b-41d4-a716-446655440001");
        // The local provider gets what a file holds only where the configuration wants that.
        machine.put("[environments.local.federation]\nidentity_token = \"github\"\n");
        let file = machine.file();
        machine.s.set(TOKEN_FILE, file.to_str().expect("text"));
        machine.refresh();
        machine
    }

    pub(crate) fn new(options: Options) -> Self {
        Self { s: Sandbox::with(options) }
    }

    /// A configured environment, with a fresh token in a file.
    pub(crate) fn configured(options: Options, keys: &str, federation: &str) -> Self {
        let machine = Self::new(options);
        machine.write(keys, federation);
        machine.refresh();
        machine
    }

    pub(crate) fn write(&self, keys: &str, federation: &str) {
        let base = self.s.server.base_url();
        self.put(&format!(
            "environment = \"ci\"\n\n[environments.ci]\napi_base = \"{base}\"\n{keys}\n\n[environments.ci.federation]\n\
             {federation}\n"
        ));
    }

    fn put(&self, text: &str) {
        let home = self.s.home.home();
        fs::create_dir_all(&home).expect("a directory");
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("ours");
        fs::write(home.join("config.toml"), text).expect("a file");
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.s.home.path().join("identity-token")
    }

    pub(crate) fn workload(&self) -> Workload {
        Workload::of(&self.s.server.base_url())
    }

    /// The platform puts a fresh token in the place of the last one.
    pub(crate) fn refresh(&self) -> String {
        self.keep(&self.workload())
    }

    pub(crate) fn keep(&self, workload: &Workload) -> String {
        let token = self.s.server.identity_token(workload).expect("a token");
        fs::write(self.file(), &token).expect("a file");
        token
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let mut command = self.s.keyfob(words);
        let config = fs::read_to_string(self.s.home.home().join("config.toml")).unwrap_or_default();
        if config.contains("[environments.ci]") {
            command.env_remove("USE_LOCAL_OAUTH");
        }
        command.output().expect("the command runs")
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let output = self.run(&words);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn fails(&self, code: i32, id: &str) -> Value {
        let output = self.run(&["token", "--json"]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let got = (output.status.code(), said["error"]["id"].as_str());
        assert_eq!(got, (Some(code), Some(id)), "{output:?}");
        // Three lines for a person, and no token in any of them. If there is a pause, it is that run's too.
        self.s.stretch_cooldown();
        let told = self.run(&["token"]);
        assert!(!format!("{output:?}{told:?}").contains("eyJ"), "{output:?}{told:?}");
        said["error"].clone()
    }

    /// Lets the shared pause after a failure pass, without a clock of ours.
    pub(crate) fn wait(&self) {
        self.s.edit(|record| drop(record.as_object_mut().expect("an object").remove("cooldown")));
    }

    fn inject(&self, grant: FaultGrant, kind: FaultKind) {
        self.s.server.inject(Fault { grant, kind }, 1);
    }

    /// How many identity tokens were exchanged, and how many of those came again.
    pub(crate) fn exchanged(&self) -> (u64, u64) {
        let grants = self.s.server.grants();
        (grants.federations, grants.identity_reuses)
    }
}

#[test]
fn federation_by_the_vendors_variables_is_one_exchange_until_it_is_due() {
    let m = Machine::of_vendor();
    let before = m.json(&["status"]);
    assert_eq!(
        (&before["winner"]["source"], &before["winner"]["state"]),
        (&"federation".into(), &"not-yet-exchanged".into()),
        "{before}"
    );
    assert_eq!(token_requests(&m.s.server), 0, "a look asks nobody");
    let first = m.json(&["token"]);
    assert_eq!(first["source"], "federation");
    assert_eq!(m.json(&["token"])["token"], first["token"]);
    assert_eq!(m.exchanged(), (1, 0));

    // Near its end, and after a 401, the next identity token is exchanged: the file is read anew each time.
    m.refresh();
    m.s.expire();
    let second = m.json(&["token"]);
    assert_ne!(second["token"], first["token"]);
    m.refresh();
    let rejected = format!("{}:{}", second["login"].as_str().expect("an id"), second["generation"]);
    let third = m.json(&["token", "--rejected", &rejected]);
    assert_ne!(third["token"], second["token"]);
    assert_eq!(m.json(&["token", "--rejected", &rejected])["token"], third["token"], "already replaced");
    assert_eq!(m.exchanged(), (3, 0));
    assert_eq!(m.json(&["status", "--verify"])["verified"], true);
}

/// Sixty-four processes of one job, none of which finds a token: the platform is asked once, and the provider once.
#[test]
fn federation_of_many_cold_processes_is_one_identity_token_and_one_exchange() {
    let mut m = Machine::new(Options::default());
    m.s.set(RULE, "fdrl_local");
    m.s.set(ORGANIZATION, "550e8400-e29b-41d4-a716-446655440001");
    let url = format!("{}/v1/identity/token?api-version=2.0", m.s.server.base_url());
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url);
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", LOCAL_IDENTITY_REQUEST_TOKEN);
    // Most of them have started before the first is answered. Not longer, however long a busy machine needs for all: the
    // service is asked again when it keeps silent.
    m.s.server.set_latency(Duration::from_secs(1));
    let children: Vec<_> = (0..64).map(|_| m.s.start_token()).collect();
    let tokens: Vec<_> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", stderr(&output));
            output.stdout
        })
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(m.s.server.grants().identity_tokens, 1);
    assert_eq!(m.exchanged(), (1, 0));
}

/// An identity token that is good for one exchange is presented once, whatever became of the answer.
#[test]
fn federation_never_presents_a_single_use_identity_token_twice() {
    let m = Machine::of_vendor();
    m.json(&["token"]);
    m.s.expire();
    let error = m.fails(5, "identity-token-used");
    assert_eq!(error["cause"], "identity-used", "{error}");
    assert_eq!(m.exchanged(), (1, 0), "the provider was not asked");

    // Its answer is lost: it may have been exchanged.
    m.refresh();
    m.inject(FaultGrant::Federation, FaultKind::DropAfter);
    assert_eq!(m.fails(6, "outcome-unknown")["cause"], "identity-uncertain");
    m.wait();
    m.fails(5, "identity-token-used");
    assert_eq!(m.exchanged(), (2, 0));
    m.refresh();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (3, 0));

    // Signing out ends the token, and not the memory of what was presented.
    let out = m.json(&["logout"]);
    assert_eq!(out["logged_out"][0]["revocation"], "confirmed", "{out}");
    m.fails(5, "identity-token-used");
    m.refresh();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (4, 0));
}

/// What the provider certainly did not use is as good as before.
#[test]
fn federation_presents_again_what_was_not_used() {
    let m = Machine::of_vendor();
    m.inject(FaultGrant::Federation, FaultKind::Status503);
    m.fails(6, "unreachable");
    m.wait();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (1, 0));
}

/// One without a number may be exchanged as often as it lasts, and so may one that the configuration says so of.
#[test]
fn federation_exchanges_an_identity_token_without_a_number_again() {
    let m = Machine::of_vendor();
    m.keep(&Workload { numbered: false, ..m.workload() });
    m.json(&["token"]);
    m.s.expire();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (2, 0));
}

#[test]
fn federation_tells_an_absent_expired_or_unreadable_identity_token_apart_and_spends_nothing() {
    let mut m = Machine::of_vendor();
    fs::remove_file(m.file()).expect("ours");
    let error = m.fails(5, "identity-token-missing");
    assert!(error.to_string().contains("identity-token cannot be read"), "{error}");
    m.keep(&Workload { lifetime: -3600, ..m.workload() });
    assert_eq!(m.fails(5, "identity-token-expired")["cause"], "identity-expired");
    fs::write(m.file(), "not.a.jwt\n").expect("ours");
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-unreadable");
    fs::write(m.file(), m.s.server.identity_token(&m.workload()).expect("a token")).expect("ours");
    fs::set_permissions(m.file(), fs::Permissions::from_mode(0o666)).expect("ours");
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "writable-by-others");
    assert_eq!(token_requests(&m.s.server), 0);

    // The path comes from a variable: a repository must not choose it.
    fs::set_permissions(m.file(), fs::Permissions::from_mode(0o600)).expect("ours");
    let repository = m.s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("a repository");
    let inside = repository.join("identity-token");
    fs::copy(m.file(), &inside).expect("a copy");
    let mut command = m.s.keyfob(["token", "--json"]);
    let refused = command.current_dir(&repository).env(TOKEN_FILE, &inside).output().expect("it runs");
    let said: Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(
        (&said["error"]["id"], &said["error"]["cause"]),
        (&"identity-token-missing".into(), &"in-repository".into())
    );
    assert_eq!(token_requests(&m.s.server), 0);
    m.json(&["token"]);

    // What lacks is named.
    m.s.set(ORGANIZATION, "");
    let error = m.fails(3, "environment-incomplete");
    assert!(error["cause"] == "federation-lacks" && error.to_string().contains(ORGANIZATION), "{error}");
}

#[test]
fn federation_by_a_rule_that_does_not_fit_is_refused_and_spends_nothing() {
    let mut m = Machine::of_vendor();
    m.s.set(RULE, "fdrl_owner");
    let stranger = Workload { subject: "repo:stranger/fork:pull_request".into(), ..m.workload() };
    m.keep(&stranger);
    let error = m.fails(5, "federation-refused");
    assert_eq!(error["cause"], "identity-not-accepted", "{error}");
    let told = stderr(&{
        m.wait();
        m.run(&["token"])
    });
    assert!(told.contains("no federation rule fits") && told.contains("repo:stranger/fork"), "{told}");
    assert_eq!(told.lines().filter(|line| !line.trim().is_empty()).count(), 3, "{told}");
    assert_eq!(m.exchanged(), (0, 0));
    // Once the rule fits, the very same token is exchanged.
    m.s.set(RULE, "fdrl_local");
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (1, 0));
}

#[test]
fn federation_in_a_github_job_without_the_permission_names_it() {
    let mut m = Machine::of_vendor();
    m.s.set(TOKEN_FILE, "");
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-variable-unset");
    // A job has a record of its own.
    fs::remove_file(m.s.record_path()).expect("ours");
    m.s.set("GITHUB_ACTIONS", "true");
    let error = m.fails(5, "identity-token-missing");
    assert_eq!(error["cause"], "identity-permission");
    let told = stderr(&m.run(&["token"]));
    assert!(told.contains("permissions: id-token: write"), "{told}");
    assert_eq!(token_requests(&m.s.server), 0);

    // Its service says no, is busy for a moment, and answers.
    let url = format!("{}/v1/identity/token", m.s.server.base_url());
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url);
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-another-job");
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-permission");
    m.wait();
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", LOCAL_IDENTITY_REQUEST_TOKEN);
    m.inject(FaultGrant::Identity, FaultKind::Html);
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-not-asked");
    m.wait();
    m.inject(FaultGrant::Identity, FaultKind::Status503);
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (1, 0));
}

#[test]
fn federation_reports_who_the_identity_token_says_this_is_and_never_the_token() {
    let m = Machine::of_vendor();
    let token = m.refresh();
    let doctor = m.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("repo:owner/name:ref:refs/heads/main"), "{said}");
    m.json(&["token"]);
    let status = m.json(&["status"]);
    let identity = &status["winner"]["identity_token"];
    assert_eq!(identity["subject"], "repo:owner/name:ref:refs/heads/main", "{status}");
    assert_eq!(identity["audience"][0], m.s.server.base_url());
    assert!(identity["issuer"].as_str().is_some_and(|issuer| issuer.ends_with("/identity")));
    let page = m.run(&["status", "--all"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("The workload `repo:owner/name:ref:refs/heads/main`"), "{page}");
    let profiles = m.run(&["profiles"]);
    let record = fs::read_to_string(m.s.record_path()).expect("the record");
    let all = format!("{said}{status}{page}{profiles:?}{record}");
    assert!(!all.contains(&token), "nobody sees its text, and no record keeps it");
}

/// The program below `exec` gets a credential, and no means to get another one; a keyfob below it finds the same one.
#[test]
fn federation_gives_the_program_below_exec_no_identity_token() {
    let mut m = Machine::of_vendor();
    m.s.set(TOKEN_FILE, "");
    let token = m.refresh();
    m.s.set(TOKEN, &token);
    let first = m.json(&["token"]);
    let output = m.run(&["exec", "--", "env"]);
    assert!(output.status.success() && !format!("{output:?}").contains(&token), "{output:?}");
    let nested = format!("'{}' token", keyfob_testkit::program());
    let below = m.run(&["exec", "--", "sh", "-c", &nested]);
    assert_eq!(String::from_utf8_lossy(&below.stdout).trim(), first["token"].as_str().expect("a token"));
    assert_eq!(m.exchanged(), (1, 0));
}

/// The contract, "Which credential wins": behind the refresh token of a variable, before the stored login.
#[test]
fn federation_comes_before_the_stored_login_and_is_passed_over_for_a_named_profile() {
    let mut m = Machine::of_vendor();
    m.s.sign_in("default", "ada@example.com");
    assert_eq!(m.json(&["token"])["source"], "federation");
    let named = m.json(&["token", "--profile", "default"]);
    assert_eq!(named["source"], "login");
    let minted = m.s.server.mint("ci@example.com", "user:profile user:inference").expect("tokens");
    m.s.set("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", &minted.refresh_token);
    assert_eq!(m.json(&["token"])["source"], "refresh-token");
}

/// RFC 8693 §2.1, by a client that authenticates, with everything that can be said.
#[test]
fn federation_by_token_exchange_is_configured() {
    let clients = vec![Client::confidential("ci", "s3cret").expect("a client")];
    let m = Machine::new(Options { clients, ..Options::default() });
    let secret = m.s.home.path().join("client-secret");
    fs::write(&secret, "s3cret").expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("ours");
    let base = m.s.server.base_url();
    let keys = format!("client_id = \"ci\"\nclient_secret_file = \"{}\"", secret.display());
    let federation = |audience: &str| {
        format!(
            "grant = \"token-exchange\"\nidentity_token_file = \"{}\"\naudience = [\"{audience}\"]\n\
             resource = [\"{base}\"]\nscopes = [\"user:inference\"]\nrequested_token_type = \"access_token\"\n\
             members = {{ note = \"from a test\" }}",
            m.file().display()
        )
    };
    m.write(&keys, &federation("https://unknown.example"));
    m.refresh();
    let refused = m.fails(5, "federation-refused");
    assert!(refused.to_string().contains("invalid_target"), "{refused}");
    m.write(&keys, &federation(&base));
    let first = m.json(&["token"]);
    assert_eq!(first["source"], "federation");
    let requests = m.s.server.requests();
    let asked = requests.iter().rfind(|request| request.path == "/v1/oauth/token").expect("a request");
    assert!(asked.credential == ["basic"] && asked.status == 200, "{asked:?}");
    // The subject token of an exchange may come again, unless the configuration says otherwise. This provider says so.
    m.keep(&Workload { numbered: false, ..m.workload() });
    let rejected = format!("{}:{}", first["login"].as_str().expect("an id"), first["generation"]);
    assert_ne!(m.json(&["token", "--rejected", &rejected])["token"], first["token"]);
    assert_eq!(m.exchanged(), (2, 0));
}

#[test]
fn federation_takes_its_identity_token_from_a_variable_or_a_command() {
    let mut m = Machine::configured(Options::default(), "", "identity_token_variable = \"CI_ID_TOKEN\"");
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-variable-unset");
    let token = m.refresh();
    m.s.set("CI_ID_TOKEN", &token);
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (1, 0));

    m.write("", &format!("identity_token_command = \"cat '{}'\"", m.file().display()));
    m.refresh();
    m.json(&["token"]);
    m.write("", "identity_token_command = \"echo locked >&2; exit 3\"\nbody = \"json\"");
    let error = m.fails(5, "identity-token-missing");
    assert!(error.to_string().contains("it said: locked") && error["cause"] == "command-failed", "{error}");
    assert_eq!(m.exchanged(), (2, 0));
}

/// How often a command ran that writes a line to this file each time.
fn runs(file: &std::path::Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// A command that gives the same numbered token again, or a key that cannot be had, is not run by every call.
#[test]
fn federation_runs_no_command_at_every_call_for_what_it_cannot_exchange() {
    let m = Machine::new(Options::default());
    let ran = m.s.home.path().join("ran");
    let command =
        format!("identity_token_command = \"echo x >> '{}'; cat '{}'\"", ran.display(), m.file().display());
    m.write("", &command);
    m.refresh();
    m.json(&["token"]);
    m.s.expire();
    m.fails(5, "identity-token-used");
    assert_eq!(runs(&ran), 2);
    let told = stderr(&m.run(&["token"]));
    assert!(told.contains("asking again is allowed in"), "{told}");
    assert_eq!(runs(&ran), 2, "the pause is for all processes");
    m.keep(&Workload { lifetime: -3600, ..m.workload() });
    m.wait();
    m.fails(5, "identity-token-expired");
    assert_eq!(runs(&ran), 3);
    m.wait();
    m.refresh();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (2, 0));
}

/// RFC 7523 §2.2: a client that signs, on a machine whose clock is wrong. A refused client was given nothing, so the same
/// identity token is exchanged by a request that is dated by the provider's clock.
#[test]
fn federation_of_a_client_that_signs_is_dated_by_the_providers_clock() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/keyfob/tests/keys");
    let key = |name: &str| fs::read_to_string(format!("{keys}/{name}.pem")).expect("a key");
    for turned in [-600, 600] {
        let clients = vec![Client::with_key("signer", &key("p256.pub")).expect("a client")];
        let m = Machine::new(Options { clients, ..Options::default() });
        let ran = m.s.home.path().join("ran");
        let kept = m.s.home.path().join("client-key.pem");
        let keys = format!(
            "issuer = \"{}\"\nclient_id = \"signer\"\nclient_key_command = \"echo x >> '{}'; cat '{}'\"",
            m.s.server.base_url(),
            ran.display(),
            kept.display()
        );
        m.write(&keys, &format!("identity_token_file = \"{}\"", m.file().display()));
        m.s.server.advance(turned);
        m.keep(&Workload { lifetime: 3600, ..m.workload() });
        m.fails(3, "client-key");
        m.run(&["token"]);
        assert_eq!(runs(&ran), 1, "a command that fails is not run by every call");
        assert_eq!(token_requests(&m.s.server), 0, "and nothing was asked");
        m.wait();
        fs::write(&kept, key("p256")).expect("a file");
        let first = m.json(&["token"]);
        assert_eq!((token_requests(&m.s.server), m.exchanged()), (2, (1, 0)), "{turned}");
        m.keep(&Workload { lifetime: 3600, ..m.workload() });
        let rejected = format!("{}:{}", first["login"].as_str().expect("an id"), first["generation"]);
        m.json(&["token", "--rejected", &rejected]);
        assert_eq!((token_requests(&m.s.server), m.exchanged()), (3, (2, 0)), "it is known by then");
    }
}

/// A machine whose clock is seven minutes fast: by it, every identity token of five minutes has ended when it is issued.
#[test]
fn federation_on_a_machine_whose_clock_is_fast() {
    let mut m = Machine::of_vendor();
    m.s.server.advance(-420);
    m.keep(&Workload { lifetime: 3600, ..m.workload() });
    m.json(&["token"]);
    m.s.expire();
    m.refresh();
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (2, 0), "the answer to the first told the provider's clock");
    let doctor = m.run(&["doctor"]);
    assert!(!format!("{doctor:?}").contains("expired"), "{doctor:?}");

    // GitHub issues one for the call: it is never old.
    m.s.set(TOKEN_FILE, "");
    let url = format!("{}/v1/identity/token?api-version=2.0", m.s.server.base_url());
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url);
    m.s.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", LOCAL_IDENTITY_REQUEST_TOKEN);
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (3, 0));
}

/// Half a federation is refused before any network use, naming the key and its line.
#[test]
fn federation_with_a_wrong_configuration_names_the_key() {
    let m = Machine::new(Options::default());
    for (keys, key) in [
        ("", "identity_token"),
        ("identity_token = \"gitlab\"", "identity_token"),
        ("identity_token = \"github\"\nidentity_token_file = \"/x\"", "identity_token_file"),
        ("identity_token_file = \"x\"", "identity_token_file"),
        ("identity_token_variable = \"A B\"", "identity_token_variable"),
        ("identity_token_file = \"/x\"\nidentity_token_audience = \"a\"", "identity_token_audience"),
        ("identity_token_variable = \"X\"\nidentity_token_audience = \"a\"", "identity_token_audience"),
        ("identity_token_command = \"x\"\nidentity_token_audience = \"a\"", "identity_token_audience"),
        ("identity_token = \"github\"\ngrant = \"saml\"", "grant"),
        ("identity_token = \"github\"\nbody = \"xml\"", "body"),
        ("identity_token = \"github\"\nsubject_token_type = \"jwt\"", "subject_token_type"),
        ("identity_token = \"github\"\nmembers = { assertion = \"x\" }", "members"),
        ("identity_token = \"github\"\nresource = [\"here\"]", "resource"),
        ("identity_token = \"github\"\nsingle_use = \"no\"", "single_use"),
        ("identity_token = \"github\"\nidentity = \"x\"", "identity"),
    ] {
        m.write("", keys);
        let error = m.fails(3, "config-malformed");
        let told = error.to_string();
        assert!(
            told.contains(&format!("`{key}`")) && told.contains("environments.ci.federation"),
            "{keys}: {told}"
        );
    }
    assert!(m.s.server.requests().is_empty());
}
