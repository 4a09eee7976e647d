//! First use: a machine on which nothing is set up, and a provider unknown to keyfob.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

use keyfob_dev::{Client, DevServer, Options};
use keyfob_testkit::{Ran, bare, program, provider, provider_with};
use serde_json::Value;

use crate::{
    screen::Screen,
    visitor::{Answer, follow},
};

/// A user with an empty home directory and no relevant variable.
struct Fresh {
    server: DevServer,
    home: tempfile::TempDir,
}

impl Fresh {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("keyfob-home-").tempdir().expect("a directory");
        Self { server: provider(), home }
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "tests start the real command")]
        let mut command = Command::new(program());
        bare(&mut command, self.home.path()).args(words).stdin(std::process::Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.keyfob(words).output().expect("it runs").into()
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(self.run(&[words, &["--json"]].concat()).answer()).expect("JSON")
    }

    /// The words of an `init` that names the development provider.
    fn init<'w>(&self, base: &'w str, more: &[&'w str]) -> Vec<&'w str> {
        [&["init", "--issuer", base, "--client-id", "keyfob-local"][..], more].concat()
    }

    fn config(&self) -> PathBuf {
        self.home.path().join(".config/keyfob/config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).expect("the configuration")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.config().parent().expect("a directory")).expect("ours");
        fs::write(self.config(), text).expect("ours");
    }
}

/// From nothing to a token: each step names the next one, and no variable is needed on the way.
#[test]
fn a_fresh_machine_is_led_to_a_token() {
    let f = Fresh::new();
    let base = f.server.base_url();
    assert_eq!(f.run(&["status"]).code, Some(1));
    for words in [&["login"][..], &["token"]] {
        let ran = f.run(words);
        assert!(ran.err.contains("keyfob init --issuer URL --client-id ID"), "{words:?}: {ran:?}");
    }
    assert!(f.run(&["profiles"]).err.contains("`keyfob status` says how to"));
    let asked = f.run(&["init"]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("there is no terminal to ask at"), "{asked:?}");
    assert!(asked.err.contains("keyfob init --issuer URL --client-id ID"), "{asked:?}");
    assert!(f.server.requests().is_empty() && !f.config().exists());

    let output = follow(&mut f.keyfob(&f.init(&base, &["--no-browser"])));
    let ran = Ran::from(output);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for said in [
        &format!("sign-in page    {base}/oauth/authorize")[..],
        "PKCE            S256",
        "refresh tokens  with the scope offline_access",
        "  http://127.0.0.1/callback\n",
        "  [environments.work]\n",
        "Signed in as dev@example.com",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert_eq!(
        f.text(),
        format!(
            "environment = \"work\"\n\n[environments.work]\nissuer = \"{base}\"\nclient_id = \"keyfob-local\"\n\
             scopes = [\"openid\", \"email\", \"offline_access\"]\n"
        )
    );
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(f.config()), mode(f.config().parent().expect("a directory").into())), (0o600, 0o700));

    let status = f.json(&["status"]);
    assert_eq!(status["identity"]["email"], "dev@example.com");
    assert!(f.run(&["token"]).answer().len() > 20);
    let profiles = f.json(&["profiles"]);
    assert_eq!(profiles["profiles"][0]["environment"], "work");
    assert_eq!(f.run(&["logout"]).code, Some(0));
}

/// `login` does the same on the way, for users who start there.
/// A job sets up a provider and has nobody to sign in: what was written stays, and that is said with the way on.
#[test]
fn what_was_set_up_where_nobody_can_sign_in_is_told() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let ran = f.run(&["init", "--issuer", &base, "--client-id", "keyfob-local"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.err.contains("error: environment `work` is set up, but nobody is here to sign in to it"),
        "{ran:?}"
    );
    assert!(ran.err.contains("`keyfob login --device`") && ran.err.contains("`--no-login`"), "{ran:?}");
    assert!(f.text().contains("[environments.work]"));
}

#[test]
fn login_sets_a_provider_up_on_the_way() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let words = [
        "login",
        "--issuer",
        &base,
        "--client-id",
        "keyfob-local",
        "--scope",
        "openid",
        "--scope",
        "email",
        "--no-browser",
    ];
    let ran = Ran::from(follow(&mut f.keyfob(&words)));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(f.text().contains("scopes = [\"openid\", \"email\"]\n"), "{}", f.text());
    let before = f.text();
    // Once more is once.
    assert_eq!(Ran::from(follow(&mut f.keyfob(&words))).code, Some(0));
    assert_eq!(f.text(), before);
    let half = f.run(&["login", "--issuer", &base]);
    assert_eq!(half.code, Some(2), "{half:?}");
}

