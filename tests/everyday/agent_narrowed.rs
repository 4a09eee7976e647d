//! Doors whose tokens are good for less than the login: the provider exchanges its access token (RFC 8693), and the login's own record
//! is never touched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use keyfob_dev::{Client, Options};
use keyfob_testkit::{Sandbox, expired, read_record, token_requests, until, write_in_place};
use serde_json::{Value, json};

use crate::agent::{Agent, id};

pub(crate) const SCOPE: &str = "user:profile";
pub(crate) const NARROW: [&str; 4] = ["--scope", SCOPE, "--audience", "reports"];

/// Ada has signed in at a provider that tells one service what a token is good for.
pub(crate) fn signed_in() -> Sandbox {
    let clients = vec![Client::confidential("service", "s3cret").expect("a client")];
    let s = Sandbox::with(Options { clients, ..Options::default() });
    s.sign_in("default", "ada@example.com");
    s
}

/// What the provider says of a token (RFC 7662).
pub(crate) fn introspect(s: &Sandbox, token: &str) -> Value {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let form = [("token", token), ("client_id", "service"), ("client_secret", "s3cret")];
    let url = format!("{}/v1/oauth/introspect", s.server.base_url());
    let text = agent.post(url).send_form(form).expect("an answer").body_mut().read_to_string();
    serde_json::from_str(&text.expect("text")).expect("JSON")
}

/// The status of a request to the provider's own API with a token.
fn asks(s: &Sandbox, path: &str, token: &str) -> u16 {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let url = format!("{}{path}", s.server.base_url());
    let answer = agent.get(url).header("Authorization", format!("Bearer {token}")).call();
    answer.expect("an answer").status().as_u16()
}

fn text(answer: &(u16, Value), member: &str) -> String {
    answer.1[member].as_str().unwrap_or_else(|| panic!("no {member}: {answer:?}")).to_owned()
}

pub(crate) fn token(agent: &Agent) -> String {
    text(&agent.post("/v1/token", &json!({})), "token")
}

/// The records of logins, and those of what was exchanged.
pub(crate) fn records_of(s: &Sandbox, narrowed: bool) -> Vec<PathBuf> {
    let is_narrowed =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("federated-"));
    s.files("json").into_iter().filter(|path| is_narrowed(path) == narrowed).collect()
}

