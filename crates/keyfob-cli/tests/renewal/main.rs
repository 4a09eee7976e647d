//! Renewal as its users meet it: odd answers, odd places, rejected tokens, with the real command.

mod answers;
mod places;
mod rejected;
#[path = "../everyday/sandbox.rs"]
mod sandbox;

use std::{fs, path::PathBuf, thread, time::Duration};

use sandbox::Sandbox;
use serde_json::Value;

/// The record of the one login there is.
fn record_path(s: &Sandbox) -> PathBuf {
    let mut records = fs::read_dir(s.logins())
        .expect("the store")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    records.next().expect("a record")
}

fn record(s: &Sandbox) -> Value {
    serde_json::from_slice(&fs::read(record_path(s)).expect("a record")).expect("JSON")
}

/// Makes the access token old by rewriting when it was issued: the client's clock is the machine's.
fn expire(s: &Sandbox) {
    age(s, 7200);
}

fn age(s: &Sandbox, seconds: i64) {
    let path = record_path(s);
    let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
    for member in ["issued_at", "expires_at"] {
        record[member] = (record[member].as_i64().expect("a moment") - seconds).into();
    }
    fs::write(&path, record.to_string()).expect("a record");
}

/// Waits until something is so, at most ten seconds.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not come about in ten seconds");
}

/// The worker's process, while there is one: it names itself in the lock file.
fn worker(s: &Sandbox) -> Option<i32> {
    let marker = s.home.path().join("keyfob").to_string_lossy().into_owned();
    fs::read_dir("/proc").expect("/proc").find_map(|entry| {
        let entry = entry.ok()?;
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains("renew-detached") && line.contains(&marker)).then_some(pid)
    })
}
