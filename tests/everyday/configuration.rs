//! The configuration file as people write it: its errors, and the effect of its keys.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
};

use crate::visitor::Answer;
use keyfob_testkit::{Ran, Sandbox};

fn configure(s: &Sandbox, text: &str) {
    let dir = s.home.path().join("keyfob");
    fs::create_dir_all(&dir).expect("ours");
    fs::write(dir.join("config.toml"), text).expect("a file");
}

/// All errors are reported together, each by line and key, by every command and before any request.
#[test]
fn what_is_wrong_with_the_file_is_told_by_line_and_key() {
    let s = Sandbox::new();
    // What an `echo … >> config.toml` leads to, and two mistakes more.
    let text = format!(
        "environment = \"work\"\nprefer = \"both\"\n\n[environments.work]\nissuer = \"{}\"\nclient_id = 7\n\
         seal = \"secret-service\"\n",
        s.server.base_url()
    );
    configure(&s, &text);
    for words in [&["token"][..], &["login", "--no-browser"], &["status"], &["doctor"], &["env"]] {
        let ran = s.run(words);
        assert_eq!(ran.code, Some(3), "{words:?}: {ran:?}");
        let said = format!("{}\n{}", ran.out, ran.err);
        for expected in [
            "config.toml, line 2: `prefer` is malformed",
            "config.toml, line 6: `client_id` of [environments.work] is malformed",
            "config.toml, line 7: `seal` is not a key of [environments.work]",
            "it belongs above the first [section]",
        ] {
            assert!(said.contains(expected), "{words:?}: {expected}: {said}");
        }
    }
    let told = s.run(&["token", "--json"]);
    told.failed(3, "config-malformed");
    assert!(s.server.requests().is_empty(), "nobody was asked");
    configure(&s, "environment = \"work\n");
    let broken = s.run(&["token", "--json"]);
    assert!(broken.failed(3, "config-malformed").err.contains("line 1: this is not TOML"), "{broken:?}");
}

/// For a provider that compares the whole redirect address.
#[test]
fn the_configured_port_is_the_callbacks() {
    let s = Sandbox::new();
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let (fixed, other) = (free(), free());
    configure(
        &s,
        &format!(
            "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"keyfob-local\"\nport = {fixed}\n",
            s.server.base_url()
        ),
    );
    let busy = TcpListener::bind(("127.0.0.1", fixed)).expect("it is free");
    let run = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH");
        command
    };
    let taken = Ran::from(run(&["login", "--no-browser"]).output().expect("it runs"));
    assert!(taken.err.contains(&format!("port {fixed} cannot be listened on")), "{taken:?}");
    // The command line's own comes first.
    let login = |words: &[&str], port: u16| {
        let mut child = run(words).spawn().expect("the command starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("an address");
        let redirect = format!("redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Fcallback&");
        assert!(address.contains(&redirect), "{address}");
        assert_eq!(Answer::of(address.trim()).follow(), "You are signed in");
        assert!(child.wait().expect("it ends").success());
    };
    login(&["login", "--no-browser", "--port", &other.to_string()], other);
    drop(busy);
    login(&["login", "--no-browser"], fixed);
}
