//! Where a sign-in leads: the local provider with separate ports and paths for each base, the console's page, and
//! staging, which has no address unless the configuration gives one.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use keyfob_dev::{DevServer, Options};
use serde_json::Value;
use ureq::ResponseExt;

use keyfob_testkit::{Sandbox, stderr};

/// Three ports: the API on one, the sign-in page below `/apps` on another, the console below `/console` on a third.
struct Local {
    s: Sandbox,
    apps: String,
    console: String,
}

impl Local {
    fn new() -> Self {
        let options = Options { port: 0, page_ports: vec![0, 0], auto_approve: true, ..Options::default() };
        let s = Sandbox::at(DevServer::start(options).expect("a provider"));
        let at = |port: usize, path| format!("http://127.0.0.1:{}{path}", s.server.ports()[port]);
        let (apps, console) = (at(1, "/apps"), at(2, "/console"));
        Self { s, apps, console }
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = self.s.keyfob(words);
        command.env("CLAUDE_LOCAL_OAUTH_APPS_BASE", &self.apps);
        command.env("CLAUDE_LOCAL_OAUTH_CONSOLE_BASE", &self.console);
        command
    }

    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let output = self.keyfob(&words).output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Signs in; the address that was printed.
    fn sign_in(&self, words: &[&str]) -> String {
        sign_in(self.keyfob(words))
    }
}

/// Follows the printed address, as a browser would, and pastes where it ended.
fn sign_in(mut command: Command) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut url = String::new();
    stdout.read_line(&mut url).expect("an address");
    let url = url.trim().to_owned();
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    // A page that shows a code has it in its address, too; a callback has been taken by then.
    let last = agent.get(&url).call().map_or_else(|_| String::new(), |page| page.get_uri().to_string());
    let _ = writeln!(child.stdin.take().expect("a pipe"), "{last}");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{last}\n{}", stderr(&output));
    url
}

#[test]
fn each_base_has_its_own_port_and_path() {
    let local = Local::new();
    let url = local.sign_in(&["login", "--no-browser"]);
    assert!(url.starts_with(&format!("{}/oauth/authorize?", local.apps)), "{url}");
    let status = local.json(&["status", "--verify"]);
    assert_eq!(status["verified"], true);
    let env = local.json(&["env"]);
    let environment = &env["environment"];
    assert_eq!(environment["api_base"], local.s.server.base_url());
    assert_eq!(environment["apps_base"], local.apps.as_str());
    assert_eq!(environment["console_base"], local.console.as_str());
    // The login is the API's, whichever page it came from, and is renewed there.
    let mut renewed = local.keyfob(&["token", "--min-valid", "31536000"]);
    assert!(renewed.output().expect("it runs").status.success());
    assert_eq!(local.s.server.grants().refreshes, 1);
    let paths: Vec<_> = local.s.server.requests().into_iter().map(|r| r.path).collect();
    assert!(paths.iter().any(|path| path == "/apps/oauth/authorize"), "{paths:?}");
    assert!(
        paths.iter().all(|path| !path.starts_with("/apps/v1") && !path.starts_with("/apps/api")),
        "{paths:?}"
    );
    assert_eq!(local.json(&["logout"])["logged_out"][0]["revocation"], "confirmed");
}

/// For accounts that use API keys.
#[test]
fn console_sign_in_uses_the_console_page() {
    let local = Local::new();
    let url = local.sign_in(&["login", "--no-browser", "--console"]);
    assert!(url.starts_with(&format!("{}/oauth/authorize?", local.console)), "{url}");
    assert!(url.contains("scope=org%3Acreate_api_key+user%3Aprofile"), "{url}");
    assert_eq!(local.json(&["status"])["winner"]["state"], "valid");
}

/// The page that shows a code is below the sign-in page's base.
#[test]
fn the_code_is_shown_below_the_apps_base() {
    let local = Local::new();
    let url = local.sign_in(&["login", "--paste"]);
    let redirect: String = url::form_urlencoded::byte_serialize(local.apps.as_bytes()).collect();
    assert!(url.contains(&format!("redirect_uri={redirect}%2Foauth%2Fcode%2Fcallback")), "{url}");
    assert_eq!(local.json(&["status"])["winner"]["state"], "valid");
}

