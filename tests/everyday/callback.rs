//! The callback, and requests that only resemble it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::visitor::{Answer, Tab, follow};
use keyfob_testkit::{Sandbox, stderr};

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
    s.server.hold();
    let tabs = [answer.come(), second_tab.come()];
    crate::screen::until("the exchange", || s.server.held() == 1);
    s.server.release();
    let titles = tabs.map(Tab::follow);
    assert_eq!(titles, ["You are signed in", "You are signed in"]);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(s.server.grants().codes, 1);
}

/// A taken port is named, and signing in with the page's code still works.
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
    assert!(
        told.starts_with(&format!(
            "warning: port {port} cannot be listened on for the callback\ncause: Address"
        )),
        "{told}"
    );
    assert!(told.contains("hint:  the page will show a code instead"), "{told}");
}

/// The address is printed before a browser is tried, and the result of that is reported. None of it ends the wait for a
/// user who may still provide the answer.
#[test]
fn login_says_what_became_of_the_browser() {
    let s = Sandbox::new();
    let works = s.home.path().join("my-browser");
    let stays = s.home.path().join("my-window");
    for (path, script) in [(&works, "#!/bin/sh\nexit 0\n"), (&stays, "#!/bin/sh\n/bin/sleep 3\n")] {
        keyfob_testkit::script(path, script);
    }
    let works = works.to_str().expect("text");
    let stays = stays.to_str().expect("text");
    let display = ("DISPLAY", ":77");
    for (set, said) in [
        (("BROWSER", works), "Opened the page in my-browser (BROWSER)."),
        (("BROWSER", stays), "Opened the page in my-window (BROWSER)."),
        (
            ("BROWSER", "/no/such/browser"),
            "No browser could be opened: /no/such/browser is not there. Open the",
        ),
        (
            ("BROWSER", "/bin/false"),
            "No browser could be opened: /bin/false ended with exit status: 1. Open the",
        ),
        (
            ("BROWSER", ""),
            "No browser could be opened: there is no display (neither DISPLAY nor WAYLAND_DISPLAY",
        ),
        (display, "No browser could be opened: there is no program here that opens one (xdg-open). Open the"),
    ] {
        let s = Sandbox::new();
        let mut command = s.keyfob(["login"]);
        command.env("PATH", "/nowhere").env(set.0, set.1);
        let (mut child, address, _stdout) = begin(command);
        // What became of it comes before the wait, unless the machine is so busy that a browser seems to run which is about
        // to fail: that is told when it has.
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut told = String::new();
        while !told.contains(said) || !told.contains("Waiting for the browser") {
            assert!(messages.read_line(&mut told).expect("text") > 0, "{set:?}: {told}");
        }
        let wait = told.find("Waiting for the browser");
        assert!(told.find(said) < wait || told.find("Opened the page in") < wait, "{told}");
        assert_eq!(Answer::of(&address).follow(), "You are signed in");
        messages.read_to_string(&mut told).expect("text");
        assert!(child.wait().expect("it ends").success(), "{set:?}: {told}");
        assert!(told.contains("profile `default`") && told.contains("environment `local`"), "{told}");
    }
}

/// A job has no user who could sign in: it fails at once, with advice, and before anything is started where that is
/// known.
#[test]
fn a_job_is_not_kept_waiting_for_a_person() {
    let s = Sandbox::new();
    for words in [&["login"][..], &["setup-token"]] {
        let ran = s.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{ran:?}");
        assert!(
            ran.err.starts_with("error: nobody is here to sign in\ncause: there is no display"),
            "{ran:?}"
        );
        assert!(ran.err.contains("`keyfob setup-token`") && ran.err.contains("--device"), "{ran:?}");
    }
    assert!(s.server.requests().is_empty(), "nothing was asked");
    let output = s.keyfob(["login"]).env("BROWSER", "/bin/false").output().expect("it runs");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("/bin/false ended with exit status: 1"), "{}", stderr(&output));
}

/// Before the person takes the trouble, not after.
#[test]
fn a_variable_that_wins_is_told_before_the_page() {
    let s = Sandbox::new();
    let mut named = s.keyfob(["login", "--no-browser", "--json"]);
    let ran = keyfob_testkit::Ran::from(follow(named.env("ANTHROPIC_API_KEY", "sk-abc")));
    assert!(
        ran.out.contains("ANTHROPIC_API_KEY comes first") && !ran.out.contains(": api-key comes"),
        "{ran:?}"
    );
    assert!(ran.err.contains("unset ANTHROPIC_API_KEY, or name this login for each call"), "{ran:?}");
    let output = follow(s.keyfob(["login", "--no-browser"]).env("ANTHROPIC_API_KEY", "sk-abc"));
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    let warned = told.find("the new login will be saved but not used").expect("a warning");
    assert!(warned < told.find("Open this address").expect("an address"), "{told}");
    assert_eq!(told.matches("not used").count(), 1, "{told}");
}

