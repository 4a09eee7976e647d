//! `keyfob token` with a fresh login is one read and one write: no runtime, no thread, no other process, no network, no
//! lock. Its time follows from that; the measured times are in docs/performance.md.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the command, read the clock to give up, and fail by panicking"
)]

use std::{
    fs::{self, DirBuilder},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use keyfob::internals::core::{contract::names, login::record::Key};

/// Nothing listens there: any request to it would fail.
const BASE: &str = "http://127.0.0.1:9";

/// A home with a login that is good until 2100.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let key = Key {
        profile: "default".into(),
        issuer: BASE.into(),
        client_id: "keyfob-local".into(),
        seed: None,
        federation: None,
    };
    let record = serde_json::json!({
        "version": 1, "login": "07070707070707070707070707070707", "generation": 3, "profile": "default",
        "environment": "local", "issuer": BASE, "client_id": "keyfob-local", "scopes": "user:profile",
        "endpoints": {"token_url": format!("{BASE}/v1/oauth/token")},
        "access_token": "sesame", "refresh_token": "open",
        "issued_at": 1_700_000_000, "expires_at": 4_102_444_800_i64,
    });
    let logins = home.path().join("logins");
    DirBuilder::new().mode(0o700).create(&logins).unwrap();
    let path = logins.join(format!("{}.json", key.stem()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(record.to_string().as_bytes()).unwrap();
    home
}

/// This program before `keyfob token`, or the command itself.
fn token(home: &Path, before: &[&str]) -> Command {
    let words = [before, &[keyfob_testkit::program(), "token"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").env("KEYFOB_HOME", home);
    command.env(names::USE_LOCAL, "1").env(names::API_BASE, BASE).stdin(Stdio::null());
    command
}

/// Looks at the process as it stands before a full pipe, about to print: by then it has done everything.
#[test]
#[cfg(target_os = "linux")]
fn before_the_answer_there_is_one_thread_and_nothing_open() {
    let home = home();
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'\n'; 65536]).unwrap();
    let mut child = token(home.path(), &[]).stdout(writer).spawn().unwrap();
    let proc = Path::new("/proc").join(child.id().to_string());
    // Asleep each time one looks: that is the write, or something that has no place on this way.
    let asleep = || fs::read_to_string(proc.join("status")).unwrap().contains("State:\tS");
    let begin = Instant::now();
    let mut looks = 0;
    while looks < 10 {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never came to print");
        looks = if asleep() { looks + 1 } else { 0 };
        thread::sleep(Duration::from_millis(10));
    }
    let status = fs::read_to_string(proc.join("status")).unwrap();
    assert!(status.lines().any(|line| line == "Threads:\t1"), "{status}");
    // A process that lets nobody look into it shows its descriptors to root alone, which CI is. What whoever runs the
    // tests left open, or sends their words to, is open here too.
    match targets(&proc.join("fd")) {
        Ok(open) => {
            let ours = targets(Path::new("/proc/self/fd")).unwrap();
            let open: Vec<_> = open.into_iter().filter(|target| !ours.contains(target)).collect();
            assert!(open.is_empty(), "still open: {open:?}");
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(std::env::var_os("CI").is_none(), "CI runs this as root: its descriptors must be seen");
        }
    }
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.trim(), "sesame");
    assert!(child.wait().unwrap().success());
}

/// The targets of a process's descriptors, except pipes and devices.
#[cfg(target_os = "linux")]
fn targets(descriptors: &Path) -> io::Result<Vec<String>> {
    let target = |entry: io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path()).unwrap_or_default();
    let targets = fs::read_dir(descriptors)?.map(|entry| target(entry).display().to_string());
    Ok(targets.filter(|target| !target.starts_with("pipe:") && !target.starts_with("/dev/")).collect())
}

/// The whole of its life. Needs strace, so it is asked for: `cargo test -p keyfob-tests --features traced`, as CI does.
#[test]
#[cfg(feature = "traced")]
fn fresh_token_uses_no_thread_process_socket_or_lock() {
    let home = home();
    let trace = home.path().join("trace");
    let traced = token(home.path(), &["strace", "-f", "-o", trace.to_str().unwrap()]).output();
    let output = traced.expect("strace, from the package of that name");
    assert_eq!(output.stdout, b"sesame\n", "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(&trace).unwrap();
    let calls: Vec<_> = trace.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start())).collect();
    for forbidden in [
        "clone", "fork", "vfork", "socket", "connect", "epoll_", "eventfd", "io_uring", "flock", "fsync",
        "unlink", "rename", "mkdir",
    ] {
        let found = calls.iter().find(|call| call.starts_with(forbidden));
        assert!(found.is_none(), "the way of a fresh token must not call {forbidden}: {found:?}");
    }
    let of = |call: &str| calls.iter().filter(|line| line.starts_with(call)).count();
    assert_eq!(of("execve("), 1);
    let written: Vec<_> = calls.iter().filter(|call| call.starts_with("write")).collect();
    assert_eq!(written.len(), 1, "only the answer is written: {written:?}");
    let record = calls.iter().filter(|call| call.starts_with("openat") && call.contains(".json")).count();
    assert_eq!(record, 1, "the login is read once");
    assert!(!calls.iter().any(|call| call.contains("O_CREAT") || call.contains("O_RDWR")));
}
