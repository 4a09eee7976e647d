//! Laws of the authorization endpoint.

use keyfob_dev::{Client, DevServer, Options};

use crate::common::*;

fn manual() -> DevServer {
    DevServer::start(Options { port: 0, ..Options::default() }).expect("a server")
}

fn path(changes: Pairs<'_>) -> String {
    format!("/oauth/authorize?{}", encode(&with(AUTHORIZE, changes)))
}

/// The hidden id of the form on a page.
fn transaction(page: &Answer) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    let at = page.body.find("kdev-tx-").expect("a form");
    page.body[at..].split('"').next().expect("an id").to_owned()
}

fn press(server: &DevServer, form: Pairs<'_>) -> Answer {
    post(server, "/oauth/authorize", &[], form)
}

/// The page a pressed button leads to.
fn next(server: &DevServer, form: Pairs<'_>) -> Answer {
    sent_on(server, &press(server, form))
}

/// RFC 6749 §4.1.2, RFC 9207 §2: the answer names code, state and issuer.
#[test]
fn the_answer_brings_code_state_and_issuer() {
    let server = server();
    let answer = authorize(&server, &[("state", "a b&c=%?ü")]);
    assert!(answer.header("location").is_some_and(|to| to.starts_with(&format!("{CALLBACK}?"))));
    assert_eq!(answer.parameter("state").as_deref(), Some("a b&c=%?ü"));
    assert_eq!(answer.parameter("iss"), Some(server.base_url()));
    assert!(answer.parameter("code").is_some_and(|code| code.len() == 8 + 43));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(authorize(&server, &[("state", "")]).redirected().iter().all(|(name, _)| name != "state"));
}

/// RFC 9207 §2.4: the issuer is the base as the client addresses it.
#[test]
fn the_issuer_follows_the_spelling_of_the_host() {
    let server = server();
    for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: {host}:{}\r\nconnection: close\r\n\r\n",
            path(&[]),
            server.port()
        );
        let answer = parse(&raw(&server, head.as_bytes()).expect("an answer"));
        let expected = format!("http://{}:{}", host.to_lowercase(), server.port());
        assert_eq!(answer.parameter("iss"), Some(expected));
    }
}

/// Any page in a browser can begin sign-ins: the oldest that nobody answered makes room, so that they fill no memory.
#[test]
fn unanswered_requests_are_bounded() {
    let server = manual();
    let first = transaction(&authorize(&server, &[]));
    let second = transaction(&authorize(&server, &[]));
    (0..1023).for_each(|_| assert_eq!(authorize(&server, &[]).status, 200));
    let answer = |id| press(&server, &[("transaction", id), ("email", "ada@example.com")]);
    assert_eq!((answer(&first).status, last_outcome(&server)), (400, "error-page".to_owned()));
    assert_eq!((answer(&second).status, last_outcome(&server)), (303, "consent-page".to_owned()));
}

/// RFC 6749 §4.1.2.1, RFC 9700 §2.1: no redirect to where nobody registered.
#[test]
fn a_bad_client_or_redirect_shows_an_error_page() {
    let server = server();
    let tries = [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "http://127.0.0.1:49152/callback/"),
        ("redirect_uri", "http://127.0.0.1:49152/callback?x=1"),
        ("redirect_uri", "http://127.0.0.1:49152/callback#x"),
        ("redirect_uri", "http://127.0.0.1.evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:1@evil.example/callback"),
        ("redirect_uri", "http://localhost:49152\\@evil.example/callback"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "javascript:alert(1)"),
    ];
    for change in tries {
        let answer = authorize(&server, &[change]);
        assert_eq!(answer.status, 400, "{change:?}");
        assert_eq!(answer.header("location"), None, "{change:?}");
        assert!(answer.body.contains("Cannot continue"), "{change:?}");
    }
    for name in ["client_id", "redirect_uri"] {
        let twice = format!("{}&{name}=x", path(&[]));
        assert_eq!(get(&server, &twice, &[]).status, 400, "{name}");
    }
}

