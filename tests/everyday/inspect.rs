//! `keyfob inspect`: what a token says of itself, and who vouches for it.

use std::{fs, process::Stdio};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::visitor::follow;
use keyfob_testkit::{Ran, Sandbox, now, stderr};

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn unsigned(claims: &Value) -> String {
    format!("{}.{}.c2ln", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims))
}

fn inspect(s: &Sandbox, words: &[&str], token: &str) -> Ran {
    Ran::from(s.feed(&[&["inspect"], words].concat(), token))
}

fn said(s: &Sandbox, words: &[&str], token: &str) -> Value {
    let ran = inspect(s, &[words, &["--json"]].concat(), token);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn what_a_token_claims_is_shown_and_not_believed() {
    let s = Sandbox::new();
    let token = unsigned(&json!({
        "iss": "https://elsewhere.example", "sub": "ada\u{1b}[2J", "aud": ["a", "b"], "exp": now() + 7200, "iat": now() - 180,
    }));
    let ran = inspect(&s, &[], &format!("Bearer {token}\n"));
    let text = ran.answer();
    for part in
        ["alg            HS256", "iss            https://elsewhere.example", "[\"a\",\"b\"]", "Not verified"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(", in ") && text.contains("3 minutes ago"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains(&token), "{text}");
    let header = inspect(&s, &["--json"], &format!("Authorization: Bearer {token}"));
    let answer: Value = serde_json::from_str(header.answer()).expect("JSON");
    assert_eq!((&answer["jwt"], &answer["verification"]), (&json!(true), &json!("not-verified")));
    assert_eq!(answer["claims"]["aud"], json!(["a", "b"]));
    assert_eq!(s.server.requests().len(), 0, "no address of a token is asked");
    // One that says nothing.
    let opaque = inspect(&s, &[], "opaque");
    assert_eq!(opaque.code, Some(1), "{opaque:?}");
    assert!(opaque.out.contains("not a JWT") && !opaque.out.contains(": opaque"), "{opaque:?}");
    assert_eq!(said(&s, &[], "opaque")["jwt"], json!(false));
    for nothing in ["", "\n", "two words"] {
        inspect(&s, &["--json"], nothing).failed(2, "usage");
    }
}

/// Other users can read arguments, and errors end in logs.
#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let s = Sandbox::new();
    let token = unsigned(&json!({"sub": "ada"}));
    for words in [
        &["inspect", &token][..],
        &["inspect", "--json", &token],
        &["inspect", &token, "--json"],
        &["inspect", "--", &token],
    ] {
        let ran = s.run(words);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.err.contains(&token) && !ran.out.contains(&token), "{ran:?}");
        assert!(format!("{}{}", ran.err, ran.out).contains("not taken as an argument"), "{ran:?}");
    }
}

/// A home whose configuration knows the issuer by its address, signed in there.
fn signed_in(advance: i64) -> (Sandbox, String) {
    let s = Sandbox::new();
    s.server.advance(advance);
    let home = s.home.path().join("keyfob");
    fs::create_dir_all(&home).expect("our directory");
    let config = format!(
        "[environments.work]\nissuer = \"{}\"\nclient_id = \"keyfob-local\"\nscopes = [\"openid\", \"offline_access\"]\n",
        s.server.base_url()
    );
    fs::write(home.join("config.toml"), config).expect("our file");
    let command = |words: &[&str]| {
        let mut command = s.keyfob([&["--environment", "work"], words].concat());
        command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null());
        command
    };
    let output = follow(&mut command(&["login", "--no-browser"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let token = Ran::from(command(&["token", "--id-token"]).output().expect("it runs")).answer().to_owned();
    (s, token)
}

/// RFC 7515 §5.2, with the keys of an environment that this machine knows, whichever one is chosen.
#[test]
fn a_token_of_a_known_issuer_is_verified() {
    let (s, token) = signed_in(0);
    let ran = inspect(&s, &[], &token);
    assert!(ran.answer().contains("Verified: it is signed with a key from"), "{ran:?}");
    assert_eq!(said(&s, &[], &token)["verification"], "verified");
    // Somebody has changed it.
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let mut claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(&parts[1]).expect("base64url")).expect("JSON");
    claims["sub"] = json!("somebody-else");
    parts[1] = part(&claims);
    let changed = parts.join(".");
    let ran = inspect(&s, &["--json"], &changed);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&answer["verification"], &answer["error"]["id"]), (&json!("failed"), &json!("jwt-invalid")));
    let ran = inspect(&s, &[], &changed);
    assert!(ran.code == Some(5) && ran.err.contains("was not signed with any of the keys"), "{ran:?}");
    // Unsigned ones prove nothing, of this issuer either.
    let mac = unsigned(&json!({"iss": s.server.base_url(), "exp": now() + 60}));
    assert_eq!(said(&s, &[], &mac)["error"]["id"], "jwt-invalid");

    // With keys that somebody names: a file, or an address.
    let url = format!("{}/oauth/jwks", s.server.base_url());
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let keys = agent.get(&url).call().expect("keys").body_mut().read_to_string().expect("text");
    let file = s.home.path().join("keys.json");
    fs::write(&file, keys).expect("ours");
    let file = file.to_str().expect("text");
    for named in [file, &*url] {
        assert_eq!(said(&s, &["--jwks", named], &token)["verification"], "verified", "{named}");
        assert_eq!(inspect(&s, &["--jwks", named], &changed).code, Some(5), "{named}");
    }
    inspect(&s, &["--jwks", "/nowhere", "--json"], &token).because("usage", "missing");
    inspect(&s, &["--jwks", "http://127.0.0.1:1/keys", "--json"], &token).failed(6, "unreachable");
    fs::write(file, "{\"keys\":[]}").expect("ours");
    assert_eq!(said(&s, &["--jwks", file], &token)["error"]["id"], "jwt-unverified");
    // The login knows its issuer, when the configuration does not any more.
    fs::write(s.home.path().join("keyfob/config.toml"), "").expect("ours");
    assert_eq!(said(&s, &[], &token)["verification"], "verified");
    // Nobody answers for it.
    let Sandbox { server, home } = s;
    server.stop();
    Ran::from(home.feed(&["inspect", "--json"], &token)).failed(6, "unreachable");
}

#[test]
fn a_signature_does_not_keep_a_token_from_ending() {
    let (s, token) = signed_in(-7200);
    let ran = inspect(&s, &[], &token);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("it has ended (`exp`)") && ran.out.contains("Not to be relied on"), "{ran:?}");
}