#[test]
fn init_is_repeatable_and_answers_in_json() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let words = f.init(&base, &["--no-login", "--port", "8765", "--redirect", "localhost"]);
    let first = f.json(&words);
    assert_eq!((&first["environment"], &first["default"]), (&"work".into(), &true.into()), "{first}");
    assert_eq!((&first["changed"], &first["issuer"]), (&true.into(), &base.as_str().into()), "{first}");
    assert_eq!(first["redirect_uri"], "http://localhost:8765/callback");
    assert_eq!(first["offer"]["token_endpoint"], format!("{base}/v1/oauth/token"));
    let text = f.text();
    let again = f.json(&words);
    assert_eq!(again["changed"], false);
    assert_eq!(f.text(), text);
    // What was not said again stays.
    assert_eq!(f.json(&f.init(&base, &["--no-login"]))["redirect_uri"], "http://localhost:8765/callback");
    assert_eq!(f.json(&["init", "work", "--no-login"])["changed"], false);
    assert_eq!(f.text(), text);
}

/// Existing files are not touched, and nothing is changed without notice.
#[test]
fn what_the_file_says_already_stays() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let before = "# Ours.\nprefer = 'oauth'   # because\n\n[environments.ci] # the machine\nissuer = \"https://ci.example\"\n";
    f.write(&format!("environment = \"ci\"\n{before}"));
    let ran = f.run(&f.init(&base, &["--no-login"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("The default stays `ci`"), "{ran:?}");
    assert!(ran.err.contains("keyfob --environment work login"), "{ran:?}");
    assert!(f.text().starts_with(&format!("environment = \"ci\"\n{before}")), "{}", f.text());
    let text = f.text();

    let other = ["init", "--issuer", &base, "--client-id", "another", "--no-login"];
    let refused = f.run(&other);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("its `client_id` is \"keyfob-local\", and you said \"another\""),
        "{refused:?}"
    );
    assert_eq!(f.text(), text);
    let replaced = f.run(&[&other[..], &["--replace"]].concat());
    assert_eq!(replaced.code, Some(0), "{replaced:?}");
    assert_eq!(f.text(), text.replace("keyfob-local", "another"));
    assert!(
        replaced.err.contains("- client_id = \"keyfob-local\"\n  + client_id = \"another\""),
        "{replaced:?}"
    );
    // Another name is another environment.
    let named = f.json(&["init", "staff", "--issuer", &base, "--client-id", "keyfob-local", "--no-login"]);
    assert_eq!(named["environment"], "staff");
    let twice = f.run(&["--environment", "x", "init", "y", "--issuer", &base, "--client-id", "z"]);
    assert_eq!(twice.code, Some(2), "{twice:?}");
}

/// The provider's own spelling counts (RFC 8414 §3.3), and people copy the address of the metadata.
#[test]
fn an_issuer_that_is_nearly_right_is_put_right() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let document = format!("{base}/.well-known/openid-configuration");
    for given in [format!("{base}/"), document] {
        let ran = f.run(&f.init(&given, &["--no-login"]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(f.text().contains(&format!("issuer = \"{base}\"\n")), "{}", f.text());
    }
    let slash = f.run(&f.init(&format!("{base}/"), &["--no-login"]));
    assert!(slash.err.contains(&format!("The provider calls itself {base}")), "{slash:?}");
    // Where somebody wrote the slash into the file, the sign-in says what to write.
    f.write(&f.text().replace(&format!("{base}\""), &format!("{base}/\"")));
    let login = f.run(&["login", "--no-browser"]);
    assert_eq!(login.code, Some(5), "{login:?}");
    assert!(login.err.contains("the issuer must be exactly what the provider calls itself"), "{login:?}");
    assert!(login.err.contains(&format!("write issuer = \"{base}\" in [environments.work]")), "{login:?}");
}

/// Errors of the provider or the arguments are found before anything is written.
#[test]
fn nothing_is_written_for_what_would_not_work() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let fails = |words: &[&str], code: i32, said: &str| {
        let ran = f.run(words);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        assert!(ran.err.contains(said), "{words:?}: {said}: {ran:?}");
        assert!(!f.config().exists(), "{words:?}");
    };
    fails(&f.init("login.company.com", &[]), 2, "is no issuer");
    fails(&f.init("http://login.company.com", &[]), 2, "is no issuer");
    fails(&f.init("http://127.0.0.1:1", &[]), 6, "127.0.0.1");
    fails(&f.init(&format!("{base}/nowhere"), &[]), 5, "metadata");
    fails(&f.init(&base, &["--scope", "a\u{1b}b"]), 2, "these are no scopes");
    fails(&["init", "production", "--issuer", &base, "--client-id", "x"], 2, "that one is built in");
    fails(&["init", "a b", "--issuer", &base, "--client-id", "x"], 2, "cannot be called `a b`");
    fails(&["init", "--issuer", &base, "--client-id", ""], 2, "client");
    fails(&["init", "--issuer", &base], 2, "--client-id is missing");

    // A variable of the contract would lead the sign-in elsewhere.
    for (variable, value) in [
        ("USE_LOCAL_OAUTH", "1"),
        ("CLAUDE_CODE_OAUTH_CLIENT_ID", "theirs"),
        ("CLAUDE_CODE_OAUTH_SCOPES", "a b"),
    ] {
        let ran = Ran::from(f.keyfob(&f.init(&base, &[])).env(variable, value).output().expect("it runs"));
        assert_eq!(ran.code, Some(2), "{variable}: {ran:?}");
        assert!(ran.err.contains(&format!("unset {variable}")), "{ran:?}");
        assert!(!f.config().exists(), "{variable}");
    }
    let mut told = f.keyfob(&f.init(&base, &["--no-login"]));
    let told = Ran::from(told.env("USE_LOCAL_OAUTH", "1").output().expect("it runs"));
    assert!(
        told.code == Some(0) && told.err.contains("warning: USE_LOCAL_OAUTH chooses another"),
        "{told:?}"
    );
    assert!(f.config().exists());
}

