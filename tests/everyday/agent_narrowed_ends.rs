//! What becomes of narrowed tokens when the login that they were exchanged for ends, is replaced, or is no longer accepted.
#![expect(clippy::disallowed_methods, reason = "a thread of the test answers for the provider")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use keyfob_dev::{Client, Fault, FaultGrant, FaultKind, Options};
use keyfob_testkit::{Sandbox, read_record, until, write_in_place};
use serde_json::json;

use crate::{
    agent::{Agent, id},
    agent_narrowed::{NARROW, SCOPE, introspect, records_of, signed_in, the_one, token},
};

fn revocations(s: &Sandbox) -> usize {
    s.server.requests().iter().filter(|request| request.path == "/v1/oauth/revoke").count()
}

fn is_active(s: &Sandbox, token: &str) -> bool {
    introspect(s, token)["active"] == json!(true)
}

#[test]
fn what_was_narrowed_goes_with_its_profile_and_with_all_logins() {
    for words in [&["profiles", "remove", "default"][..], &["logout", "--all"]] {
        let s = signed_in();
        let agent = Agent::start(&s, &NARROW);
        let narrow = token(&agent);
        drop(agent);
        assert_eq!(records_of(&s, true).len(), 1);
        s.out(words);
        assert_eq!(s.files("json"), Vec::<PathBuf>::new(), "{words:?}");
        assert!(!is_active(&s, &narrow), "{words:?}");
        assert_eq!(revocations(&s), 2, "the login, and what it was exchanged for: {words:?}");
    }
}

/// A place of this test's where the login is revoked: what is asked there waits until the test has done something.
fn revokes_slowly(s: &Sandbox, meanwhile: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let path = the_one(records_of(s, false));
    let mut record = read_record(&path);
    let url = format!("http://{}/revoke", listener.local_addr().expect("an address"));
    record["endpoints"]["revoke_url"] = json!(url);
    write_in_place(&path, &record);
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody asks");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a head");
            if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = number.trim().parse().expect("a length");
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
        meanwhile();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        reader.into_inner().write_all(answer.as_bytes()).expect("an answer");
    })
}

/// While the login is being revoked it is still there, and its token is good.
#[test]
fn what_is_narrowed_while_the_login_is_signed_out_goes_too() {
    for words in [&["logout"][..], &["logout", "--all"]] {
        let s = signed_in();
        let agent = Arc::new(Agent::start(&s, &NARROW));
        let first = token(&agent);
        let (say, said) = mpsc::channel();
        let rejected = agent.post("/v1/token", &json!({})).1["handle"].clone();
        let asked = Arc::clone(&agent);
        let revoking = revokes_slowly(&s, move || {
            let answer = asked.post("/v1/token", &json!({ "rejected": rejected }));
            say.send(answer).expect("the test listens");
        });
        s.out(words);
        revoking.join().expect("it was asked");
        let second = said.recv().expect("an answer");
        let second = second.1["token"].as_str().unwrap_or_else(|| panic!("{second:?}"));
        assert_ne!(second, first);
        assert!(!is_active(&s, second), "{words:?}");
        assert_eq!(id(&agent.post("/v1/token", &json!({}))), (401, "login-needed"));
        assert_eq!(s.files("json"), Vec::<PathBuf>::new(), "{words:?}");
    }
}

/// Ada's login is replaced by another person's, in one step, and nobody asks the door again.
#[test]
fn what_was_narrowed_goes_with_the_login_that_is_replaced() {
    let clients = vec![Client::confidential("service", "s3cret").expect("a client")];
    let device_interval = Duration::from_secs(1);
    let s = Sandbox::with(Options { clients, device_interval, ..Options::default() });
    s.sign_in("default", "ada@example.com");
    let agent = Agent::start(&s, &NARROW);
    let narrow = token(&agent);
    drop(agent);
    s.run(&["login", "--device", "--replace"]).answer();
    assert_eq!(records_of(&s, true), Vec::<PathBuf>::new());
    assert!(!is_active(&s, &narrow));
    assert_eq!(revocations(&s), 2);

    // A token that was brought along may be of the same grant as the one before: then nothing is revoked, but nothing stays either.
    let agent = Agent::start(&s, &NARROW);
    let narrow = token(&agent);
    drop(agent);
    s.sign_in("default", "dev@example.com");
    assert_eq!(records_of(&s, true), Vec::<PathBuf>::new());
    assert!(is_active(&s, &narrow));
    assert_eq!(revocations(&s), 2);
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().filter(|text| !text.is_empty())
}