pub(crate) fn the_one(mut paths: Vec<PathBuf>) -> PathBuf {
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

fn exchanges(s: &Sandbox) -> u64 {
    s.server.grants().federations
}

/// Its access token has ended.
fn end(path: &Path) {
    let mut record = read_record(path);
    expired(&mut record);
    write_in_place(path, &record);
}

#[test]
fn a_narrowed_door_gives_tokens_that_the_provider_has_narrowed() {
    let s = signed_in();
    let whole = s.token();
    let (login, asked) = (fs::read(s.record_path()).expect("a record"), token_requests(&s.server));
    let agent = Agent::start(&s, &NARROW);
    let answer = agent.post("/v1/token", &json!({}));
    let narrow = text(&answer, "token");
    assert_eq!((&*text(&answer, "source"), &*text(&answer, "profile")), ("federation", "default"));
    assert_ne!(narrow, whole);

    // As the provider knows them: it is the same person's, and good for less.
    let (of_login, of_door) = (introspect(&s, &whole), introspect(&s, &narrow));
    assert_eq!((&of_door["active"], &of_door["sub"]), (&json!(true), &of_login["sub"]));
    assert_eq!(
        (&of_login["scope"], &of_door["scope"]),
        (&json!("user:profile user:inference"), &json!(SCOPE))
    );
    assert_eq!((&of_login["aud"], &of_door["aud"]), (&json!(s.server.base_url()), &json!(["reports"])));
    // It is not for the provider's own API any more.
    assert_eq!((asks(&s, "/v1/whoami", &whole), asks(&s, "/v1/whoami", &narrow)), (200, 401));
    // Headers hold the same one, a container has it, and nobody asks the provider again.
    let url = format!("{}/v1/whoami", s.server.base_url());
    let headers = agent.post("/v1/headers", &json!({ "method": "GET", "url": url }));
    assert_eq!(headers.1["headers"][0]["value"], format!("Bearer {narrow}"), "{headers:?}");
    assert_eq!(agent.container(&s).token(), narrow);
    assert_eq!((exchanges(&s), token_requests(&s.server)), (1, asked + 1));
    assert_eq!(fs::read(the_one(records_of(&s, false))).expect("a record"), login, "the login is as it was");
    assert_eq!(s.token(), whole, "and so is what others get");

    let socket = agent.socket.to_str().expect("text");
    let page = s.out(&["agent", "status", "--socket", socket]);
    assert!(page.contains("Its tokens are narrowed: scope user:profile, audience reports."), "{page}");
    let told = s.json(&["agent", "status", "--socket", socket]);
    assert_eq!(told["narrowed"], json!({ "scopes": [SCOPE], "audience": ["reports"], "resource": [] }));
}

#[test]
fn who_asks_cannot_widen_a_narrowed_door() {
    let s = signed_in();
    let agent = Agent::start(&s, &NARROW);
    for more in [
        json!({ "scope": "user:inference" }),
        json!({ "scopes": ["user:inference"] }),
        json!({ "audience": "other" }),
        json!({ "narrowed": null }),
    ] {
        assert_eq!(id(&agent.post("/v1/token", &more)), (400, "usage"), "{more}");
    }
    // A rejected token is exchanged anew, for the same.
    let first = agent.post("/v1/token", &json!({}));
    let second = agent.post("/v1/token", &json!({ "rejected": text(&first, "handle") }));
    assert_ne!(text(&first, "token"), text(&second, "token"));
    let told = introspect(&s, &text(&second, "token"));
    assert_eq!((&told["scope"], &told["aud"]), (&json!(SCOPE), &json!(["reports"])));
    // Nor does the login's own handle lead to the login.
    let of_login = s.json(&["token"]);
    let asked = agent.post("/v1/token", &json!({ "rejected": of_login["handle"] }));
    assert_eq!(text(&asked, "token"), text(&second, "token"));
    assert_eq!(s.json(&["token"])["handle"], of_login["handle"]);
}

/// Two agents, and many who ask each of them.
#[test]
fn a_login_is_narrowed_once_for_all_who_ask() {
    let s = signed_in();
    let agents =
        ["one", "two"].map(|name| Agent::begin(&s, &s.path().join(format!("doors/{name}.sock")), &NARROW));
    let containers = agents.each_ref().map(|agent| agent.container(&s));
    let mut asking = Vec::new();
    for _ in 0..8 {
        for container in &containers {
            let mut command = container.keyfob(["token"]);
            asking.push(command.stdout(Stdio::piped()).spawn().expect("it starts"));
        }
    }
    let got = asking.into_iter().map(|child| child.wait_with_output().expect("it ends"));
    let mut tokens: Vec<_> = got.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).collect();
    tokens.dedup();
    assert!(tokens.len() == 1 && !tokens[0].is_empty(), "{tokens:?}");
    assert_eq!(exchanges(&s), 1);
}

#[test]
fn a_narrowed_token_is_exchanged_anew_when_it_has_ended() {
    let s = signed_in();
    let agent = Agent::start(&s, &NARROW);
    let first = token(&agent);
    let login = fs::read(the_one(records_of(&s, false))).expect("a record");
    end(&the_one(records_of(&s, true)));
    let second = token(&agent);
    assert_ne!(first, second);
    assert_eq!(introspect(&s, &second)["scope"], SCOPE);
    assert_eq!(exchanges(&s), 2);
    assert_eq!(fs::read(the_one(records_of(&s, false))).expect("a record"), login, "the login is as it was");
    // The login's own has ended too: that is renewed, as everywhere, and exchanged.
    // That first: whoever looks ahead in between finds a narrowed one that is good, and exchanges nothing.
    end(&the_one(records_of(&s, false)));
    end(&the_one(records_of(&s, true)));
    let refreshed = s.server.grants().refreshes;
    let third = token(&agent);
    assert_eq!((introspect(&s, &third)["scope"].as_str(), exchanges(&s)), (Some(SCOPE), 3));
    assert_eq!(s.server.grants().refreshes, refreshed + 1);
}

