//! The units in packaging/systemd: what they start is what the command takes, and a manager that does what systemd.socket(5) says
//! gets an agent by them.

use std::{
    collections::BTreeMap,
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt as _, PermissionsExt as _},
            net::UnixListener,
        },
    },
    path::PathBuf,
    process::Stdio,
};

use keyfob_testkit::{Home, Ran, program};

use crate::agent::signed_in;

/// The values of a unit file, by section and key (systemd.syntax(7)).
pub(crate) fn unit(text: &str) -> BTreeMap<(String, String), String> {
    let mut section = String::new();
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no assignment: {line}"));
            assert!(!section.is_empty(), "outside of every section: {line}");
            assert_eq!(values.insert((section.clone(), key.into()), value.into()), None, "twice: {line}");
        }
    }
    values
}

#[test]
fn a_manager_starts_the_agent_by_the_shipped_units() {
    let socket = unit(include_str!("../../packaging/systemd/keyfob-agent.socket"));
    let service = unit(include_str!("../../packaging/systemd/keyfob-agent.service"));
    let of = |unit: &BTreeMap<_, String>, section: &str, key: &str| {
        unit.get(&(section.to_owned(), key.to_owned())).unwrap_or_else(|| panic!("{section} {key}")).clone()
    };
    let octal = |text: &str| u32::from_str_radix(text, 8).expect("a mode");
    // What is here stands for what systemd does of it; another key would need another line here.
    let known = [
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
        ("Service", "LimitNOFILE"),
        ("Service", "NoNewPrivileges"),
    ];
    for (section, key) in socket.keys().chain(service.keys()) {
        assert!(known.contains(&(section, key)), "{section} {key}");
    }
    assert_eq!(of(&service, "Unit", "Requires"), "keyfob-agent.socket");
    assert_eq!(of(&service, "Service", "Type"), "exec");
    // It would end the renewal that has to come to its end.
    assert_eq!(of(&service, "Service", "KillMode"), "process");

    let s = signed_in();
    let runtime = s.path().join("runtime");
    fs::DirBuilder::new().mode(0o700).create(&runtime).expect("ours");
    let listen = of(&socket, "Socket", "ListenStream");
    assert_eq!(listen, "%t/keyfob/agent.sock", "where everybody looks who is told nothing");
    let path = PathBuf::from(listen.replace("%t", runtime.to_str().expect("text")));
    let directory = octal(&of(&socket, "Socket", "DirectoryMode"));
    fs::DirBuilder::new().mode(directory).create(path.parent().expect("a directory")).expect("ours");
    let listener = UnixListener::bind(&path).expect("a socket");
    let mode = octal(&of(&socket, "Socket", "SocketMode"));
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");

    // Somebody asks before it has been started: the manager starts what the service says.
    let mut client = Home::empty(&s.server);
    client.set("KEYFOB_AGENT", path.to_str().expect("text"));
    let asking = client.keyfob(["token", "--wait", "60"]).spawn().expect("it starts");
    let line = of(&service, "Service", "ExecStart");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[0], "keyfob");
    let script = "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" \"$@\" 3<&0 </dev/null";
    let mut manager = s.command("sh");
    manager.args(["-c", script, program()]).args(&words[1..]).env("XDG_RUNTIME_DIR", &runtime);
    manager.stdin(Stdio::from(OwnedFd::from(listener.try_clone().expect("a descriptor"))));
    manager.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = manager.spawn().expect("it starts");
    assert_eq!(Ran::from(asking.wait_with_output().expect("it ends")).answer(), s.token());
    let told = client.json(&["agent", "status"]);
    assert_eq!((&told["socket"], &told["pid"]), (&path.to_str().into(), &agent.id().into()));
    agent.kill().and_then(|()| agent.wait()).expect("ours");
    assert!(path.exists(), "the manager's");
}
