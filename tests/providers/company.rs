//! A company with a private provider: only its proxy can resolve the name, and only its authority vouches for the
//! certificate.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use keyfob_dev::{DevServer, Grants};
use serde_json::Value;

use crate::{
    authority::{Authority, Valid},
    front::Front,
    proxy::Proxy,
};
use keyfob_testkit::{Ran, expired, program, provider, read_record, write_in_place};

pub(crate) const HOST: &str = "oauth.company.test";
pub(crate) const AUTHORIZE: &str = "https://oauth.company.test/oauth/authorize";

/// A sign-in that must fail before there is anything to answer, and soon.
pub(crate) const IN_VAIN: [&str; 5] = ["login", "--no-browser", "--timeout", "10", "--json"];

pub(crate) struct Company {
    pub(crate) authority: Authority,
    pub(crate) proxy: Proxy,
    pub(crate) server: DevServer,
    pub(crate) front: Front,
    dir: tempfile::TempDir,
}

impl Company {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (authority, proxy, server) = (Authority::new(), Proxy::start(), provider());
        let front = Front::start(HOST, authority.server(HOST, Valid::Now), Some(server.base_url()));
        proxy.knows(&format!("{HOST}:443"), front.address());
        let company = Self { authority, proxy, server, front, dir };
        company.authority.write(&company.ca_file());
        company.approve("[[approved]]\nurl = \"https://oauth.company.test/oauth\"\n");
        company
    }

    /// Another host of the same company, which serves only what a test configures.
    pub(crate) fn host(&self, name: &str, behind: Option<String>) -> Front {
        let front = Front::start(name, self.authority.server(name, Valid::Now), behind);
        self.proxy.knows(&format!("{name}:443"), front.address());
        front
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("company.pem")
    }

    pub(crate) fn approve(&self, list: &str) {
        std::fs::write(self.approved(), list).expect("a file of ours");
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(&home).expect("a directory of ours");
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).expect("ours");
        std::fs::write(home.join("config.toml"), text).expect("a file of ours");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(home.join("config.toml"), mode).expect("ours");
    }

    fn approved(&self) -> PathBuf {
        self.dir.path().join("approved.toml")
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The command, in an environment of this company's.
    pub(crate) fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--approved").arg(self.approved()).args(words).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("KEYFOB_HOME", self.dir.path().join("home"));
        command.env("HTTPS_PROXY", self.proxy.url()).env("SSL_CERT_FILE", self.ca_file());
        command.env("CLAUDE_CODE_CUSTOM_OAUTH_URL", AUTHORIZE);
        command.env("CLAUDE_CODE_OAUTH_CLIENT_ID", "keyfob-local");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.keyfob(words).output().expect("the command runs").into()
    }

    /// Runs with one variable changed, or without it.
    pub(crate) fn run_with(&self, name: &str, value: Option<&str>, words: &[&str]) -> Ran {
        let mut command = self.keyfob(words);
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
        command.output().expect("the command runs").into()
    }

    /// Signs in with this command, as a browser in this company would.
    pub(crate) fn login_by(&self, command: &mut Command) -> Ran {
        let mut child = command.spawn().expect("the command starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut url).expect("text");
        if !url.is_empty() {
            self.browse(url.trim());
        }
        child.wait_with_output().expect("the command ends").into()
    }

    /// Signs in, which must succeed.
    #[track_caller]
    pub(crate) fn login(&self) {
        self.login_by(&mut self.keyfob(&["login", "--no-browser"])).answer();
    }

    fn browse(&self, url: &str) {
        assert!(browse(&self.authority, &self.proxy, url), "no redirect from {url}");
    }

    pub(crate) fn records(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("home/logins")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == "json")).collect()
    }

    pub(crate) fn record(&self) -> Value {
        let records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        read_record(&records[0])
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.records().remove(0);
        let mut record = read_record(&path);
        change(&mut record);
        write_in_place(&path, &record);
    }

    pub(crate) fn expire(&self) {
        self.edit(expired);
    }

    /// Runs `keyfob token` on an expired login, which must fail like this, before anything was spent: the login is
    /// kept, nothing is unknown about it, and when the trouble is over it renews. Gives the words of the failure.
    #[track_caller]
    pub(crate) fn in_vain(&self, command: &mut Command) -> String {
        self.fails(command).err
    }

    /// The same, and the cause that programs are told.
    #[track_caller]
    pub(crate) fn in_vain_for(&self, cause: &str, command: &mut Command) -> String {
        self.fails(command).because("unreachable", cause).err.clone()
    }

    #[track_caller]
    fn fails(&self, command: &mut Command) -> Ran {
        self.expire();
        let before: Grants = self.server.grants();
        let record = self.record();
        let ran = Ran::from(command.output().expect("the command runs"));
        ran.failed(6, "unreachable");
        let after = self.record();
        assert_eq!(self.server.grants().refreshes, before.refreshes, "{ran:?}");
        assert_eq!(after["refresh_token"], record["refresh_token"], "{ran:?}");
        assert!(after.get("unknown").is_none() && after.get("refused").is_none(), "{after}");
        self.edit(|record| {
            record.as_object_mut().expect("an object").remove("cooldown");
        });
        ran
    }
}

/// Follows an address on a network behind a proxy to the callback on this machine. `false`: no page led back.
pub(crate) fn browse(authority: &Authority, proxy: &Proxy, url: &str) -> bool {
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![authority.root()])))
        .build();
    let proxy = ureq::Proxy::new(&proxy.url()).expect("an address");
    let browser = ureq::Agent::config_builder().proxy(Some(proxy)).tls_config(tls);
    let browser = browser.max_redirects(0).http_status_as_error(false).build().new_agent();
    let page = browser.get(url).call().expect("the sign-in page");
    let Some(callback) = page.headers().get("Location").and_then(|to| to.to_str().ok()) else { return false };
    let direct = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let _ = direct.get(callback).call();
    true
}
