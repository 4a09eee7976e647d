//! A client's secret or key that the service manager gives a unit: `$CREDENTIALS_DIRECTORY/NAME` in the configuration
//! (systemd.exec(5), "Credentials").

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use keyfob_dev::{Client, Options};
use keyfob_testkit::{Ran, Sandbox, token_requests};
use serde_json::Value;

use crate::visitor::follow;

const SECRET: &str = "s3cr3t-of-the-unit";

struct Unit(Sandbox);

impl Unit {
    /// A client of the provider, by these keys of the configuration, and a directory as the manager makes it: an access list for
    /// the unit's user shows as a mode that lets a group read.
    fn new(keys: &str) -> Self {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/keyfob/tests/keys");
        let key = |name: &str| fs::read_to_string(format!("{dir}/{name}")).expect("a key");
        let clients = vec![
            Client::confidential("ci", SECRET).expect("a client"),
            Client::with_key("signer", &key("p256.pub.pem")).expect("a client"),
        ];
        let unit = Self(Sandbox::with(Options { clients, ..Options::default() }));
        fs::create_dir_all(unit.directory()).expect("ours");
        unit.gives("secret", &format!("{SECRET}\n"), 0o440);
        unit.gives("key", &key("p256.pem"), 0o440);
        unit.configure(keys);
        unit
    }

    fn configure(&self, keys: &str) {
        let home = self.0.home.home();
        fs::create_dir_all(&home).expect("ours");
        let base = self.0.server.base_url();
        let text = format!("environment = \"work\"\n[environments.work]\nissuer = \"{base}\"\n{keys}\n");
        fs::write(home.join("config.toml"), text).expect("ours");
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("credentials/keyfob.service")
    }

    fn repository(&self) -> PathBuf {
        self.0.path().join("repository")
    }

    fn gives(&self, name: &str, text: &str, mode: u32) {
        let path = self.directory().join(name);
        fs::write(&path, text).expect("ours");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("ours");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").env("CREDENTIALS_DIRECTORY", self.directory());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn fails(&self, command: &mut Command, id: &str) -> Value {
        let before = token_requests(&self.0.server);
        let ran = Ran::from(command.arg("--json").output().expect("it runs"));
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((ran.code, said["error"]["id"].as_str()), (Some(3), Some(id)), "{ran:?}");
        assert_eq!(token_requests(&self.0.server), before, "nothing was sent");
        assert!(!ran.err.contains(SECRET) && !ran.out.contains(SECRET), "{ran:?}");
        said["error"].clone()
    }
}

const MACHINE: &str = "grant = \"client_credentials\"\nclient_id = \"ci\"\nclient_secret_file = \"$CREDENTIALS_DIRECTORY/secret\"";

#[test]
fn a_unit_has_its_secret_from_the_manager() {
    let unit = Unit::new(MACHINE);
    let ran = Ran::from(unit.command(&["token"]).output().expect("it runs"));
    let first = ran.answer().to_owned();
    let ran = Ran::from(unit.command(&["token", "--min-valid", "31536000"]).output().expect("it runs"));
    assert_ne!(ran.answer(), first, "renewed, by a process of its own");
    let ran = Ran::from(unit.command(&["doctor"]).output().expect("it runs"));
    assert!(
        ran.out.contains("$CREDENTIALS_DIRECTORY/secret holds a secret, and was given to this unit"),
        "{ran:?}"
    );
}

