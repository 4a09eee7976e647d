//! The fire drill at full size: `cargo bench -p keyfob-cli --bench drill -- --processes 512 --rounds 20 --kills 10000`
//!
//! Prints its figures; fails when a login was lost where it must not be.
#![expect(clippy::disallowed_methods, reason = "it starts and kills real processes, and times them")]
#![expect(clippy::print_stdout, reason = "printing its figures is what it is for")]

#[path = "../tests/everyday/sandbox.rs"]
#[expect(dead_code, reason = "the drill needs only a part of it")]
mod sandbox;

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use sandbox::Sandbox;
use serde_json::Value;

fn main() {
    let option = |name: &str, default: u64| {
        let words: Vec<String> = std::env::args().collect();
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1)).map_or(default, |word| word.parse().expect("a number"))
    };
    let (processes, rounds, kills) =
        (option("--processes", 512), option("--rounds", 20), option("--kills", 10_000));
    storm(processes, rounds);
    callers(kills);
    renewals(kills / 10);
}

/// Everybody at one expired token.
fn storm(processes: u64, rounds: u64) {
    let s = signed_in();
    s.server.set_latency(Duration::from_millis(20));
    let before = s.server.grants().refreshes;
    let (mut failures, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        expire(&s);
        let began = Instant::now();
        let children: Vec<_> = (0..processes)
            .map(|_| {
                s.keyfob(["token"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
            })
            .collect();
        for child in children {
            let status = child.expect("the command runs").wait().expect("it ends");
            failures += u64::from(!status.success());
        }
        slowest = slowest.max(began.elapsed());
    }
    let grants = s.server.grants();
    println!("storm      {processes} processes x {rounds} expiries");
    println!(
        "           refresh grants {}, reuses {}, failures {failures}",
        grants.refreshes - before,
        grants.reuses
    );
    println!("           slowest round {} ms", slowest.as_millis());
    assert_eq!((grants.refreshes - before, grants.reuses, failures), (rounds, 0, 0));
}

/// SIGKILL of callers at every moment.
fn callers(kills: u64) {
    let s = signed_in();
    s.server.set_latency(Duration::from_millis(3));
    let mut lost = 0;
    for round in 0..kills {
        expire(&s);
        let mut child =
            s.keyfob(["token"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        thread::sleep(Duration::from_micros(round * 7919 % 12_000));
        let _ = child.kill();
        let _ = child.wait();
        lost += u64::from(!s.run(&["token"]).status.success());
    }
    println!("callers    {kills} killed at random: {lost} logins lost, reuses {}", s.server.grants().reuses);
    assert_eq!((lost, s.server.grants().reuses), (0, 0));
}

/// SIGKILL of the renewing process itself: what physics forbids, in numbers.
fn renewals(kills: u64) {
    let s = signed_in();
    s.server.set_latency(Duration::from_millis(3));
    let (mut hit, mut lost) = (0_u64, 0_u64);
    for round in 0..kills {
        expire(&s);
        let mut child =
            s.keyfob(["token"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        thread::sleep(Duration::from_micros(800 + round * 6143 % 9_000));
        hit += u64::from(kill_worker(&s));
        let _ = child.wait();
        match s.run(&["token"]).status.code() {
            Some(0) => {}
            Some(4) => {
                lost += 1;
                s.sign_in("default", "ada@example.com");
            }
            code => panic!("an outcome nobody promised: {code:?}"),
        }
    }
    let percent = |part: u64, whole: u64| part * 100 / whole.max(1);
    println!(
        "renewals   {kills} tries, {hit} killed while renewing: {lost} logins lost at a strict provider"
    );
    println!("           ({} of 100 kills fell between rotation and disk)", percent(lost, hit));
}

fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

fn record_path(s: &Sandbox) -> PathBuf {
    let mut entries =
        fs::read_dir(s.logins()).expect("the store").map(|entry| entry.expect("an entry").path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "json")).expect("a record")
}

fn expire(s: &Sandbox) {
    let path = record_path(s);
    let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
    for member in ["issued_at", "expires_at"] {
        record[member] = (record[member].as_i64().expect("a moment") - 7200).into();
    }
    record.as_object_mut().expect("an object").remove("cooldown");
    fs::write(&path, record.to_string()).expect("a record");
}

/// Kills whatever renews this login.
fn kill_worker(s: &Sandbox) -> bool {
    let marker = s.home.path().to_string_lossy().into_owned();
    let found = fs::read_dir("/proc").expect("/proc").find_map(|entry| {
        let entry = entry.ok()?;
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).ok()?).into_owned();
        (line.contains("renew-detached") && line.contains(&marker)).then_some(pid)
    });
    found
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok())
}
