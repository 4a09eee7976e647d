//! A provider, a home, and a configuration that says how logins are kept.

use std::{
    fs::{self, DirBuilder},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use keyfob_dev::{DevServer, Options};
use serde_json::Value;

/// How every token of the provider begins.
pub(crate) const TOKEN: &str = "kdev-";

pub(crate) struct Home {
    pub(crate) server: DevServer,
    dir: tempfile::TempDir,
    /// Where a session bus is, if there is one.
    bus: Option<String>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ran {
    /// The answer of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn answer(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    /// The three lines of a run that must have failed because of its key store.
    #[track_caller]
    pub(crate) fn unavailable(&self) -> &str {
        let answer: Value = serde_json::from_str(&self.out).unwrap_or_default();
        let failed = (self.code, answer["error"]["id"].as_str());
        assert_eq!(failed, (Some(7), Some("key-store-unavailable")), "{self:?}");
        &self.err
    }
}

impl Home {
    pub(crate) fn new(store: &str, bus: Option<&str>) -> Self {
        let options = Options { port: 0, auto_approve: true, ..Options::default() };
        let server = DevServer::start(options).expect("a provider");
        let dir = tempfile::Builder::new().prefix("keyfob-keys-").tempdir().expect("a directory");
        let home = Self { server, dir, bus: bus.map(str::to_owned) };
        DirBuilder::new().mode(0o700).create(home.path()).expect("a directory");
        home.configure(store);
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// From the next write on, logins are kept like this.
    pub(crate) fn configure(&self, store: &str) {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = file.open(self.path().join("config.toml")).expect("our file");
        writeln!(file, "store = \"{store}\"").expect("our file");
    }

    /// The command with these words, and nothing else of this process's environment than a path.
    pub(crate) fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = Command::new(keyfob_testkit::program());
        command.args(words).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        command.env("KEYFOB_HOME", self.path()).env("USE_LOCAL_OAUTH", "1");
        for base in ["API", "APPS", "CONSOLE"] {
            command.env(format!("CLAUDE_LOCAL_OAUTH_{base}_BASE"), self.server.base_url());
        }
        if let Some(bus) = &self.bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.keyfob(words).output().expect("the command runs").into()
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.keyfob(words).spawn().expect("the command starts")
    }

    #[track_caller]
    pub(crate) fn token(&self) -> String {
        self.run(&["token"]).answer().to_owned()
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let ran = self.run(&[words, &["--json"]].concat());
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Signs in with a refresh token that a person brings along.
    pub(crate) fn login(&self) -> Ran {
        let minted = self.server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
        let mut command = self.keyfob(&["login", "--with-token", "refresh", "--json"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
        // Who refuses at once does not read it.
        let _ = child.stdin.take().expect("a pipe").write_all(minted.refresh_token.as_bytes());
        child.wait_with_output().expect("it ends").into()
    }

    /// Signs in, with an access token that has expired when this returns. Later ones last.
    pub(crate) fn login_expired(&self) {
        self.server.set_access_token_ttl(Duration::from_secs(1));
        self.login().answer();
        self.server.set_access_token_ttl(Duration::from_secs(3600));
        std::thread::sleep(Duration::from_millis(2100));
    }

    /// Renews the token at hand, as after a 401.
    pub(crate) fn renew(&self) -> Ran {
        let (_, generation) = self.generation();
        self.run(&["token", "--json", "--rejected", &generation])
    }

    /// The token at hand, and what its generation is called.
    #[track_caller]
    pub(crate) fn generation(&self) -> (String, String) {
        let said = self.json(&["token"]);
        let name = format!("{}:{}", said["login"].as_str().expect("a login"), said["generation"]);
        (said["token"].as_str().expect("a token").to_owned(), name)
    }

    /// The files of the store that end like this.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let paths = files_below(&self.path());
        paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    /// The one record, as it lies there.
    #[track_caller]
    pub(crate) fn record(&self) -> String {
        let records = self.files("json");
        assert_eq!(records.len(), 1, "{records:?}");
        fs::read_to_string(&records[0]).expect("a record")
    }

    /// The files in this home that hold a token anybody could read.
    pub(crate) fn plain_tokens(&self) -> Vec<PathBuf> {
        // What is replaced while one looks is not there.
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes())
        };
        files_below(self.dir.path()).into_iter().filter(holds).collect()
    }
}

/// The keyring outlives the home, and has room for two hundred keys.
impl Drop for Home {
    fn drop(&mut self) {
        let Ok(id) = fs::read_to_string(self.path().join("logins/kernel.keyid")) else { return };
        let name = format!("keyfob:{}", id.trim_end());
        let found = Command::new("keyctl").args(["search", "@u", "user", &name]).output();
        let serial = String::from_utf8(found.map_or(Vec::new(), |found| found.stdout)).unwrap_or_default();
        if !serial.is_empty() {
            let _ = Command::new("keyctl").args(["unlink", serial.trim(), "@u"]).status();
        }
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