/// What is not ours to write is not written: a link into a repository of dotfiles, a file that others could have written.
#[test]
fn a_link_or_an_open_file_is_refused_and_left() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let dotfiles = f.home.path().join("dotfiles.toml");
    fs::write(&dotfiles, "prefer = \"oauth\"\n").expect("ours");
    fs::create_dir_all(f.config().parent().expect("a directory")).expect("ours");
    symlink(&dotfiles, f.config()).expect("ours");
    let linked = f.run(&f.init(&base, &["--no-login"]));
    assert_eq!(linked.code, Some(3), "{linked:?}");
    assert!(linked.err.contains("[environments.work]"), "the lines are shown: {linked:?}");
    assert!(linked.err.contains("put those lines into ~/dotfiles.toml yourself"), "{linked:?}");
    assert_eq!(fs::read_to_string(&dotfiles).expect("ours"), "prefer = \"oauth\"\n");
    assert!(f.config().is_symlink());

    fs::remove_file(f.config()).expect("ours");
    fs::write(f.config(), "").expect("ours");
    fs::set_permissions(f.config(), fs::Permissions::from_mode(0o666)).expect("ours");
    let open = f.run(&f.init(&base, &["--no-login"]));
    assert_eq!(open.code, Some(3), "{open:?}");
    fs::set_permissions(f.config(), fs::Permissions::from_mode(0o644)).expect("ours");
    f.write("sael = \"kernel\"\n");
    let wrong = f.run(&f.init(&base, &["--no-login"]));
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    assert!(wrong.err.contains("line 1: `sael` is not a key"), "{wrong:?}");
}

/// The guide's one line for sealing, on a new machine and in a file with sections.
#[test]
fn init_sets_the_seal_where_it_belongs() {
    let f = Fresh::new();
    let base = f.server.base_url();
    assert_eq!(f.json(&["init", "--seal", "kernel"])["changed"], true);
    assert_eq!(f.text(), "seal = \"kernel\"\n");
    assert!(f.server.requests().is_empty(), "no provider is asked");
    fs::remove_file(f.config()).expect("ours");
    f.run(&f.init(&base, &["--no-login"])).answer();
    f.run(&["init", "--seal", "kernel"]).answer();
    assert!(
        f.text().starts_with("environment = \"work\"\nseal = \"kernel\"\n\n[environments.work]\n"),
        "{}",
        f.text()
    );
    let other = f.run(&["init", "--seal", "file"]);
    assert!(
        other.code == Some(2) && other.err.contains("it says \"kernel\", and you said \"file\""),
        "{other:?}"
    );
    f.run(&["init", "--seal", "file", "--replace"]).answer();
    assert_eq!(f.run(&["env"]).code, Some(0), "it is read");
}

/// A client whose public key is registered: by the file of the private one, and never beside a secret.
#[test]
fn a_client_with_a_key_is_set_up_by_the_file_that_holds_it() {
    let key = |name: &str| {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/keyfob/tests/keys");
        fs::read_to_string(format!("{dir}/{name}.pem")).expect("a key")
    };
    let clients = vec![Client::with_key("desktop", &key("ed25519.pub")).expect("a client")];
    let f = Fresh { server: provider_with(Options { clients, ..Options::default() }), ..Fresh::new() };
    let base = f.server.base_url();
    let file = f.home.path().join("key.pem");
    fs::write(&file, key("ed25519")).expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let words = ["init", "--issuer", &base, "--client-id", "desktop", "--client-key-file", "key.pem"];
    let both = f.run(&[&words[..], &["--client-secret-file", "key.pem", "--no-login"]].concat());
    assert_eq!(both.code, Some(2), "{both:?}");
    let ran = Ran::from(follow(&mut f.keyfob(&[&words[..], &["--no-browser"]].concat())));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(f.text().contains(&format!("client_key_file = \"{}\"\n", file.display())), "{}", f.text());
}

