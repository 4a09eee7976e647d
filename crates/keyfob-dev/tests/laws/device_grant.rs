//! Laws of the device authorization grant.

use keyfob_dev::{Client, DEFAULT_EMAIL, DevServer, LOCAL_CLIENT_ID, Options};
use serde_json::Value;

use crate::common::*;

const DEVICE: &str = "/v1/oauth/device/code";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn manual() -> DevServer {
    let clients = vec![Client::public("other").expect("valid")];
    DevServer::start(Options { port: 0, clients, ..Options::default() }).expect("a server")
}

fn begin(server: &DevServer) -> Value {
    let answer = post(server, DEVICE, &[], &[("client_id", LOCAL_CLIENT_ID), ("scope", SCOPE)]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    answer.json()
}

fn poll(server: &DevServer, begun: &Value, client: &str) -> Answer {
    let code = begun["device_code"].as_str().expect("a code");
    post(server, TOKEN, &[], &[("grant_type", GRANT_TYPE), ("client_id", client), ("device_code", code)])
}

fn user_code(begun: &Value) -> &str {
    begun["user_code"].as_str().expect("a code")
}

/// RFC 8628 §3.2, §6.1: what the device gets, in an unambiguous alphabet.
#[test]
fn a_device_gets_a_code_for_itself_and_one_for_the_person() {
    let server = manual();
    let begun = begin(&server);
    let page = format!("{}/device", server.base_url());
    assert_eq!(begun["verification_uri"], page);
    assert_eq!(begun["verification_uri_complete"], format!("{page}?user_code={}", user_code(&begun)));
    assert_eq!((begun["expires_in"].as_u64(), begun["interval"].as_u64()), (Some(600), Some(5)));
    let letters: Vec<char> = user_code(&begun).chars().filter(|c| *c != '-').collect();
    assert!(letters.len() == 8 && letters.iter().all(|c| "BCDFGHJKLMNPQRSTVWXZ".contains(*c)));
    assert_ne!(user_code(&begun), user_code(&begin(&server)));
    let bad = post(&server, DEVICE, &[], &[("client_id", LOCAL_CLIENT_ID), ("scope", "admin")]);
    assert_eq!(bad.error(), "invalid_scope");
    assert_eq!(post(&server, DEVICE, &[], &[("client_id", "nobody")]).error(), "invalid_client");
}

/// RFC 8628 §3.5: pending, then tokens, once.
#[test]
fn polling_is_pending_until_a_person_approves_and_works_once() {
    let server = manual();
    let begun = begin(&server);
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "authorization_pending");
    assert_eq!(poll(&server, &begun, "other").error(), "invalid_grant", "bound to its client");
    assert!(server.approve_device(&user_code(&begun).to_lowercase().replace('-', " "), "ada@example.org"));
    assert!(!server.deny_device(user_code(&begun)), "answered already");
    let (access, token) = tokens(&poll(&server, &begun, LOCAL_CLIENT_ID));
    assert_eq!(whoami(&server, &access).json()["account_uuid"], keyfob_dev::account_uuid("ada@example.org"));
    assert_eq!(refresh(&server, &token, &[]).status, 200);
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "invalid_grant");
    assert_eq!(server.grants().device_codes, 1);
}

/// RFC 8628 §3.5: five seconds more for good, each time.
#[test]
fn polling_too_fast_slows_down_for_good() {
    let server = manual();
    let begun = begin(&server);
    let error = || poll(&server, &begun, LOCAL_CLIENT_ID).error();
    assert_eq!(error(), "authorization_pending");
    assert_eq!(error(), "slow_down");
    server.advance(6);
    assert_eq!(error(), "slow_down", "the interval is ten seconds now");
    server.advance(15);
    assert_eq!(error(), "authorization_pending", "and fifteen now");
}

/// RFC 8628 §3.5.
#[test]
fn a_declined_or_expired_device_code_says_so() {
    let server = manual();
    let begun = begin(&server);
    assert!(server.deny_device(user_code(&begun)));
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "access_denied");
    let begun = begin(&server);
    server.advance(601);
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "expired_token");
    assert!(!server.approve_device(user_code(&begun), DEFAULT_EMAIL));
}

