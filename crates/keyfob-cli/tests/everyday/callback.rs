//! The callback, and everything that is not the callback.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::{
    sandbox::{Sandbox, stderr},
    visitor::Answer,
};

/// Begins to sign in; the address, and the rest of what is printed.
fn begin(mut command: Command) -> (Child, String, BufReader<ChildStdout>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut address = String::new();
    stdout.read_line(&mut address).expect("an address");
    (child, address.trim().to_owned(), stdout)
}

/// Icons, previews, probes, other tabs and other people's pages do not end the wait; the answer does.
#[test]
fn strangers_do_not_end_the_wait() {
    let s = Sandbox::new();
    let (mut child, address, _stdout) = begin(s.keyfob(["login", "--no-browser"]));
    let answer = Answer::of(&address);
    let second_tab = Answer::of(&address);
    for (head, status) in [
        ("GET /favicon.ico HTTP/1.1\r\nHost: HOST", "404"),
        ("HEAD /callback?QUERY HTTP/1.1\r\nHost: HOST", "204"),
        ("GET /callback?QUERY HTTP/1.1\r\nHost: HOST\r\nSec-Purpose: prefetch;prerender", "503"),
        ("GET /callback?QUERY HTTP/1.1\r\nHost: HOST\r\nPurpose: prefetch", "503"),
        ("GET /callback?QUERY HTTP/1.1\r\nHost: rebound.example", "400"),
        ("GET /callback?code=theirs&state=guessed HTTP/1.1\r\nHost: HOST", "400"),
        ("GET /callback?error=access_denied HTTP/1.1\r\nHost: HOST", "400"),
        ("GET /callback HTTP/1.1\r\nHost: HOST", "400"),
        ("GET / HTTP/1.1\r\nHost: HOST", "404"),
        ("POST /callback?QUERY HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0", "405"),
    ] {
        let reply = answer.send(head);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {reply}");
        assert!(child.try_wait().expect("our child").is_none(), "{head} ended the wait");
    }
    assert_eq!(s.server.grants().codes, 0);
    // A slow provider, and somebody who has both tabs open.
    s.server.set_latency(std::time::Duration::from_millis(400));
    let titles = std::thread::scope(|scope| {
        let tabs = [&answer, &second_tab].map(|tab| scope.spawn(|| tab.follow()));
        tabs.map(|tab| tab.join().expect("a page"))
    });
    assert_eq!(titles, ["You are signed in", "You are signed in"]);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(s.server.grants().codes, 1);
}

/// pain.md 32: a taken port is named, and the page's code signs in all the same.
#[test]
fn a_taken_port_becomes_a_paste() {
    let s = Sandbox::new();
    let theirs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = theirs.local_addr().expect("an address").port().to_string();
    let (mut child, address, _stdout) = begin(s.keyfob(["login", "--no-browser", "--port", &port]));
    assert!(!address.contains(&format!("%3A{port}%2Fcallback")), "the browser is sent to somebody else");
    let answer = Answer::of(&address);
    writeln!(child.stdin.take().expect("a pipe"), "{}", answer.shown()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.starts_with(&format!("warning: port {port} for the callback\ncause: Address")), "{told}");
    assert!(told.contains("hint:  the page will show a code instead"), "{told}");
}

/// pain.md 30: the address is printed before a browser is tried. That there is none is told; one that fails says
/// nothing, as it runs beside us. Neither ends the wait.
#[test]
fn no_browser_and_a_browser_that_fails() {
    for browser in ["/bin/false", "/no/such/browser"] {
        let s = Sandbox::new();
        let mut command = s.keyfob(["login"]);
        command.env("BROWSER", browser).env("PATH", "/nowhere");
        let (mut child, address, _stdout) = begin(command);
        let mut words = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        if browser == "/no/such/browser" {
            assert!(words.any(|line| line.contains("open the address yourself")), "nobody was told");
        }
        assert_eq!(Answer::of(&address).follow(), "You are signed in");
        assert!(words.any(|line| line.starts_with("Signed in as")));
        assert!(child.wait().expect("it ends").success());
    }
}

/// pain.md 33: whoever comes over SSH is told of the code, where the provider has one.
#[test]
fn over_ssh_the_code_is_suggested() {
    let s = Sandbox::new();
    let login = |name: &str| {
        let mut command = s.keyfob(["login", "--no-browser"]);
        let (child, address, _stdout) = begin({
            command.env(name, "192.0.2.7 52000 192.0.2.1 22");
            command
        });
        assert_eq!(Answer::of(&address).follow(), "You are signed in");
        stderr(&child.wait_with_output().expect("it ends")).contains("`keyfob login --device` needs neither")
    };
    assert!(login("SSH_CONNECTION"));
    // A container is far away too, and says so by itself.
    let contained =
        ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| std::path::Path::new(mark).exists());
    assert_eq!(login("SSH_ELSEWHERE"), contained);
    // Where codes are switched off, nobody is led to one.
    std::fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    std::fs::write(s.home.path().join("keyfob/config.toml"), "device_grant = false\n").expect("ours");
    assert!(!login("SSH_CONNECTION"));
}

/// The browser that is opened gets the address and no credential.
#[test]
fn a_browser_gets_the_address_alone() {
    let s = Sandbox::new();
    let seen = s.home.path().join("seen");
    let browser = s.home.path().join("browser");
    let script = format!("#!/bin/sh\n{{ echo \"$1\"; env; }} > {0}.part\nmv {0}.part {0}\n", seen.display());
    std::fs::write(&browser, script).expect("a script");
    std::fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let mut command = s.keyfob(["login"]);
    command.env("BROWSER", &browser).env("ANTHROPIC_API_KEY", "sk-not-for-browsers");
    let (child, address, _stdout) = begin(command);
    crate::screen::until("the browser", || seen.exists());
    assert_eq!(Answer::of(&address).follow(), "You are signed in");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    let told = std::fs::read_to_string(&seen).expect("the browser was started");
    assert_eq!(told.lines().next(), Some(address.as_str()));
    assert!(!told.contains("sk-not-for-browsers"), "{told}");
}

/// Machines with one loopback only. The demo is a whole sign-in there: provider, browser, callback.
#[cfg(feature = "tools")]
#[test]
#[expect(clippy::disallowed_methods, reason = "the command gets a network of its own")]
fn one_address_family_is_enough() {
    let s = Sandbox::new();
    for (family, without, literal) in [
        ("IPv4", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "http://127.0.0.1:"),
        ("IPv6", "ip address delete 127.0.0.1/8 dev lo", "http://[::1]:"),
    ] {
        let line = format!("ip link set lo up && {without} && exec \"$0\" demo --yes");
        let mut command = Command::new("unshare");
        command.args(if rustix::process::geteuid().is_root() { &["-n"][..] } else { &["-Urn"] });
        command.args(["timeout", "60", "sh", "-euc", &line, env!("CARGO_BIN_EXE_keyfob")]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", s.home.path());
        let output = command.stdin(Stdio::null()).output().expect("unshare of util-linux");
        assert!(output.status.success(), "{family}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("The development provider listens at {literal}")));
    }
}