/// A user who connects over SSH is informed of the device code, where the provider has one.
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

/// A variable that names a program of the repository starts none: the address is there to be opened by hand.
#[test]
fn a_repository_brings_no_browser() {
    let s = Sandbox::new();
    let repo = s.home.path().join("repo");
    std::fs::create_dir_all(repo.join(".git")).expect("ours");
    let evil = repo.join("evil.sh");
    for path in [&evil, &repo.join("xdg-open")] {
        keyfob_testkit::script(path, "#!/bin/sh\necho > \"${0%/*}/ran\"\n");
    }
    let path = evil.display().to_string();
    for browser in [path.as_str(), "./evil.sh", "sh evil.sh", "sh -c ./evil.sh", ""] {
        let mut command = s.keyfob(["login"]);
        command.env("BROWSER", browser).env("PATH", &repo).current_dir(&repo);
        let (child, address, _stdout) = begin(command);
        assert_eq!(Answer::of(&address).follow(), "You are signed in");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", stderr(&output));
        let told = stderr(&output).contains("BROWSER names");
        assert_eq!(told, !browser.is_empty(), "{browser}: {}", stderr(&output));
    }
    assert!(!repo.join("ran").exists(), "a program of the repository was run");
}

/// The browser that is opened gets an address that reveals nothing to a reader of its arguments, and no credential. It
/// has a separate session: Ctrl-C and a closed terminal end the command, not the browser.
#[test]
fn a_browser_gets_an_address_alone() {
    let s = Sandbox::new();
    let seen = s.home.path().join("seen");
    let browser = s.home.path().join("browser");
    let script = format!(
        "#!/bin/sh\nread -r stat </proc/self/stat\n{{ echo \"$1\"; echo \"$stat\"; env; }} > {0}.part\nmv {0}.part {0}\n",
        seen.display()
    );
    keyfob_testkit::script(&browser, &script);
    let mut command = s.keyfob(["login"]);
    command.env("BROWSER", &browser).env("ANTHROPIC_API_KEY", "sk-not-for-browsers");
    let (child, address, _stdout) = begin(command);
    crate::screen::until("the browser", || seen.exists());
    // Read from the same place as the browser's: a service may stand in no session at all, which is number 0.
    let ours = std::fs::read_to_string("/proc/self/stat").expect("it is there");
    let ours = ours.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(3)).expect("a session");
    assert_eq!(Answer::of(&address).follow(), "You are signed in");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    let told = std::fs::read_to_string(&seen).expect("the browser was started");
    assert_eq!(told.lines().next(), Some(address.as_str()));
    assert!(!address.contains("state=") && !address.contains("code_challenge"), "{address}");
    // After "pid (name)": state, parent, group, session.
    let stat = told.lines().nth(1).expect("a line");
    let theirs = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(3));
    assert_ne!(theirs, Some(ours), "{stat}");
    assert!(!told.contains("sk-not-for-browsers"), "{told}");
    // Whoever sits at another machine has the whole address too.
    let whole = stderr(&output);
    let whole = whole.lines().find(|line| line.contains("code_challenge=")).expect("the whole address");
    assert!(whole.contains("state="), "{whole}");
}

/// Cookies ignore ports: a browser may send those of everything that was ever developed on this host. Beyond our limit
/// both sides get an error, and the workaround it names works.
#[test]
fn callback_accepts_a_request_with_many_cookies() {
    let s = Sandbox::new();
    for (cookies, taken) in [(100, true), (400, false)] {
        let (mut child, address, _stdout) = begin(s.keyfob(["login", "--no-browser"]));
        let answer = Answer::of(&address);
        let jar: String =
            (0..cookies).map(|at| format!("\r\nCookie: app{at}={}", "x".repeat(1000))).collect();
        let reply = answer.send(&format!("GET /callback?QUERY HTTP/1.1\r\nHost: HOST{jar}"));
        if !taken {
            assert!(
                reply.starts_with("HTTP/1.1 431 ") && reply.contains("paste it into the terminal"),
                "{reply}"
            );
            writeln!(child.stdin.take().expect("a pipe"), "{}", answer.url).expect("it reads");
        } else {
            assert!(reply.starts_with("HTTP/1.1 303 "), "{reply}");
        }
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("most likely cookies for this host"), !taken);
    }
}