/// The exchange for the next login is refused, or gets nowhere: what is in the file is of the one before.
#[test]
fn a_kept_file_does_not_hold_what_another_login_was_narrowed_to() {
    for kind in [FaultKind::InvalidClient, FaultKind::Status500] {
        let s = signed_in();
        let path = s.path().join("narrow");
        let mut words = NARROW.to_vec();
        words.extend(["--keep", path.to_str().expect("text")]);
        let agent = Agent::start(&s, &words);
        let adas = until("the token", || text(&path));
        assert_eq!(adas.trim_end(), token(&agent));
        s.server.inject(Fault { grant: FaultGrant::Federation, kind }, None);
        let minted = s.server.mint("bob@example.com", "user:profile user:inference").expect("tokens");
        let fed = s
            .feed(&["login", "--with-token", "refresh", "--replace"], &format!("{}\n", minted.refresh_token));
        assert!(fed.status.success(), "{fed:?}");
        until("nothing", || (!path.exists()).then_some(()));
    }
}

/// The provider has ended the login's access token before its time, as it may when it is started anew.
#[test]
fn a_narrowed_door_heals_when_the_logins_token_has_ended_early() {
    let s = signed_in();
    let whole = s.token();
    let revoke = |whole: &str| {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let client = s.record()["client_id"].as_str().expect("text").to_owned();
        let url = format!("{}/v1/oauth/revoke", s.server.base_url());
        agent.post(url).send_form([("token", whole), ("client_id", &client)]).expect("it is revoked");
    };
    revoke(&whole);
    let refreshed = s.server.grants().refreshes;
    let agent = Agent::start(&s, &NARROW);
    let narrow = until("a token", || {
        let answer = agent.post("/v1/token", &json!({}));
        answer.1["token"].as_str().map(str::to_owned)
    });
    assert_eq!(introspect(&s, &narrow)["scope"], SCOPE);
    assert_eq!(s.server.grants().refreshes, refreshed + 1, "the login was renewed once");
    assert_ne!(s.token(), whole);
}

#[test]
fn an_id_token_is_not_narrowed() {
    let s = signed_in();
    let path = s.path().join("jwt");
    let kept = format!("id-token:{}", path.display());
    let socket = s.path().join("doors/agent.sock");
    let ran =
        s.run(&["agent", "--socket", socket.to_str().expect("text"), "--scope", SCOPE, "--keep", &kept]);
    assert!(
        ran.code == Some(2) && ran.err.contains("a provider narrows access tokens alone") && !socket.exists(),
        "{ran:?}"
    );
}

/// Its three lines are about the door, and not about the login's own scopes.
#[test]
fn a_scope_that_the_login_does_not_have_is_told_as_that() {
    let s = signed_in();
    let agent = Agent::start(&s, &["--scope", "org:create_api_key"]);
    let refused = until("the refusal itself", || {
        let answer = agent.post("/v1/token", &json!({}));
        (answer.0 == 502).then_some(answer)
    });
    let error = &refused.1["error"];
    assert_eq!(
        (error["id"].as_str(), error["cause"].as_str()),
        (Some("federation-refused"), Some("door-scope"))
    );
    assert!(error["what"].as_str().is_some_and(|what| what.contains("was not narrowed")), "{error}");
    let hint = error["hint"].as_str().expect("a hint");
    assert!(hint.contains("org:create_api_key") && hint.contains("[agent.doors.NAME]"), "{hint}");
}