/// RFC 8252 §7.3: any port, both address families; and the page that shows the code.
#[test]
fn loopback_redirects_choose_their_port() {
    let server = server();
    let paste = format!("http://localhost:{}/apps/oauth/code/callback", server.port());
    for uri in [
        "http://127.0.0.1:1/callback",
        "http://[::1]:65535/callback",
        "http://localhost:8080/callback",
        &paste,
    ] {
        let answer = authorize(&server, &[("redirect_uri", uri)]);
        let code = answer.parameter("code").expect("a code");
        assert_eq!(exchange(&server, &code, &[("redirect_uri", uri)]).status, 200, "{uri}");
    }
}

/// RFC 6749 §4.1.2.1, RFC 7636 §4.4.1, RFC 9700 §2.1.1: told to the client, with state and issuer.
#[test]
fn a_request_that_is_wrong_otherwise_is_told_to_the_client() {
    let server = server();
    let tries = [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("scope", "admin", "invalid_scope"),
        ("scope", "user:profile  user:inference", "invalid_scope"),
        ("scope", "user:profile\tuser:inference", "invalid_scope"),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "urn:x", "request_uri_not_supported"),
        ("resource", "https://elsewhere.example/", "invalid_target"),
    ];
    for (name, value, error) in tries {
        let answer = authorize(&server, &[(name, value)]);
        assert_eq!(answer.parameter("error").as_deref(), Some(error), "{name}={value}");
        assert_eq!(answer.parameter("state").as_deref(), Some("xyz"));
        assert_eq!(answer.parameter("iss"), Some(server.base_url()));
        assert_eq!(answer.parameter("code"), None);
    }
    // RFC 6749 §3.1: no parameter more than once.
    let twice = get(&server, &format!("{}&scope=openid", path(&[])), &[]);
    assert_eq!(twice.parameter("error").as_deref(), Some("invalid_request"));
    let states = get(&server, &format!("{}&state=other", path(&[])), &[]);
    assert_eq!(states.parameter("error").as_deref(), Some("invalid_request"));
    assert_eq!(states.parameter("state"), None, "which one would be verbatim?");
}

/// RFC 6749 §3.1: unknown parameters are ignored; `prompt` is one of them here.
#[test]
fn unknown_parameters_are_ignored() {
    let server = server();
    assert!(authorize(&server, &[("prompt", "none"), ("x", "y")]).parameter("code").is_some());
}

/// RFC 6749 §3.1.2: a registered URI's own query is kept.
#[test]
fn a_registered_redirect_keeps_its_query() {
    let uri = "https://app.example/cb?tenant=7";
    let client = Client::public("web").and_then(|c| c.redirect_uri(uri)).expect("valid");
    let server = start(Options { clients: vec![client], ..Options::default() });
    let answer = authorize(&server, &[("client_id", "web"), ("redirect_uri", uri)]);
    assert_eq!(answer.parameter("tenant").as_deref(), Some("7"));
    assert!(answer.parameter("code").is_some());
    let longer = format!("{uri}&x");
    assert_eq!(authorize(&server, &[("client_id", "web"), ("redirect_uri", &longer)]).status, 400);
    assert_eq!(authorize(&server, &[("redirect_uri", uri)]).status, 400, "registered for another client");
}