/// RFC 9112 §3.2.2: the absolute form of a target is the same request.
#[test]
fn callback_accepts_the_absolute_request_form() {
    let s = Sandbox::new();
    let (child, address, _stdout) = begin(s.keyfob(["login", "--no-browser"]));
    let answer = Answer::of(&address);
    let reply = answer.send("GET http://HOST/callback?QUERY HTTP/1.1\r\nHost: HOST");
    assert!(reply.starts_with("HTTP/1.1 303 "), "{reply}");
    assert!(child.wait_with_output().expect("it ends").status.success());
}

/// Connections that say little and stay long take neither the descriptors nor the threads of the wait, and do not keep
/// the answer out.
#[test]
#[expect(clippy::disallowed_methods, reason = "the command gets few descriptors")]
fn slow_strangers_do_not_keep_the_answer_out() {
    let s = Sandbox::new();
    let command = s.keyfob(["login", "--no-browser"]);
    let line = "ulimit -n 256; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (child, address, _stdout) = begin(shell);
    let answer = Answer::of(&address);
    let strangers: Vec<_> = (0..400)
        .map(|_| {
            let mut stranger = std::net::TcpStream::connect(answer.authority()).expect("somebody listens");
            stranger.write_all(b"G").map(|()| stranger)
        })
        .collect();
    assert_eq!(answer.follow(), "You are signed in");
    assert!(child.wait_with_output().expect("it ends").status.success());
    drop(strangers);
}

/// Whatever fails, and however often: no other command opens a page.
#[test]
fn only_signing_in_opens_a_browser() {
    let s = Sandbox::new();
    let opened = s.home.path().join("opened");
    let browser = s.home.path().join("browser");
    keyfob_testkit::script(&browser, &format!("#!/bin/sh\necho \"$1\" >> {}\n", opened.display()));
    let run = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env("BROWSER", &browser).stdin(Stdio::null()).output().expect("it runs")
    };
    let every: [&[&str]; 9] = [
        &["token"],
        &["token", "--json"],
        &["header"],
        &["exec", "true"],
        &["connect"],
        &["status", "--verify"],
        &["env"],
        &["doctor"],
        &["logout"],
    ];
    // Nobody signed in; then a login that the provider has ended.
    for words in every {
        run(words);
    }
    s.sign_in("default", "ada@example.com");
    assert!(run(&["token"]).status.success());
    s.server.advance(40 * 24 * 3600);
    for words in every.iter().cycle().take(3 * every.len()) {
        run(words);
    }
    assert!(!opened.exists(), "{}", std::fs::read_to_string(&opened).unwrap_or_default());
    // Signing in does, or the rest would prove nothing.
    let mut command = s.keyfob(["login"]);
    let (child, address, _stdout) = begin({
        command.env("BROWSER", &browser);
        command
    });
    crate::screen::until("the browser", || opened.exists());
    assert_eq!(Answer::of(&address).follow(), "You are signed in");
    assert!(child.wait_with_output().expect("it ends").status.success());
    assert_eq!(std::fs::read_to_string(&opened).expect("opened").lines().count(), 1);
}

/// Machines with one loopback only. The demo is a whole sign-in there: provider, browser, callback.
#[cfg(feature = "tools")]
#[test]
#[expect(clippy::disallowed_methods, reason = "the command gets a network of its own")]
fn callback_works_with_one_address_family() {
    let s = Sandbox::new();
    for (family, without, literal) in [
        ("IPv4", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "http://127.0.0.1:"),
        ("IPv6", "ip address delete 127.0.0.1/8 dev lo", "http://[::1]:"),
    ] {
        let line = format!("ip link set lo up && {without} && exec \"$0\" demo --yes");
        let mut command = Command::new("unshare");
        command.args(if rustix::process::geteuid().is_root() { &["-n"][..] } else { &["-Urn"] });
        command.args(["timeout", "60", "sh", "-euc", &line, keyfob_testkit::program()]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", s.home.path());
        let output = command.stdin(Stdio::null()).output().expect("unshare of util-linux");
        assert!(output.status.success(), "{family}: {}", stderr(&output));
        let told = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(&format!("It runs in this process, at {literal}")), "{family}: {told}");
    }
}