#[test]
fn a_person_of_a_client_with_a_key_from_the_manager_is_renewed() {
    let unit = Unit::new(
        "client_id = \"signer\"\nscopes = [\"user:inference\"]\nclient_key_file = \"$CREDENTIALS_DIRECTORY/key\"",
    );
    assert!(follow(&mut unit.command(&["login", "--no-browser"])).status.success());
    // The record keeps the name, and not a path of one run.
    assert!(unit.0.record().to_string().contains("$CREDENTIALS_DIRECTORY/key"));
    unit.0.expire();
    let before = token_requests(&unit.0.server);
    Ran::from(unit.command(&["token"]).output().expect("it runs")).answer();
    assert_eq!(token_requests(&unit.0.server), before + 1);
    // Elsewhere than in the unit there is no key.
    unit.0.expire();
    let mut command = unit.command(&["token"]);
    let said = unit.fails(command.env_remove("CREDENTIALS_DIRECTORY"), "client-key");
    assert_eq!(said["cause"], "unit-credentials", "{said}");
}

#[test]
fn a_directory_that_no_manager_made_is_refused() {
    type Made = fn(&Unit) -> Option<String>;
    let cases: [(Made, &str, &str); 7] = [
        (|_| None, "CREDENTIALS_DIRECTORY is not set", "unit-credentials"),
        (|_| Some(String::new()), "CREDENTIALS_DIRECTORY is not set", "unit-credentials"),
        (|_| Some("credentials".into()), "not an absolute path", "unit-credentials"),
        (|unit| Some(unit.repository().display().to_string()), "inside the repository", "unit-credentials"),
        (
            |unit| {
                let open = unit.0.path().join("open");
                fs::create_dir_all(&open).expect("ours");
                fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("ours");
                Some(open.display().to_string())
            },
            "which is refused",
            "unit-credentials",
        ),
        (
            |unit| {
                fs::remove_file(unit.directory().join("secret")).expect("ours");
                Some(unit.directory().display().to_string())
            },
            "there is no file",
            "missing",
        ),
        (
            |unit| {
                unit.gives("secret", SECRET, 0o666);
                Some(unit.directory().display().to_string())
            },
            "writable by others",
            "writable-by-others",
        ),
    ];
    for (made, why, cause) in cases {
        let unit = Unit::new(MACHINE);
        fs::create_dir_all(unit.repository().join(".git")).expect("ours");
        let mut command = unit.command(&["token"]);
        command.current_dir(unit.repository()).env_remove("CREDENTIALS_DIRECTORY");
        command.envs(made(&unit).map(|directory| ("CREDENTIALS_DIRECTORY", directory)));
        let said = unit.fails(&mut command, "client-secret");
        assert_eq!(said["cause"], cause, "{said}");
        assert!(said["message"].as_str().is_some_and(|text| text.contains(why)), "{why}: {said}");
        let is_advised = said["hint"].as_str().is_some_and(|hint| hint.contains("LoadCredential=secret:"));
        assert_eq!(is_advised, cause == "unit-credentials", "{said}");
    }
}

/// This variable in front of one name, and nothing else, is replaced.
#[test]
fn no_other_variable_and_no_way_out_of_the_directory() {
    let unit = Unit::new("");
    for path in [
        "$HOME/secret",
        "${CREDENTIALS_DIRECTORY}/secret",
        "$CREDENTIALS_DIRECTORY",
        "$CREDENTIALS_DIRECTORY/",
        "$CREDENTIALS_DIRECTORY/..",
        "$CREDENTIALS_DIRECTORY/../secret",
        "$CREDENTIALS_DIRECTORY/a/b",
        "$CREDENTIALS_DIRECTORYX/secret",
        "secret",
    ] {
        unit.configure(&MACHINE.replace("$CREDENTIALS_DIRECTORY/secret", path));
        let said = unit.fails(&mut unit.command(&["token"]), "config-malformed");
        assert!(
            said["message"].as_str().is_some_and(|text| text.contains("client_secret_file")),
            "{path}: {said}"
        );
    }
    // An identity token ends, and what a unit is given stays as it was.
    unit.configure("client_id = \"x\"\n[environments.work.federation]\nidentity_token_file = \"$CREDENTIALS_DIRECTORY/id\"");
    let said = unit.fails(&mut unit.command(&["token"]), "config-malformed");
    assert!(said.to_string().contains("kept fresh"), "{said}");
}