/// RFC 8252 §8.6: a person signs in and consents, in two forms without script.
#[test]
fn a_person_signs_in_and_consents() {
    let server = manual();
    let page = get(&server, &path(&[]), &[]);
    assert!(!page.body.contains("<script") && !page.body.contains("style="));
    assert!(page.body.contains("Development provider - not for production"));
    assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("<label for=\"email\">"));
    let id = transaction(&page);
    let refused = next(&server, &[("transaction", &id), ("email", "<b>x")]);
    assert!(refused.body.contains("role=\"alert\"") && !refused.body.contains("<b>"));
    assert!(refused.body.contains("value=\"&lt;b&gt;x\""), "what was typed is still there");
    let consent = next(&server, &[("transaction", &id), ("email", "Ada.Lovelace@Example.org")]);
    for shown in
        ["keyfob-local", "user:profile", "user:inference", "127.0.0.1:49152", "ada.lovelace@example.org"]
    {
        assert!(consent.body.contains(shown), "{shown}");
    }
    let answer = press(&server, &[("transaction", &id), ("decision", "allow")]);
    let (access, _) = tokens(&exchange(&server, &answer.parameter("code").expect("a code"), &[]));
    assert_eq!(
        whoami(&server, &access).json()["account_uuid"],
        keyfob_dev::account_uuid("ada.lovelace@example.org")
    );
    assert_eq!(press(&server, &[("transaction", &id), ("decision", "allow")]).status, 400, "used up");
}

/// Back and Reload never ask to send a form again: each is answered with the address of a page, which can be had
/// as often as wanted until the sign-in has ended.
#[test]
fn every_form_is_answered_with_the_address_of_a_page() {
    let server = manual();
    let id = transaction(&get(&server, &format!("/apps{}", path(&[])), &[]));
    let pressed = |form: Pairs<'_>| {
        let which = [("transaction", id.as_str())];
        let form = with(&which, form);
        let answer = post(&server, "/apps/oauth/authorize", &[], &form);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").expect("an address").to_owned()
    };
    let page = |of: &str| format!("/apps/oauth/{of}?transaction={id}");
    assert_eq!(pressed(&[("email", "nobody")]), page("sign-in"));
    assert_eq!(pressed(&[("email", "ada@example.com")]), page("consent"));
    assert_eq!(pressed(&[("decision", "back")]), page("sign-in"));
    for _ in 0..2 {
        assert!(get(&server, &page("consent"), &[]).body.contains("Signed in as <strong>ada@example.com"));
        let again = get(&server, &page("sign-in"), &[]);
        assert!(again.body.contains("value=\"ada@example.com\"") && !again.body.contains("alert"));
    }
    assert!(pressed(&[("decision", "allow")]).starts_with(CALLBACK));
    for gone in ["consent", "sign-in"] {
        let answer = get(&server, &page(gone), &[]);
        assert!(answer.status == 400 && answer.body.contains("has ended"), "{answer:?}");
    }
}

/// RFC 6749 §4.1.2.1.
#[test]
fn a_person_may_decline() {
    let server = manual();
    let id = transaction(&get(&server, &path(&[]), &[]));
    let answer = press(&server, &[("transaction", &id), ("decision", "deny")]);
    assert_eq!(answer.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.parameter("state").as_deref(), Some("xyz"));
    assert_eq!(answer.parameter("iss"), Some(server.base_url()));
    assert_eq!(press(&server, &[("transaction", &id), ("email", "a@b")]).status, 400, "used up");
}

/// Nobody consents without having said who they are, with a form of another site, or after too long.
#[test]
fn a_form_must_be_our_own_and_in_order() {
    let server = manual();
    let id = transaction(&get(&server, &path(&[]), &[]));
    let early = press(&server, &[("transaction", &id), ("decision", "allow")]);
    assert!(sent_on(&server, &early).body.contains("<h1>Sign in</h1>"), "the sign-in page again");
    let unasked = get(&server, &format!("/oauth/consent?transaction={id}"), &[]);
    assert!(unasked.body.contains("<h1>Sign in</h1>"), "nobody is asked who has not said who they are");
    let form = [("transaction", id.as_str()), ("email", "a@example.org")];
    for headers in [[("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")]] {
        assert_eq!(post(&server, "/oauth/authorize", &headers, &form).status, 400, "{headers:?}");
    }
    let own = [("sec-fetch-site", "same-origin"), ("origin", "null")];
    assert_eq!(post(&server, "/oauth/authorize", &own, &form).status, 303);
    assert_eq!(press(&server, &[("transaction", "kdev-tx-guess"), ("decision", "allow")]).status, 400);
    server.advance(601);
    assert_eq!(press(&server, &[("transaction", &id), ("decision", "allow")]).status, 400);
}

