//! SIGKILL of the worker at each of its acts in turn: the test is its caller, and strace(1) kills it as it enters the
//! system call. Enabled with `--features traced`, because not every machine has strace.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use keyfob_testkit::{
    Home, program, provider,
    rounds::{Fate, fate, settled},
};

/// The calls that touch the disk, the lock or the network; the others only prepare something in memory.
const CALLS: &str = "openat,read,write,pwrite64,ftruncate,fchmod,flock,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,\
    mkdir,socket,connect,sendto,recvfrom,close,exit_group";

/// Renews as the command would: the lock is the worker's standard input. Under strace, with these words for it.
fn renew(sandbox: &Home, words: &[&str]) -> Option<i32> {
    let lock: File = sandbox.idle();
    let mut command = Command::new("strace");
    sandbox.environment(&mut command).args(words).arg("--").arg(program());
    command.args(["internal:renew", "-"]).arg(sandbox.record_path()).args(["0", "", "file"]);
    let status = command.stdin(Stdio::from(lock)).stdout(Stdio::null()).status().expect("strace");
    drop(command);
    status.signal()
}

/// Every act of one renewal, in order: which call, and the how-manieth of its kind.
fn acts(sandbox: &Home) -> Vec<(String, usize)> {
    let log = sandbox.home().with_file_name("trace");
    sandbox.expire();
    let words =
        ["-qq", "-o", log.to_str().expect("UTF-8"), "-e", &format!("trace={}", CALLS.replace(' ', ""))];
    assert_eq!(renew(sandbox, &words), None, "strace cannot trace here");
    let mut seen = BTreeMap::new();
    let text = fs::read_to_string(log).expect("a trace");
    let names = text.lines().filter_map(|line| line.split_once('(').map(|(name, _)| name.to_owned()));
    names
        .map(|name| {
            let n = seen.entry(name.clone()).or_insert(0_usize);
            *n += 1;
            (name, *n)
        })
        .collect()
}

#[test]
fn renewal_killed_at_every_system_call_keeps_the_login() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let acts = acts(&sandbox);
    assert!(acts.iter().any(|(name, _)| name.starts_with("rename")), "{acts:?}");
    let mut told = Vec::new();
    for (name, n) in &acts {
        let before = server.grants();
        let generation = sandbox.record()["generation"].clone();
        sandbox.expire();
        let inject = format!("inject={name}:signal=SIGKILL:when={n}");
        let signal = renew(&sandbox, &["-qq", "-o", "/dev/null", "-e", &inject]);
        assert!(matches!(signal, Some(9)), "{name} {n}: {signal:?}");
        settled(&server);
        let fate = fate(&server, &sandbox, before, &generation);
        if fate == Fate::Lost {
            sandbox.plant(&server);
        }
        told.push((format!("{name} {n}"), fate));
    }
    let count = |fate| told.iter().filter(|(_, found)| *found == fate).count();
    let [kept, adopted, lost] = [Fate::Kept, Fate::Adopted, Fate::Lost].map(count);
    println!(
        "acts: {} acts, killed at each: {kept} nothing spent, {lost} lost in flight, {adopted} adopted",
        told.len()
    );
    let window: Vec<_> =
        told.iter().filter(|(_, fate)| *fate == Fate::Lost).map(|(act, _)| act.as_str()).collect();
    println!("      lost at: {}", window.join(", "));
    assert!(kept > 0 && adopted > 0, "{told:?}");
    // One window, from the request to the answer on the disk: before it nothing is spent, after it nothing is lost.
    let order: Vec<_> = told.iter().map(|(_, fate)| *fate).collect();
    let mut phases = order.clone();
    phases.dedup();
    assert_eq!(phases, [Fate::Kept, Fate::Lost, Fate::Adopted], "{told:?}");
}
