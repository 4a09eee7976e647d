//! The units of the proxy in packaging/systemd: a manager that does what systemd.socket(5) says gets a proxy by them.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use keyfob_testkit::{Sandbox, program, upstream::Upstream};

use crate::{
    agent_units::unit,
    proxy::{Answer, nod, signed_in},
};

type Unit = BTreeMap<(String, String), String>;

/// What is here stands for what systemd does of it; another key would need another line here.
const KNOWN: [(&str, &str); 14] = [
    ("Unit", "Description"),
    ("Unit", "Documentation"),
    ("Unit", "Requires"),
    ("Socket", "ListenStream"),
    ("Socket", "SocketMode"),
    ("Socket", "DirectoryMode"),
    ("Socket", "Backlog"),
    ("Install", "WantedBy"),
    ("Service", "Type"),
    ("Service", "ExecStart"),
    ("Service", "KillMode"),
    ("Service", "TimeoutStopSec"),
    ("Service", "LimitNOFILE"),
    ("Service", "NoNewPrivileges"),
];

fn of(unit: &Unit, section: &str, key: &str) -> String {
    unit.get(&(section.to_owned(), key.to_owned())).unwrap_or_else(|| panic!("{section} {key}")).clone()
}

/// Does what a service manager does when somebody has connected: starts the service with the socket that it holds.
struct Manager {
    listener: UnixListener,
    path: PathBuf,
    words: Vec<String>,
}

impl Manager {
    fn of(socket: &Unit, service: &Unit, runtime: &Path, instance: &str) -> Self {
        let octal = |key: &str| u32::from_str_radix(&of(socket, "Socket", key), 8).expect("a mode");
        let meant = |text: &str| text.replace("%t", runtime.to_str().expect("text")).replace("%i", instance);
        let path = PathBuf::from(meant(&of(socket, "Socket", "ListenStream")));
        let dir = path.parent().expect("a directory");
        if !dir.exists() {
            fs::DirBuilder::new().mode(octal("DirectoryMode")).create(dir).expect("ours");
        }
        let listener = UnixListener::bind(&path).expect("a socket");
        fs::set_permissions(&path, fs::Permissions::from_mode(octal("SocketMode"))).expect("ours");
        let line = meant(&of(service, "Service", "ExecStart"));
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(words[0], "keyfob");
        Self { listener, path, words }
    }

    fn start(&self, s: &Sandbox, runtime: &Path) -> Child {
        let script = "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" \"$@\" 3<&0 </dev/null";
        let mut command = s.command("sh");
        command.args(["-c", script, program()]).args(&self.words[1..]).env("XDG_RUNTIME_DIR", runtime);
        command.stdin(Stdio::from(OwnedFd::from(self.listener.try_clone().expect("a descriptor"))));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }
}

#[test]
fn a_manager_starts_the_proxy_by_the_shipped_units() {
    let [plain, named] = [
        [
            include_str!("../../packaging/systemd/keyfob-proxy.socket"),
            include_str!("../../packaging/systemd/keyfob-proxy.service"),
        ],
        [
            include_str!("../../packaging/systemd/keyfob-proxy@.socket"),
            include_str!("../../packaging/systemd/keyfob-proxy@.service"),
        ],
    ]
    .map(|texts| texts.map(unit));
    for ([socket, service], own) in [(&plain, "keyfob-proxy.socket"), (&named, "keyfob-proxy@%i.socket")] {
        for (section, key) in socket.keys().chain(service.keys()) {
            assert!(KNOWN.contains(&(section, key)), "{section} {key}");
        }
        assert_eq!(of(service, "Unit", "Requires"), own);
        assert_eq!(of(service, "Service", "Type"), "exec");
        // It would end the renewal that has to come to its end.
        assert_eq!(of(service, "Service", "KillMode"), "process");
        let patience: u64 = of(service, "Service", "TimeoutStopSec").parse().expect("seconds");
        assert!(patience > 20, "longer than what is being answered has");
    }
    assert_eq!(
        of(&plain[0], "Socket", "ListenStream"),
        "%t/keyfob/proxy.sock",
        "where everybody looks who is told nothing"
    );

    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let config = s.home.home().join("config.toml");
    let mut text = fs::read_to_string(&config).expect("the configuration");
    text.push_str(&format!("[proxy.work]\nto = \"{}/work\"\n", api.origin()));
    fs::write(&config, text).expect("ours");
    let runtime = s.path().join("runtime");
    fs::DirBuilder::new().mode(0o700).create(&runtime).expect("ours");
    for [socket, service] in [&plain, &named] {
        let manager = Manager::of(socket, service, &runtime, "work");
        // Somebody asks before it has been started.
        let mut stream = UnixStream::connect(&manager.path).expect("the manager listens");
        let request = "GET /work/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut proxy = manager.start(&s, &runtime);
        assert_eq!(Answer::read(stream).status, 200);
        assert_eq!(api.asked().last().expect("a request").path, "/work/x");
        proxy.kill().and_then(|()| proxy.wait()).expect("ours");
        assert!(manager.path.exists(), "the manager's");
    }
}