/// RFC 8628 §3.3.1, §5.4: the person sees code, client and scopes before deciding.
#[test]
fn a_person_compares_the_code_and_decides() {
    let server = manual();
    let begun = begin(&server);
    let code = user_code(&begun);
    let page = get(&server, &format!("/device?user_code={code}"), &[]);
    assert!(page.status == 200 && page.body.contains(code));
    let form = [("user_code", code), ("email", DEFAULT_EMAIL)];
    let consent = sent_on(&server, &post(&server, "/device", &[], &form));
    for shown in [code, LOCAL_CLIENT_ID, "user:inference", DEFAULT_EMAIL] {
        assert!(consent.body.contains(shown), "{shown}");
    }
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "authorization_pending");
    let allow = with(&form, &[("decision", "allow")]);
    assert_eq!(post(&server, "/device", &[("sec-fetch-site", "cross-site")], &allow).status, 400);
    let done = sent_on(&server, &post(&server, "/device", &[], &allow));
    assert!(done.body.contains("<h1>Signed in</h1>"), "{done:?}");
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).status, 200);
}

/// What is wrong is told at its own field, which has the focus; what was right in the other one stays.
#[test]
fn a_mistake_is_told_at_its_field() {
    let server = manual();
    let begun = begin(&server);
    let code = user_code(&begun);
    let sent = |code: &str, email: &str| {
        sent_on(&server, &post(&server, "/device", &[], &[("user_code", code), ("email", email)])).body
    };
    let field = |page: &str, name: &str| {
        let at = page.find(&format!("<input id=\"{name}\"")).expect("the field");
        page[at..].split('>').next().expect("its end").to_owned()
    };
    let wrong = " aria-invalid=\"true\" aria-describedby=\"problem\"";
    for (page, about, other, kept) in [
        (sent("BBBB-BBBB", "ada@example.com"), "user_code", "email", "ada@example.com"),
        (sent(code, "ada"), "email", "user_code", code),
    ] {
        let (about, other) = (field(&page, about), field(&page, other));
        assert!(about.contains(wrong) && about.contains(" autofocus"), "{about}");
        assert!(!other.contains("aria-invalid") && !other.contains("autofocus"), "{other}");
        assert!(other.contains(&format!("value=\"{kept}\"")), "{other}");
        assert_eq!(page.matches("role=\"alert\"").count(), 1);
        let at = |text: &str| page.find(text).expect("it is there");
        assert!(at(&about) < at("role=\"alert\""), "it stands below its field");
    }
    // A link can lead no further than to what a person would see anyway.
    let forged = get(&server, "/device/consent?user_code=BBBB-BBBB&email=eve@example.com", &[]);
    assert!(forged.body.contains("<h1>Sign in a device</h1>"));
}

/// Whoever does not want to go on can say so, and nothing has happened.
#[test]
fn cancelling_leaves_the_code_waiting() {
    let server = manual();
    let begun = begin(&server);
    let cancel = [("user_code", user_code(&begun)), ("decision", "cancel")];
    let page = sent_on(&server, &post(&server, "/device", &[], &cancel));
    assert!(page.body.contains("<h1>Cancelled</h1>"), "{page:?}");
    assert_eq!(poll(&server, &begun, LOCAL_CLIENT_ID).error(), "authorization_pending");
    assert!(server.approve_device(user_code(&begun), DEFAULT_EMAIL));
    assert_eq!(get(&server, "/device/done?ending=whatever", &[]).status, 400);
}

/// RFC 8628 §5.1: guessing is limited.
#[test]
fn user_codes_cannot_be_guessed_at_leisure() {
    let server = manual();
    let begun = begin(&server);
    for _ in 0..10 {
        assert!(!server.approve_device("BBBB-BBBB", DEFAULT_EMAIL));
    }
    assert!(!server.approve_device(user_code(&begun), DEFAULT_EMAIL), "nobody may try now");
    server.advance(61);
    assert!(server.approve_device(user_code(&begun), DEFAULT_EMAIL));
}

/// With automatic approval a device needs no person.
#[test]
fn with_automatic_approval_the_first_poll_gives_tokens() {
    let server = server();
    tokens(&poll(&server, &begin(&server), LOCAL_CLIENT_ID));
}