#[test]
fn what_was_narrowed_goes_with_the_login() {
    let s = signed_in();
    let agent = Agent::start(&s, &NARROW);
    let first = token(&agent);
    s.out(&["logout"]);
    // Its own token would still have been good for an hour.
    assert_eq!(id(&agent.post("/v1/token", &json!({}))), (401, "login-needed"));
    assert_eq!(s.files("json"), Vec::<PathBuf>::new());
    assert_eq!(introspect(&s, &first)["active"], json!(false), "it has ended at the provider");

    // Another login in its place, and one that takes its place without a sign-out.
    s.sign_in("default", "bob@example.com");
    let bobs = token(&agent);
    let sub = |token: &str| introspect(&s, token)["sub"].clone();
    assert_eq!(sub(&bobs), sub(&s.token()));
    let before = records_of(&s, true);
    s.sign_in("default", "bob@example.com");
    let again = token(&agent);
    assert_ne!(again, bobs);
    assert_eq!(introspect(&s, &again)["scope"], SCOPE);
    assert_eq!(records_of(&s, true), before, "no other record is left beside it");
    assert_eq!(exchanges(&s), 3);
}

#[test]
fn a_door_of_the_configuration_is_narrowed() {
    let s = signed_in();
    let write = |text: &str| {
        let path = s.path().join("keyfob/config.toml");
        fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
        fs::write(path, text).expect("ours");
    };
    let sockets = ["plain", "reports"].map(|name| s.path().join(format!("doors/{name}.sock")));
    let [plain, reports] = &sockets;
    let base = s.server.base_url();
    write(&format!(
        "[agent.doors.plain]\nsocket = {plain:?}\n[agent.doors.reports]\nsocket = {reports:?}\nprofile = \"default\"\n\
         scopes = [\"{SCOPE}\"]\nresource = [\"{base}/reports\"]\n"
    ));
    let _agent = Agent::configured(&s, &sockets);
    let of = |socket: &Path| {
        let mut home = keyfob_testkit::Home::empty(&s.server);
        home.set("KEYFOB_AGENT", socket.to_str().expect("text"));
        home.token()
    };
    assert_eq!(of(plain), s.token());
    let told = introspect(&s, &of(reports));
    assert_eq!((&told["scope"], &told["aud"]), (&json!(SCOPE), &json!([format!("{base}/reports")])));

    // What would narrow nothing is a mistake, and so is what cannot be asked for.
    for (key, why) in [
        ("scopes = []", "expected one at least"),
        ("hosts = []", "expected one at least"),
        ("scopes = [\"a b\"]", "one scope name in each text"),
        ("audience = [\"\"]", "expected printable text"),
        ("resource = [\"reports\"]", "expected absolute URIs"),
    ] {
        write(&format!("[agent.doors.reports]\n{key}\n"));
        let ran = s.run(&["agent"]);
        assert!(ran.code == Some(3) && ran.err.contains(why) && ran.err.contains("line 2"), "{key}: {ran:?}");
    }
}

/// Where the provider does not narrow, nothing is given, and never the whole token.
#[test]
fn a_provider_that_does_not_narrow_leaves_the_door_closed() {
    for (words, word, cause) in [
        (["--audience", "https://unknown.example"], "invalid_target", "not-narrowed"),
        (["--scope", "org:create_api_key"], "invalid_scope", "door-scope"),
    ] {
        let s = signed_in();
        let agent = Agent::start(&s, &words);
        // The agent has asked before, and pauses: until it may ask again, it says what it was told.
        let refused = until("the refusal itself", || {
            let answer = agent.post("/v1/token", &json!({}));
            assert!(matches!(answer.0, 502 | 503) && answer.1.to_string().contains(word), "{answer:?}");
            (answer.0 == 502).then_some(answer)
        });
        assert_eq!(id(&refused), (502, "federation-refused"), "{refused:?}");
        let error = &refused.1["error"];
        assert_eq!((error["cause"].as_str(), &error["exit_code"]), (Some(cause), &json!(5)));
        assert!(!refused.1.to_string().contains(&s.token()), "{refused:?}");
    }
}