/// RFC 9700 §4.16, §2.6: no framing, no script, no CORS; the redirect's origin may answer the form.
#[test]
fn pages_cannot_be_framed_scripted_or_read_across_origins() {
    let server = manual();
    let page = get(&server, &path(&[]), &[("origin", "https://evil.example")]);
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.contains("form-action 'self' http://127.0.0.1:49152;"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("access-control-allow-origin"), None);
    assert!(page.header("server").is_some_and(|s| s.contains("insecure")));
    let v6 = get(&server, &path(&[("redirect_uri", "http://[::1]:7/callback")]), &[]);
    assert!(v6.header("content-security-policy").is_some_and(|p| p.contains("form-action 'self' http:;")));
    let style = get(&server, "/assets/keyfob-dev.css", &[]);
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
}

/// `login_hint` chooses the account when nobody is asked, and fills the form when somebody is.
#[test]
fn a_login_hint_names_the_account() {
    let server = server();
    let code = code(&server, &[("login_hint", "grace@example.net")]);
    let (access, _) = tokens(&exchange(&server, &code, &[]));
    assert_eq!(
        whoami(&server, &access).json()["account_uuid"],
        keyfob_dev::account_uuid("grace@example.net")
    );
    let page = get(&manual(), &path(&[("login_hint", "grace@example.net")]), &[]);
    assert!(page.body.contains("value=\"grace@example.net\""));
}

/// The page for clients that no redirect reaches shows `code#state`, escaped.
#[test]
fn the_paste_page_shows_code_and_state() {
    let server = server();
    let page = get(&server, "/apps/oauth/code/callback?code=abc&state=%3Cb%3E", &[]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("abc#&lt;b&gt;") && page.body.contains("where the program waits"));
    let code = code(&server, &[]);
    let page = get(&server, &format!("/oauth/code/callback?code={code}&state=s"), &[]);
    assert!(page.body.contains("where <strong>keyfob-local</strong> waits"), "whose it is, is told");
    let error = get(&server, "/oauth/code/callback?error=access_denied&error_description=no%3Ci%3E", &[]);
    assert!(error.body.contains("access_denied") && error.body.contains("no&lt;i&gt;"));
}

/// RFC 9700 §4.3.1: what has an address bar is sent on to an address without the code.
#[test]
fn the_paste_page_leaves_no_code_in_the_address_bar() {
    let server = server();
    let path = "/apps/oauth/code/callback";
    let browser = ("sec-fetch-dest", "document");
    let sent_on = get(&server, &format!("{path}?code=a%2Fc&state=s%3B;"), &[browser]);
    assert_eq!((sent_on.status, sent_on.header("location")), (303, Some(path)));
    let cookie = sent_on.header("set-cookie").expect("a cookie");
    assert!(cookie.ends_with("; Path=/apps/oauth/code/callback; HttpOnly; SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair");
    let shown = get(&server, path, &[browser, ("cookie", &format!("other=1; {cookie}"))]);
    assert!(shown.body.contains("a/c#s;"), "{}", shown.body);
    assert!(get(&server, path, &[browser]).body.contains("no code in this address"));
}

/// The apps and console bases of an environment may have paths.
#[test]
fn everything_answers_under_the_prefixes_of_the_bases() {
    let server = server();
    for prefix in ["/apps", "/console"] {
        let answer = get(&server, &format!("{prefix}{}", path(&[])), &[]);
        assert_eq!(answer.parameter("iss"), Some(server.base_url()));
    }
    let manual = manual();
    let page = get(&manual, &format!("/apps{}", path(&[])), &[]);
    assert!(page.body.contains("action=\"/apps/oauth/authorize\""));
    assert_eq!(get(&server, "/appsx/v1/whoami", &[]).status, 404);
}
