//! Providers that give an installed application a secret, and require it in addition to PKCE: a user signs in, and
//! every request of the client carries it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};

use keyfob_dev::{Client, Options};
use serde_json::Value;

use crate::visitor::follow;
use keyfob_testkit::{Sandbox, stderr};

/// With everything in it that a naive header would get wrong.
const SECRET: &str = "n0t:really%a+secret&1";

struct Desktop(Sandbox);

impl Desktop {
    fn new(place: &str, keys: &str) -> Self {
        let clients = vec![Client::confidential("desktop", SECRET).expect("a client")];
        let options = Options { clients, device_interval: Duration::from_secs(1), ..Options::default() };
        let s = Sandbox::with(options);
        let dir = s.home.path().join("keyfob");
        fs::create_dir_all(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
        let base = s.server.base_url();
        let place = place.replace("FILE", &s.home.path().join("secret").display().to_string());
        let config = format!(
            "environment = \"work\"\n\n[environments.work]\nclient_id = \"desktop\"\napi_base = \"{base}\"\n\
             apps_base = \"{base}\"\n{place}\n{keys}\n"
        );
        fs::write(dir.join("config.toml"), config).expect("a file");
        let desktop = Self(s);
        desktop.keep(SECRET);
        desktop
    }

    fn keep(&self, secret: &str) {
        let file = self.0.home.path().join("secret");
        fs::write(&file, format!("{secret}\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = self.0.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn out(&self, words: &[&str]) -> String {
        let output = self.keyfob(words).output().expect("the command runs");
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The record, which must not hold the secret.
    fn record(&self) -> String {
        let logins = fs::read_dir(self.0.home.path().join("keyfob/logins")).expect("the logins");
        let mut records = logins.map(|entry| entry.expect("an entry").path());
        let record = records.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record");
        let text = fs::read_to_string(record).expect("text");
        assert!(!text.contains("n0t:really") && !text.contains("n0t%3Areally"), "{text}");
        text
    }
}

/// The exchange, the renewal and the revocation carry it, in either place, from a file or a command; the login
/// remembers where it is and nothing else.
#[test]
fn every_request_of_the_client_carries_it() {
    for (place, auth) in [
        ("client_secret_file = \"FILE\"", "client_secret_post"),
        ("client_secret_file = \"FILE\"", "client_secret_basic"),
        ("client_secret_command = \"cat FILE\"", "client_secret_post"),
    ] {
        let desktop = Desktop::new(place, &format!("client_auth = \"{auth}\""));
        let output = follow(&mut desktop.keyfob(&["login", "--no-browser"]));
        assert!(output.status.success(), "{place} {auth}: {}", stderr(&output));
        assert!(desktop.record().contains(auth), "{}", desktop.record());
        let first = desktop.out(&["token"]);
        let second = desktop.out(&["token", "--min-valid", "7200"]);
        assert_ne!(first, second, "{place} {auth}");
        let end: Value = serde_json::from_str(&desktop.out(&["logout", "--json"])).expect("JSON");
        assert!(end.to_string().contains("confirmed"), "{end}");
        let requests = desktop.0.server.requests();
        assert!(requests.iter().all(|request| request.status < 400), "{requests:?}");
    }
}

/// The command runs in the worker, whose standard error is not read: its error message is passed on.
#[test]
fn what_the_command_says_reaches_the_person() {
    let desktop = Desktop::new("client_secret_command = \"echo unlock the vault >&2; cat FILE\"", "");
    let output = follow(&mut desktop.keyfob(&["login", "--no-browser"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let output = desktop.keyfob(&["token", "--min-valid", "7200"]).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("client_secret_command: unlock the vault\n"), "{}", stderr(&output));
}

/// A code typed on another device: the first request and each poll carry it.
#[test]
fn polls_carry_it_too() {
    let desktop = Desktop::new("client_secret_file = \"FILE\"", "client_auth = \"client_secret_post\"");
    // This provider's person agrees at once.
    let output = desktop.keyfob(&["login", "--device"]).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Without the secret no user is sent to a page, and nothing of a login is spent.
#[test]
fn without_it_nothing_is_asked() {
    let desktop = Desktop::new("client_secret_file = \"FILE\"", "");
    let file = desktop.0.home.path().join("secret");
    fs::remove_file(&file).expect("our file");
    let refused = |words: &[&str]| {
        let before = desktop.0.server.requests().len();
        let output = desktop.keyfob(words).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("`client_secret_file` of environment `work`"),
            "{}",
            stderr(&output)
        );
        assert_eq!(desktop.0.server.requests().len(), before, "{words:?}");
    };
    refused(&["login", "--no-browser"]);
    refused(&["login", "--device"]);
    desktop.keep(SECRET);
    assert!(follow(&mut desktop.keyfob(&["login", "--no-browser"])).status.success());
    fs::remove_file(&file).expect("our file");
    refused(&["token", "--min-valid", "7200"]);
    desktop.keep(SECRET);
    desktop.out(&["token", "--min-valid", "7200"]);
}

/// A secret is that of the client it was written beside: another one's name does not get it.
#[test]
fn another_client_does_not_get_it() {
    let desktop = Desktop::new("client_secret_file = \"FILE\"", "");
    let mut command = desktop.keyfob(&["login", "--no-browser"]);
    command.env("CLAUDE_CODE_OAUTH_CLIENT_ID", "keyfob-local");
    let output = follow(&mut command);
    assert!(output.status.success(), "it is a public client: {}", stderr(&output));
    assert!(!desktop.record().contains("client_secret"), "{}", desktop.record());
}

/// RFC 6749 §5.2: a client that is refused is named, with a hint.
#[test]
fn a_refused_client_is_named() {
    // The provider knows this client with a secret, and the configuration does not.
    let desktop = Desktop::new("", "");
    let by_browser = follow(&mut desktop.keyfob(&["login", "--no-browser"]));
    let by_code = desktop.keyfob(&["login", "--device"]).output().expect("it runs");
    for output in [by_browser, by_code] {
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains("refused client `desktop`") && told.contains("client_secret_file"), "{told}");
    }
}
