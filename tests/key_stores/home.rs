//! A provider, a home, and a configuration that selects how logins are stored.

use std::{
    fs::{self, DirBuilder},
    io::Write,
    ops::Deref,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) use keyfob_testkit::Ran;
use keyfob_testkit::Sandbox;

/// How every token of the provider begins.
pub(crate) const TOKEN: &str = "kdev-";

pub(crate) struct Home {
    sandbox: Sandbox,
}

impl Deref for Home {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// Checks that a run failed because of its key store, and gives its three lines.
#[track_caller]
pub(crate) fn unavailable(ran: &Ran) -> &str {
    ran.failed(7, "key-store-unavailable");
    &ran.err
}

impl Home {
    pub(crate) fn new(store: &str, bus: Option<&str>) -> Self {
        let mut sandbox = Sandbox::new();
        if let Some(bus) = bus {
            sandbox.set("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        let home = Self { sandbox };
        DirBuilder::new().mode(0o700).create(home.path()).expect("a directory");
        home.configure(store);
        home
    }

    /// keyfob's own directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.home()
    }

    /// From the next write on, logins are kept like this.
    pub(crate) fn configure(&self, store: &str) {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = file.open(self.path().join("config.toml")).expect("our file");
        writeln!(file, "seal = \"{store}\"").expect("our file");
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.keyfob(words).spawn().expect("the command starts")
    }

    /// Signs in with a refresh token that the user already has.
    pub(crate) fn login(&self) -> Ran {
        let minted = self.server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
        let mut command = self.keyfob(["login", "--with-token", "refresh", "--json"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
        // Who refuses at once does not read it.
        let _ = child.stdin.take().expect("a pipe").write_all(minted.refresh_token.as_bytes());
        child.wait_with_output().expect("it ends").into()
    }

    /// Signs in, with an access token that has expired when this returns. Later ones last.
    pub(crate) fn login_expired(&self) {
        // So long that it has not ended before it is saved.
        self.server.set_access_token_ttl(Duration::from_secs(3));
        self.login().answer();
        self.server.set_access_token_ttl(Duration::from_secs(3600));
        std::thread::sleep(Duration::from_millis(4100));
    }

    /// Renews the token at hand, as after a 401.
    pub(crate) fn renew(&self) -> Ran {
        let (_, generation) = self.generation();
        self.run(&["token", "--json", "--rejected", &generation])
    }

    /// The token at hand, and what its generation is called.
    #[track_caller]
    pub(crate) fn generation(&self) -> (String, String) {
        let said = self.sandbox.json(&["token"]);
        let name = format!("{}:{}", said["login"].as_str().expect("a login"), said["generation"]);
        (said["token"].as_str().expect("a token").to_owned(), name)
    }

    /// The files of the store that end like this.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let paths = files_below(&self.path());
        paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    /// The one record, as it is stored.
    #[track_caller]
    pub(crate) fn record(&self) -> String {
        let records = self.files("json");
        assert_eq!(records.len(), 1, "{records:?}");
        fs::read_to_string(&records[0]).expect("a record")
    }

    /// The files in this home that hold a readable token.
    pub(crate) fn plain_tokens(&self) -> Vec<PathBuf> {
        // What is replaced while one looks is not there.
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes())
        };
        files_below(self.sandbox.home.path()).into_iter().filter(holds).collect()
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
