//! What another process can see of a running keyfob: its arguments, and nothing of its memory.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use keyfob_dev::{DevServer, Minted, Options};

use crate::leaks::Search;

/// An ordinary user, for what one may see of another ordinary user's process.
const STRANGER: u32 = 65_534;

fn provider() -> DevServer {
    DevServer::start(Options { port: 0, auto_approve: true, ..Options::default() }).expect("a provider")
}

fn keyfob(server: &DevServer, home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(keyfob_testkit::program());
    command.args(words).env_clear().env("KEYFOB_HOME", home).env("USE_LOCAL_OAUTH", "1").current_dir("/");
    command.env("CLAUDE_LOCAL_OAUTH_API_BASE", server.base_url());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Signs in; the access token has expired, so that the next token is a renewal.
fn expired(server: &DevServer, home: &Path) -> Minted {
    let minted = server.mint("ada@example.com", "user:profile").expect("tokens");
    let mut login = keyfob(server, home, &["login", "--with-token", "refresh"]).spawn().expect("it starts");
    login.stdin.take().expect("a pipe").write_all(minted.refresh_token.as_bytes()).expect("it reads");
    assert!(login.wait().expect("it ends").success());
    for path in records(home) {
        let mut record: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
        record["issued_at"] = 1_000.into();
        record["expires_at"] = 2_000.into();
        fs::write(&path, record.to_string()).expect("ours");
    }
    minted
}

fn records(home: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(home.join("logins")).expect("the store");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// The first child of a process, once it is the program we wait for.
fn child_of(parent: &Child) -> String {
    let list = format!("/proc/{0}/task/{0}/children", parent.id());
    for _ in 0..30_000 {
        let children = fs::read_to_string(&list).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains("internal:renew") {
                return child.to_owned();
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody renews");
}

/// The process that renews: neither its arguments nor its environment have a credential, whatever its parent has.
#[test]
fn a_renewal_shows_no_secret() {
    let server = provider();
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    let minted = expired(&server, &home);
    server.hold();
    let mut command = keyfob(&server, &home, &["token", "--only", "login"]);
    let planted = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_SESSION_ACCESS_TOKEN", "CLAUDE_TRUSTED_DEVICE_TOKEN"];
    for (at, name) in planted.iter().enumerate() {
        command.env(name, format!("a-planted-secret-number-{at}"));
    }
    let parent = command.spawn().expect("it starts");
    let worker = child_of(&parent);
    // It asks, and goes on only when everything has been read.
    for _ in 0..30_000 {
        if server.held() > 0 {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(server.held(), 1, "nobody asks");
    let mut search = Search::default();
    search.secret("the refresh token", &minted.refresh_token);
    for (at, name) in planted.into_iter().enumerate() {
        search.secret(name, &format!("a-planted-secret-number-{at}"));
    }
    for path in records(&home) {
        search.store(&path);
    }
    let read = |what: &str| fs::read(format!("/proc/{worker}/{what}"));
    let line = read("cmdline").expect("everybody may read it");
    assert!(String::from_utf8_lossy(&line).contains("internal:renew"), "it is still there");
    search.place("its arguments", line);
    match read("environ") {
        Ok(environment) => {
            let text = String::from_utf8_lossy(&environment).into_owned();
            assert!(text.contains("KEYFOB_HOME"), "this is its environment: {text}");
            search.place("its environment", environment);
        }
        // Then nobody of this user's can. CI runs this as root, who can.
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            assert!(std::env::var_os("CI").is_none(), "CI runs this as root: the environment must be seen");
        }
    }
    server.release();
    let output = parent.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    search.place("its parent's stderr", output.stderr);
    assert_eq!(search.leaks(), Vec::<String>::new());
}

/// Whose `/proc/PID/mem` it is: the user's own for an ordinary process, root's when its memory is kept private and no
/// core is dumped (`PR_SET_DUMPABLE`, proc(5)).
fn owner(child: &Child) -> u32 {
    fs::metadata(format!("/proc/{}/mem", child.id())).expect("it runs").uid()
}

/// No core dump has a token in it, and no other process of the user can read one out of the memory.
#[test]
fn memory_is_kept_private() {
    let server = provider();
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("keyfob");
    keyfob_testkit::copy_of_program(&program);
    let home = dir.path().join("home");
    fs::create_dir(&home).expect("ours");
    let root = rustix::process::geteuid().is_root();
    let user = if root { STRANGER } else { rustix::process::geteuid().as_raw() };
    if root {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("ours");
        std::os::unix::fs::chown(&home, Some(STRANGER), Some(STRANGER)).expect("root may");
    }
    let as_user = |mut command: Command| {
        if root {
            command.uid(STRANGER).gid(STRANGER);
        }
        command.spawn().expect("it starts")
    };
    // An ordinary process is the user's own: the check below can fail.
    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    let mut ordinary = as_user(sleep);
    // Between fork and exec it is somebody else's for a moment.
    let became = (0..30_000).any(|_| {
        owner(&ordinary) == user || {
            thread::sleep(Duration::from_millis(1));
            false
        }
    });
    assert!(became, "an ordinary process belongs to its user");
    ordinary.kill().and_then(|()| ordinary.wait()).expect("ours");

    let mut command = Command::new(&program);
    let named = keyfob(&server, &home, &["login", "--no-browser"]);
    command.args(named.get_args()).env_clear().current_dir("/");
    command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = as_user(command);
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("an address");
    assert!(line.starts_with("http://"), "it waits for the answer: {line}");
    assert_eq!(owner(&child), 0, "its memory is nobody's but the system's");
    child.kill().and_then(|()| child.wait()).expect("ours");
}