fn configure(s: &Sandbox, text: &str) {
    let dir = s.home.path().join("keyfob");
    fs::create_dir_all(&dir).expect("ours");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(dir.join("config.toml"), text).expect("a file");
}

#[test]
fn staging_is_what_the_configuration_says() {
    let s = Sandbox::new();
    let staging = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").env("USE_STAGING_OAUTH", "1");
        command
    };
    // Nothing public, nothing guessed, never production instead; and nobody was asked.
    for words in [&["login", "--no-browser"][..], &["token"], &["connect"]] {
        let output = staging(words).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("the environment `staging` is incomplete"), "{said}");
        assert!(said.contains("configuration file"), "{said}");
    }
    assert!(s.server.requests().is_empty());

    let base = s.server.base_url();
    configure(
        &s,
        &format!(
            "[environments.staging]\nclient_id = \"keyfob-local\"\napi_base = \"{base}\"\n\
             authorize_url = \"{base}/apps/oauth/authorize\"\ntoken_url = \"{base}/v1/oauth/token\"\n"
        ),
    );
    let url = sign_in(staging(&["login", "--no-browser"]));
    assert!(url.starts_with(&format!("{base}/apps/oauth/authorize?")), "{url}");
    let output = staging(&["status", "--json"]).output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["winner"]["state"], "valid", "{said}");

    // The variable chooses, whatever the file does; and both at once is a mistake.
    let local = s.output(&["--environment", "staging", "env", "--json"]);
    let said: Value = serde_json::from_slice(&local.stdout).expect("JSON");
    assert_eq!(said["environment"]["name"], "local");
    let both = staging(&["token"]).env("USE_LOCAL_OAUTH", "1").output().expect("it runs");
    assert_eq!(both.status.code(), Some(3));
    assert!(stderr(&both).contains("USE_LOCAL_OAUTH") && stderr(&both).contains("USE_STAGING_OAUTH"));
}

/// A login belongs to those who minted it: what the configuration says today leads none of its tokens elsewhere.
#[test]
fn another_base_of_today_gets_nothing() {
    let (s, other) = (Sandbox::new(), Sandbox::new());
    let dir = s.home.path().join("keyfob");
    std::fs::create_dir_all(&dir).expect("a directory");
    let ours = s.server.base_url();
    let write = |base: &str| {
        let config = format!(
            "environment = \"work\"\n[environments.work]\nissuer = \"{ours}\"\nclient_id = \"keyfob-local\"\n\
             authorize_url = \"{ours}/oauth/authorize\"\ntoken_url = \"{ours}/v1/oauth/token\"\napi_base = \"{base}\"\n"
        );
        std::fs::write(dir.join("config.toml"), config).expect("a file");
    };
    let run = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").stdin(std::process::Stdio::null());
        command.output().expect("it runs")
    };
    write(&ours);
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let token = s.home.path().join("token");
    std::fs::write(&token, &minted.refresh_token).expect("a file");
    let mut login = s.keyfob(["login", "--with-token", "refresh"]);
    login.env_remove("USE_LOCAL_OAUTH").stdin(std::fs::File::open(&token).expect("a file"));
    let output = login.output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    write(&other.server.base_url());
    let before = s.server.requests().len();
    for words in
        [&["status", "--verify"][..], &["connect"], &["device", "status"], &["token", "--min-valid", "7200"]]
    {
        let output = run(words);
        assert!(!stderr(&output).contains("error: the provider"), "{words:?}: {}", stderr(&output));
        assert_eq!(other.server.requests().len(), 0, "{words:?}");
    }
    assert!(s.server.requests().len() >= before + 3, "its own provider was asked");
    assert!(run(&["logout"]).status.success());
    assert_eq!(other.server.requests().len(), 0);
}