/// Some providers give a secret to installed applications too.
#[test]
fn a_client_with_a_secret_is_set_up_by_the_file_that_holds_it() {
    let clients = vec![Client::confidential("desktop", "hush-hush").expect("a client")];
    let f = Fresh { server: provider_with(Options { clients, ..Options::default() }), ..Fresh::new() };
    let base = f.server.base_url();
    let file = f.home.path().join("secret");
    fs::write(&file, "hush-hush\n").expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    // A path from where one stands is written down as one from anywhere.
    let words = [
        "init",
        "--issuer",
        &base,
        "--client-id",
        "desktop",
        "--client-secret-file",
        "secret",
        "--no-browser",
    ];
    let ran = Ran::from(follow(&mut f.keyfob(&words)));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(f.text().contains(&format!("client_secret_file = \"{}\"\n", file.display())), "{}", f.text());
    assert!(!ran.err.contains("hush") && !f.text().contains("hush"));
    assert!(f.run(&["token"]).answer().len() > 20);
}

/// A flag that a variable overrides is reported.
#[test]
fn an_environment_flag_that_a_variable_outranks_is_told() {
    let f = Fresh::new();
    // What would not count in the next call either is not repeated in it.
    let mut command = f.keyfob(&["--environment", "nope", "token"]);
    let ran = Ran::from(command.env("USE_LOCAL_OAUTH", "1").output().expect("it runs"));
    assert!(ran.err.contains("hint:  run `keyfob login`"), "{ran:?}");
    for (value, warned) in [("nope", true), ("local", false)] {
        let mut command = f.keyfob(&["--environment", value, "env", "--json"]);
        let ran = Ran::from(command.env("USE_LOCAL_OAUTH", "1").output().expect("it runs"));
        assert_eq!(ran.err.contains("--environment nope is not used"), warned, "{ran:?}");
        let said: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(said["environment"]["name"], "local");
    }
}

/// A user who types `keyfob init` and nothing else is asked, shown the change, and signed in.
#[test]
fn questions_at_a_terminal_lead_to_a_login() {
    let f = Fresh::new();
    let base = f.server.base_url();
    let screen = Screen::new(100);
    let mut command = f.keyfob(&["init", "--no-browser"]);
    let mut child = screen.start(command.env("TERM", "xterm-256color"));
    let answers = [
        ("Name for this environment [work]: ", "local\n"),
        ("that one is built in", ""),
        ("Issuer, the address of your provider", ""),
    ];
    screen.shows(answers[0].0);
    screen.type_in(answers[0].1);
    screen.shows(answers[1].0);
    screen.type_in("\n");
    screen.shows(answers[2].0);
    // Wrong, then not reachable, then right.
    screen.type_in("id.example\n");
    screen.shows("is no issuer");
    screen.type_in("http://127.0.0.1:1\n");
    screen.shows("could not be read");
    screen.type_in(&format!("{base}\n"));
    screen.shows("Client id, as the provider registered it: ");
    screen.type_in("keyfob-local\n");
    screen.shows("Scopes to ask for [openid email offline_access]: ");
    screen.type_in("\n");
    screen.shows("Write that? [Y/n]: ");
    assert!(!f.config().exists(), "not before the answer");
    screen.type_in("\n");
    screen.shows("http://127.0.0.1/callback");
    screen.shows("Sign in now? [Y/n]: ");
    screen.type_in("y\n");
    let address = screen.address();
    let answer = Answer::of(&address);
    screen.type_in(&format!("{}\n", answer.shown()));
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
    screen.shows("Signed in as dev@example.com");
    assert!(f.run(&["token"]).answer().len() > 20);
}

/// After a no, or a closed terminal, nothing is set up.
#[test]
fn a_no_at_the_terminal_writes_nothing() {
    let f = Fresh::new();
    let base = f.server.base_url();
    for answer in ["n\n", "\u{4}"] {
        let screen = Screen::new(100);
        let mut command = f.keyfob(&["init", "work", "--client-id", "keyfob-local"]);
        let mut child = screen.start(command.env("TERM", "xterm-256color"));
        screen.shows("Issuer, the address of your provider");
        screen.type_in(&format!("{base}\n"));
        screen.shows("Scopes to ask for");
        screen.type_in("\n");
        screen.shows("Write that? [Y/n]: ");
        screen.type_in(answer);
        assert_eq!(child.wait().expect("it ends").code(), Some(2), "{}", screen.text());
        assert!(!f.config().exists(), "{answer:?}");
    }
}
