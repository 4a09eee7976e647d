//! `oidcc-client-basic-certification-test-plan`: code flow (OpenID Connect Core §3.1).

use serde_json::json;

use super::Rig;
use crate::{
    desk::Desk,
    front::header,
    stub::{Issue, Signature},
};

/// The happy path: authorization, token, keys and UserInfo.
#[test]
fn oidcc_client_test() {
    let rig = Rig::new(|_| {});
    rig.signs_in();
    let asked = rig.stub.asked("/authorize").remove(0).parameters;
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
    assert!(asked.contains_key("nonce") && asked.contains_key("state"), "{asked:?}");
    let userinfo = rig.stub.asked("/userinfo").remove(0);
    assert!(header(&userinfo.head, "authorization").is_some_and(|value| value.starts_with("Bearer ")));
    assert!(userinfo.parameters.is_empty(), "no access token in the address: {userinfo:?}");
}

/// OpenID Connect Core §3.1.3.7, number 2.
#[test]
fn oidcc_client_test_invalid_iss() {
    let change = |claims: &mut serde_json::Value| claims["iss"] = json!("https://elsewhere.example");
    Rig::new(|manners| manners.id_token = Issue::with(change))
        .rejects("was issued by `https://elsewhere.example`");
}

/// OpenID Connect Core §2: `sub` is required.
#[test]
fn oidcc_client_test_missing_sub() {
    let change =
        |claims: &mut serde_json::Value| drop(claims.as_object_mut().expect("an object").remove("sub"));
    Rig::new(|manners| manners.id_token = Issue::with(change)).rejects("does not say who signed in (`sub`)");
}

/// OpenID Connect Core §3.1.3.7, number 3.
#[test]
fn oidcc_client_test_invalid_aud() {
    let change = |claims: &mut serde_json::Value| claims["aud"] = json!("agents1");
    Rig::new(|manners| manners.id_token = Issue::with(change))
        .rejects("was issued to another client (`aud`)");
}

/// OpenID Connect Core §2: `iat` is required.
#[test]
fn oidcc_client_test_missing_iat() {
    let change =
        |claims: &mut serde_json::Value| drop(claims.as_object_mut().expect("an object").remove("iat"));
    Rig::new(|manners| manners.id_token = Issue::with(change))
        .rejects("does not say when it was issued (`iat`)");
}

/// OpenID Connect Core §10.1: with one key, a name is not needed.
#[test]
fn oidcc_client_test_kid_absent_single_jwks() {
    let rig = Rig::new(|manners| manners.has_key_names = false);
    rig.signs_in();
    assert_eq!(rig.stub.asked("/jwks").len(), 1);
}

/// Several keys and no name: each is tried. The one that signed is the last of them.
#[test]
fn oidcc_client_test_kid_absent_multiple_jwks() {
    let several = |manners: &mut crate::stub::Manners| {
        manners.has_key_names = false;
        manners.published = vec![1, 0];
    };
    Rig::new(several).signs_in();
    // Trying each is no way in for a signature that is none of theirs.
    let rig = Rig::new(|manners| {
        several(manners);
        manners.id_token = Issue { signature: Signature::Broken, ..Issue::RIGHT };
    });
    rig.rejects("was not signed with any of the keys");
}

#[test]
fn oidcc_client_test_idtoken_sig_rs256() {
    let rig = Rig::new(|_| {});
    rig.signs_in();
    assert_eq!(rig.stub.asked("/jwks").len(), 1, "the signature was checked");
}

/// RFC 8725 §3.1: a client need not accept `none`, and keyfob never does. The programme skips the module then.
#[test]
fn oidcc_client_test_idtoken_sig_none() {
    let rig = Rig::new(|manners| manners.id_token = Issue { signature: Signature::None, ..Issue::RIGHT });
    rig.rejects("is signed with `none`, which proves nothing");
}

/// OpenID Connect Core §3.1.3.7, number 6: the connection could vouch for it, but where keys are published they decide.
#[test]
fn oidcc_client_test_invalid_sig_rs256() {
    let rig = Rig::new(|manners| manners.id_token = Issue { signature: Signature::Broken, ..Issue::RIGHT });
    rig.rejects("was not signed with any of the keys");
}

/// OpenID Connect Core §5.3.2: an answer about somebody else is not used. The login is the ID token's, which is good.
#[test]
fn oidcc_client_test_userinfo_invalid_sub() {
    let rig = Rig::new(|manners| manners.userinfo["sub"] = json!("24400321"));
    let ran = rig.desk.login();
    ran.answer();
    assert_eq!(rig.stub.asked("/userinfo").len(), 1);
    assert!(!ran.err.contains("ada"), "{ran:?}");
    let record = rig.desk.record();
    assert_eq!(record["identity"]["subject"], "24400320", "{record}");
    assert!(!record.to_string().contains("24400321") && !record.to_string().contains("ada@"), "{record}");
}

/// OpenID Connect Core §3.1.3.7, number 11.
#[test]
fn oidcc_client_test_nonce_invalid() {
    let change = |claims: &mut serde_json::Value| claims["nonce"] = json!("another");
    Rig::new(|manners| manners.id_token = Issue::with(change))
        .rejects("belongs to another sign-in (`nonce`)");
}

/// OpenID Connect Core §5.4: what is asked for with a scope comes from UserInfo.
#[test]
fn oidcc_client_test_scope_userinfo_claims() {
    let rig = Rig::new(|_| {});
    rig.signs_in();
    let asked = rig.stub.asked("/authorize").remove(0).parameters;
    assert!(asked["scope"].split(' ').any(|scope| scope == "email"), "{asked:?}");
}

/// OpenID Connect Core §9: the secret in the header, for the code, for a renewal and for the revocation.
#[test]
fn oidcc_client_test_client_secret_basic() {
    const SECRET: &str = "s3cr%t:of+the&client";
    let rig = Rig::new(|manners| {
        manners.secret = Some(SECRET.to_owned());
        manners.metadata = |document| {
            document["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
        };
    });
    let file = rig.desk.path().join("secret");
    Desk::keep(&file, SECRET);
    let config = rig.desk.home().join("config.toml");
    let text = std::fs::read_to_string(&config).expect("a file of ours");
    std::fs::write(config, format!("{text}client_secret_file = {file:?}\n")).expect("a file of ours");
    rig.signs_in();
    rig.desk.expire();
    rig.desk.run(&["token"]).answer();
    rig.desk.run(&["logout"]).answer();
    let proven = [rig.stub.asked("/token"), rig.stub.asked("/revoke")].concat();
    assert_eq!(proven.len(), 3);
    for seen in proven {
        assert!(
            header(&seen.head, "authorization").is_some_and(|value| value.starts_with("Basic ")),
            "{seen:?}"
        );
        assert!(!seen.parameters.contains_key("client_secret"), "{seen:?}");
    }
    assert_eq!(rig.stub.complaints(), [""; 0]);
}
