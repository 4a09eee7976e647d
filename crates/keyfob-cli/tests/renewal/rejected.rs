//! After a 401.

use crate::Sandbox;

/// After a 401 only the rejected generation is renewed, however many report it.
#[test]
fn a_rejected_token_is_renewed_once() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.json(&["token"]);
    let signed_in = s.server.grants().refreshes;
    let named = format!("{}:{}", before["login"].as_str().expect("a login"), before["generation"]);
    let first = s.json(&["token", "--rejected", &named]);
    let second = s.json(&["token", "--rejected", &named]);
    assert_ne!(before["token"], first["token"]);
    assert_eq!(first["token"], second["token"], "that generation is no longer the newest");
    assert_eq!(s.server.grants().refreshes - signed_in, 1);
}
