//! Providers that want more, or other, than the standards say: JSON bodies, headers, further parameters.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use keyfob_dev::{Client, DevServer, Fault, FaultGrant, FaultKind, Options};
use keyfob_testkit::{Home, Ran, Sandbox};

const FLAG: &str = "anthropic-beta: oauth-2025-04-20";

/// What the vendor's provider demands, said of the local one.
const LOCAL: &str = r#"
[environments.local]
token_body = "json"
token_headers = { refresh_token = { anthropic-beta = "oauth-2025-04-20" } }
api_headers = { anthropic-beta = "oauth-2025-04-20" }
"#;

fn configure(home: &Home, text: &str) {
    write(&home.home().join("config.toml"), text);
}

fn write(path: &Path, text: &str) {
    let dir = path.parent().expect("a directory");
    fs::create_dir_all(dir).expect("a directory");
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

fn vendor() -> Sandbox {
    let clients = vec![Client::confidential("ci", "s3cr\"t\\of-ci").expect("a client")];
    let s = Sandbox::with(Options { vendor: true, clients, ..Options::default() });
    configure(&s, LOCAL);
    s
}

/// Nothing that was asked of the provider lacked what it demands.
#[track_caller]
fn nothing_was_missing(s: &Sandbox) {
    let refused: Vec<_> = s.server.requests().into_iter().filter(|request| request.status >= 400).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_provider_that_demands_more_serves_a_whole_login() {
    let s = vendor();
    s.login();
    assert_eq!(s.json(&["status", "--verify"])["verification"], "accepted");
    assert_eq!(s.json(&["whoami"])["email"], "dev@example.com");
    assert!(s.out(&["doctor"]).contains("the provider accepts it"));
    let before = s.json(&["token"]);
    let after = s.json(&["token", "--rejected", before["handle"].as_str().expect("a handle")]);
    assert_ne!(before["token"], after["token"]);
    let connected = s.feed(&["connect"], "hello\n");
    assert_eq!(String::from_utf8_lossy(&connected.stdout), "{\"n\":1,\"text\":\"hello\"}\n");
    s.out(&["device", "enroll"]);
    s.out(&["logout"]);
    nothing_was_missing(&s);
}

/// With the credential, however it is handed out.
#[test]
fn the_headers_of_the_api_go_with_the_credential() {
    let s = vendor();
    s.login();
    let token = s.token();
    assert_eq!(s.out(&["header"]), format!("Authorization: Bearer {token}\n{FLAG}\n"));
    assert_eq!(s.out(&["header", "--remote"]), format!("Authorization: Bearer {token}\n{FLAG}\n"));
    for command in ["header", "token"] {
        let headers = s.json(&[command])["headers"].clone();
        assert_eq!(headers[1]["name"], "anthropic-beta", "{command}: {headers}");
        assert_eq!(headers[1]["value"], "oauth-2025-04-20");
        assert_eq!(headers.as_array().map(Vec::len), Some(2));
    }
    assert_eq!(s.json(&["status"])["winner"]["header"], "Authorization, anthropic-beta");
    let told = s.out(&["exec", "--", "/bin/sh", "-c", "printf %s \"$KEYFOB_API_HEADERS\""]);
    assert_eq!(told, FLAG);
    nothing_was_missing(&s);
}

/// They belong to an OAuth access token of this provider, and to nothing else.
#[test]
fn no_other_credential_has_the_headers_of_the_api() {
    let s = vendor();
    let ran = |name: &str, value: &str, words: &[&str]| {
        let output = s.keyfob(words).env(name, value).env("KEYFOB_API_HEADERS", "stale: 1").output();
        Ran::from(output.expect("it runs")).answer().to_owned()
    };
    assert_eq!(ran("ANTHROPIC_API_KEY", "k-1", &["header"]), "X-Api-Key: k-1");
    assert_eq!(ran("ANTHROPIC_AUTH_TOKEN", "t-1", &["header"]), "Authorization: Bearer t-1");
    assert_eq!(
        ran("CLAUDE_CODE_OAUTH_TOKEN", "t-1", &["header"]),
        format!("Authorization: Bearer t-1\n{FLAG}")
    );
    let remote = ["header", "--remote"];
    assert_eq!(ran("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "s-1", &remote), "Authorization: Bearer s-1");
    let script = ["exec", "--", "/bin/sh", "-c", "printf %s \"${KEYFOB_API_HEADERS-none}\""];
    assert_eq!(ran("ANTHROPIC_API_KEY", "k-1", &script), "none");
}

/// Today's configuration decides nothing about a login of yesterday.
#[test]
fn a_login_remembers_what_its_provider_demands() {
    let s = vendor();
    s.login();
    configure(&s, "");
    s.expire();
    let header = s.out(&["header"]);
    assert!(header.ends_with(&format!("\n{FLAG}\n")), "{header}");
    nothing_was_missing(&s);
    // And the other way round: one that was made without is renewed without.
    let plain = Sandbox::new();
    plain.login();
    configure(&plain, LOCAL);
    plain.expire();
    assert_eq!(plain.out(&["header"]).lines().count(), 1);
    nothing_was_missing(&plain);
}

/// Production is told by its issuer: a record of an earlier version says nothing of this.
#[test]
fn a_login_of_an_earlier_version_has_what_is_built_in() {
    let s = Sandbox::new();
    s.login();
    s.edit(|record| {
        record["issuer"] = "https://claude.ai".into();
        assert!(record.as_object_mut().expect("an object").get("dialect").is_none());
    });
    let path = s.record_path();
    let record = keyfob_testkit::read_record(&path);
    let bytes = serde_json::to_vec(&record).expect("JSON");
    let read = keyfob::internals::core::Record::decode(&bytes).expect("a record");
    let headers: Vec<_> =
        read.dialect.api_headers.iter().map(|it| format!("{}: {}", it.name, it.value)).collect();
    assert_eq!(headers, [FLAG]);
}

#[test]
fn a_machine_asks_in_json_too() {
    let s = vendor();
    let secret = s.path().join("secret");
    write(&secret, "s3cr\"t\\of-ci\n");
    let base = s.server.base_url();
    for auth in ["client_secret_basic", "client_secret_post"] {
        let keys = format!(
            "environment = \"ci\"\n[environments.ci]\ngrant = \"client_credentials\"\nclient_id = \"ci\"\n\
             client_secret_file = \"{}\"\nclient_auth = \"{auth}\"\napi_base = \"{base}\"\ntoken_body = \"json\"\n\
             api_headers = {{ anthropic-beta = \"a-flag,oauth-2025-04-20\" }}\n",
            secret.display()
        );
        configure(&s, &keys);
        let output = s.keyfob(["header"]).env_remove("USE_LOCAL_OAUTH").output().expect("it runs");
        let header = Ran::from(output).answer().to_owned();
        assert!(header.ends_with("\nanthropic-beta: a-flag,oauth-2025-04-20"), "{header}");
        fs::remove_dir_all(s.logins()).expect("the logins");
    }
    nothing_was_missing(&s);
    assert_eq!(s.server.grants().client_credentials, 2);
}

/// A provider that is not told apart refuses, and nothing is lost by it: three lines, and the login stays.
#[test]
fn a_provider_that_misses_its_header_is_quoted() {
    let s = vendor();
    s.login();
    s.edit(|record| drop(record["dialect"].as_object_mut().expect("one").remove("token_headers")));
    s.expire();
    let ran = s.run(&["token", "--json"]);
    let said = ran.failed(5, "provider-refused").err.clone();
    assert!(said.contains("a refresh needs the header anthropic-beta: oauth-2025-04-20"), "{said}");
    assert!(s.record()["refresh_token"].is_string());
}

/// What the address of the page has, and what the token endpoint was sent, in an environment that wants more.
#[test]
fn further_parameters_and_resources_are_sent() {
    let s = Sandbox::new();
    let base = s.server.base_url();
    configure(
        &s,
        &format!(
            "[environments.local]\nresource = [\"{base}/one\", \"{base}/two\"]\n\
             authorize_parameters = {{ access_type = \"offline\", audience = [\"a b\", \"c\"] }}\n\
             device_parameters = {{ audience = \"api\" }}\ntoken_parameters = {{ audience = \"api\" }}\n"
        ),
    );
    let mut child = s.keyfob(["login", "--no-browser"]).spawn().expect("it starts");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("an address");
    let query = address.trim().split_once('?').expect("a query").1;
    let encoded = base.replace(':', "%3A").replace('/', "%2F");
    let sent = format!(
        "&access_type=offline&audience=a+b&audience=c&resource={encoded}%2Fone&resource={encoded}%2Ftwo"
    );
    assert!(query.ends_with(&sent), "{query}");
    child.kill().expect("it waits");
    child.wait().expect("it ends");

    // RFC 8707 §2: a resource that is not this server's is refused, wherever it is sent. So it was sent everywhere.
    configure(&s, "[environments.local]\nresource = [\"https://elsewhere.example\"]\n");
    let minted = s.server.mint("dev@example.com", "user:profile").expect("tokens");
    let words = ["login", "--with-token", "refresh", "--json"];
    let ran = Ran::from(s.feed(&words, &minted.refresh_token));
    assert!(ran.failed(5, "provider-refused").err.contains("invalid_target"), "{ran:?}");
    let device = s.run(&["login", "--device", "--json"]);
    assert!(device.failed(5, "provider-refused").err.contains("invalid_target"), "{device:?}");
}

/// As GitHub answers: a form, and 200 for whatever it says.
#[test]
fn form_answers_and_errors_with_200_are_understood() {
    let s = Sandbox::new();
    for grant in [FaultGrant::Code, FaultGrant::Device, FaultGrant::Refresh] {
        for kind in [FaultKind::FormAnswer, FaultKind::Always200] {
            s.server.inject(Fault { grant, kind }, None);
        }
    }
    s.login();
    let first = s.json(&["token"])["generation"].as_u64();
    s.expire();
    assert_eq!(s.json(&["token"])["generation"].as_u64(), first.map(|number| number + 1));
    // Twice the same refresh token: the provider ends the login, with status 200.
    let spent = s.record()["refresh_token"].clone();
    s.expire();
    s.token();
    s.edit(|record| record["refresh_token"] = spent);
    s.expire();
    let ended = s.run(&["token", "--json"]);
    assert!(ended.failed(4, "login-refused").err.contains("`invalid_grant`"), "{ended:?}");
}

/// A code for another device, whose polls are answered in that way: pending comes as 200.
#[test]
fn a_device_grant_waits_through_form_answers() {
    let options = Options { port: 0, device_interval: Duration::from_secs(1), ..Options::default() };
    let s = Sandbox::at(DevServer::start(options).expect("a provider without a person"));
    for kind in [FaultKind::FormAnswer, FaultKind::Always200] {
        s.server.inject(Fault { grant: FaultGrant::Device, kind }, None);
    }
    let mut child = s.keyfob(["login", "--device", "--json"]).spawn().expect("it starts");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let (_, event) = keyfob_testkit::event(&mut err);
    let code = event["user_code"].as_str().expect("a code").to_owned();
    let polls = || {
        let polls = s.server.requests().into_iter().filter(|request| request.path == "/v1/oauth/token");
        polls.collect::<Vec<_>>()
    };
    keyfob_testkit::until("the first poll", || polls().into_iter().next());
    assert_eq!((polls()[0].status, polls()[0].outcome.as_str()), (200, "authorization_pending"));
    assert!(s.server.approve_device(&code, "ada@example.com"));
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(s.json(&["whoami"])["email"], "ada@example.com");
}

/// Every mistake at once, each with its line, and nothing asked.
#[test]
fn what_cannot_be_sent_is_refused_with_its_line() {
    let s = Sandbox::new();
    for (line, said) in [
        ("token_body = \"xml\"", "expected \"form\" or \"json\""),
        ("token_body = true", "expected text in quotes"),
        ("api_headers = \"x\"", "expected a table of texts"),
        ("api_headers = { a = 1 }", "expected a table of texts"),
        ("api_headers = { Authorization = \"x\" }", "it carries a credential"),
        ("api_headers = { x-api-key = \"x\" }", "it carries a credential"),
        ("api_headers = { Host = \"x\" }", "that header is made by keyfob itself"),
        ("token_headers = { content-length = \"1\" }", "that header is made by keyfob itself"),
        ("token_headers = { Transfer-Encoding = \"chunked\" }", "that header is made by keyfob itself"),
        ("token_headers = { sec-websocket-key = \"x\" }", "that header is made by keyfob itself"),
        ("token_headers = { \"a b\" = \"x\" }", "expected names of headers"),
        ("token_headers = { a = \"x\\r\\nb: y\" }", "printable ASCII"),
        ("token_headers = { a = \" x\" }", "printable ASCII"),
        ("token_headers = { a = \"\" }", "printable ASCII"),
        ("token_headers = { a = \"Bearer x\" }", "without a credential"),
        ("token_headers = { a = \"x\", A = \"y\" }", "expected `a` once"),
        ("token_headers = { a = [\"x\", \"y\"] }", "expected `a` once"),
        ("token_headers = { password = { a = \"x\" } }", "expected the name of a grant"),
        ("api_headers = { refresh_token = { a = \"x\" } }", "which goes with every request"),
        ("authorize_parameters = { State = \"x\" }", "keyfob sends that itself"),
        ("authorize_parameters = { request_uri = \"x\" }", "keyfob sends that itself"),
        ("authorize_parameters = { prompt = \"x\" }", "the key `prompt` says it"),
        ("token_parameters = { client_secret = \"x\" }", "keyfob sends that itself"),
        ("token_parameters = { resource = \"https://a.example\" }", "the key `resource` says it"),
        ("device_parameters = { scope = \"x\" }", "the key `scopes` says it"),
        ("device_parameters = { \"a[b]\" = \"x\" }", "expected names of letters"),
        ("resource = [\"https://a.example/#x\"]", "RFC 8707"),
        ("resource = [\"/relative\"]", "RFC 8707"),
        ("pkce = \"plain\"", "expected \"announced\" or \"assume\""),
    ] {
        configure(&s, &format!("[environments.local]\n{line}\n"));
        let ran = s.run(&["login", "--no-browser", "--json"]);
        let err = &ran.failed(3, "config-malformed").err;
        assert!(err.contains("config.toml, line 2") && err.contains(said), "{line}: {ran:?}");
    }
    assert!(s.server.requests().is_empty());
}
