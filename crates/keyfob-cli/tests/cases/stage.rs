//! A home, a provider and the secrets of one case.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use keyfob_dev::{ApiKey, DevServer, Options};

use crate::case::{Case, Descriptor, Kind, Opened, Run};

pub(crate) struct Stage<'c> {
    case: &'c Case,
    pub(crate) server: DevServer,
    pub(crate) home: tempfile::TempDir,
    /// By name.
    pub(crate) secrets: BTreeMap<String, String>,
    texts: AtomicUsize,
}

/// What one process came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl<'c> Stage<'c> {
    pub(crate) fn new(case: &'c Case) -> Self {
        let of_kind = |kind: fn(&Kind) -> bool| case.secrets.iter().filter(move |(_, k)| kind(k));
        let mut secrets = BTreeMap::new();
        let mut api_keys = Vec::new();
        for (name, _) in of_kind(|kind| matches!(kind, Kind::ApiKey)) {
            let key = format!("kdev-ak-{name}-Zt4xW9qLs2");
            api_keys.push(ApiKey::new(&key, &format!("{name}@example.com")));
            secrets.insert(name.clone(), key);
        }
        let server =
            DevServer::start(Options { port: 0, auto_approve: true, api_keys, ..Options::default() })
                .expect("a provider");
        for (name, kind) in &case.secrets {
            let email = format!("{name}@example.com");
            let mint = || server.mint(&email, "user:profile user:inference").expect("tokens");
            let secret = match kind {
                Kind::Access => mint().access_token,
                Kind::Refresh => mint().refresh_token,
                Kind::Invented => format!("invented-{name}-Hk7pQ2vYb5"),
                Kind::ApiKey => continue,
            };
            secrets.insert(name.clone(), secret);
        }
        let home = tempfile::Builder::new().prefix("keyfob-case-").tempdir().expect("a directory");
        let stage = Self { case, server, home, secrets, texts: AtomicUsize::new(0) };
        for (path, text) in &case.files {
            stage.write(Path::new(path), &stage.filled(text));
        }
        stage
    }

    fn write(&self, path: &Path, text: &str) {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().expect("below the home")).expect("a directory of ours");
        fs::write(&path, text).expect("a file of ours");
        let mode = if path.extension().is_some_and(|e| e == "sh") { 0o700 } else { 0o600 };
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("ours");
    }

    /// A text of the case with its placeholders filled in.
    pub(crate) fn filled(&self, text: &str) -> String {
        let base = self.server.base_url();
        let mut text = text.replace("{base}", &base).replace("{home}", &self.home.path().to_string_lossy());
        text = text.replace("{keyfob}", env!("CARGO_BIN_EXE_keyfob")).replace("{big}", &"x".repeat(70_000));
        for (name, secret) in &self.secrets {
            text = text.replace(&format!("{{{name}}}"), secret);
        }
        text
    }

    /// Runs what a run says, as often at once as it says.
    pub(crate) fn run(&self, run: &Run) -> Vec<Ran> {
        let children: Vec<Child> = (0..run.times).map(|_| self.start(run)).collect();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                children.into_iter().map(|child| scope.spawn(move || self.follow(run, child))).collect();
            waiting.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    }

    fn start(&self, run: &Run) -> Child {
        let mut redirects = String::new();
        for (number, descriptor) in &self.case.descriptors {
            redirects.push(' ');
            redirects.push_str(&self.redirect(number, descriptor));
        }
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec \"$@\"{redirects}"), "bash", env!("CARGO_BIN_EXE_keyfob")]);
        command.args(run.words.iter().map(|word| self.filled(word)));
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.home.path()).env("KEYFOB_HOME", self.home.path().join("keyfob"));
        command.env("XDG_RUNTIME_DIR", self.home.path().join("run"));
        if self.case.local {
            command.env("USE_LOCAL_OAUTH", "1");
            for base in ["API", "APPS", "CONSOLE"] {
                command.env(format!("CLAUDE_LOCAL_OAUTH_{base}_BASE"), self.server.base_url());
            }
        }
        for (name, value) in self.case.env.iter().chain(&run.env) {
            match self.filled(value).as_str() {
                "{unset}" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.current_dir(self.home.path());
        let mut child = command.spawn().expect("bash starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A run that refuses its input may be gone already.
        let _ = stdin.write_all(self.filled(&run.stdin).as_bytes());
        child
    }

    fn follow(&self, run: &Run, mut child: Child) -> Ran {
        let mut out = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        if run.browse {
            stdout.read_line(&mut out).expect("an address");
            let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build();
            if out.starts_with("http") {
                agent.new_agent().get(out.trim()).call().expect("a page");
            }
        }
        stdout.read_to_string(&mut out).expect("text");
        let mut err = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
        Ran { code: child.wait().expect("it ends").code(), out, err }
    }

    /// The shell's words that open a descriptor like this. The text goes through a file, never through words.
    fn redirect(&self, number: &str, descriptor: &Descriptor) -> String {
        let file = format!("descriptors/{}", self.texts.fetch_add(1, Ordering::Relaxed));
        self.write(Path::new(&file), &self.filled(&descriptor.text));
        let path = self.home.path().join(&file).display().to_string();
        match descriptor.kind {
            Opened::File => format!("{number}<'{path}'"),
            Opened::Pipe => format!("{number}< <(cat '{path}')"),
            Opened::Late => format!("{number}< <(sleep 0.3; cat '{path}')"),
            Opened::Slow => {
                format!(
                    "{number}< <(while IFS= read -rN1 c; do printf %s \"$c\"; sleep 0.004; done <'{path}')"
                )
            }
            Opened::Mute => format!("{number}< <(exec sleep 8)"),
            Opened::WriteOnly => format!("{number}>'{path}'"),
            Opened::Directory => format!("{number}<'{}'", self.home.path().display()),
            Opened::Closed => format!("{number}<&-"),
            Opened::Socket => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let port = listener.local_addr().expect("bound").port();
                let text = self.filled(&descriptor.text);
                thread::spawn(move || {
                    let (mut stream, _) = listener.accept().expect("a reader");
                    stream.write_all(text.as_bytes()).expect("it reads");
                });
                format!("{number}<>/dev/tcp/127.0.0.1/{port}")
            }
        }
    }

    /// Whether the case brings this file along.
    pub(crate) fn has_file(&self, path: &Path) -> bool {
        self.case.files.keys().any(|file| Path::new(file) == path)
    }

    /// What the provider was asked, as `METHOD path status credentials`.
    pub(crate) fn traffic(&self) -> Vec<String> {
        let line = |r: &keyfob_dev::LoggedRequest| {
            format!("{} {} {} {}", r.method, r.path, r.status, r.credential.join("+")).trim_end().to_owned()
        };
        self.server.requests().iter().map(line).collect()
    }
}
