//! A server in the foreground ends in order when it is told to. Alone in its process, whose signals it takes over.
#![cfg(target_os = "linux")]

use std::{
    fs,
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use keyfob_dev::{DevServer, Options};

/// SIGTERM in the mask of signals that a process handles itself.
const TERMINATE: u64 = 1 << (15 - 1);

fn is_handled() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("our own status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
    u64::from_str_radix(mask.trim(), 16).expect("hexadecimal") & TERMINATE != 0
}

#[test]
fn dev_server_stops_cleanly_on_a_signal() {
    let server = DevServer::start(Options { port: 0, ..Options::default() }).expect("a server");
    let port = server.port();
    let waiting = thread::spawn(move || server.wait());
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_handled() {
        assert!(Instant::now() < patience, "nobody watches for the signal");
        thread::sleep(Duration::from_millis(2));
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let kill = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status();
    assert!(kill.is_ok_and(|status| status.success()));
    waiting.join().expect("no panic").expect("it ended in order");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
