//! `oidcc-client-config-certification-test-plan`: what a provider says of itself, and the keys it signs with. Its sixth
//! module is `oidcc-client-test-idtoken-sig-none`, which is in the basic plan too.

use serde_json::json;

use super::Rig;

/// OpenID Connect Discovery §4: the endpoints come from the document, wherever they are.
#[test]
fn oidcc_client_test_discovery_openid_config() {
    let rig = Rig::new(|manners| {
        for (_, url) in &mut manners.endpoints {
            *url = url.replacen("/authorize", "/somewhere/authorize", 1).replacen(
                "/token",
                "/somewhere/token",
                1,
            );
        }
    });
    rig.signs_in();
    assert_eq!(rig.stub.asked("/.well-known/openid-configuration").len(), 1);
    assert_eq!((rig.stub.asked("/somewhere/token").len(), rig.stub.asked("/token").len()), (1, 0));
}

/// OpenID Connect Discovery §3: `jwks_uri` is an address like any other, another one each time.
#[test]
fn oidcc_client_test_discovery_jwks_uri_keys() {
    for path in ["/jwks-kXoPzQ", "/keys/2026-11/jwks-wBnRtL"] {
        let rig = Rig::new(|manners| {
            for (name, url) in &mut manners.endpoints {
                if *name == "jwks_uri" {
                    *url = url.replacen("/jwks", path, 1);
                }
            }
        });
        rig.signs_in();
        let order: Vec<_> = rig.stub.seen().into_iter().map(|seen| seen.path).collect();
        let place = |wanted: &str| order.iter().position(|path| path == wanted);
        assert!(place("/.well-known/openid-configuration") < place(path), "{order:?}");
        assert!(place(path) < place("/userinfo"), "{order:?}");
    }
}

/// OpenID Connect Discovery §4.3: the issuer in the document is the one that was asked, exactly.
#[test]
fn oidcc_client_test_discovery_issuer_mismatch() {
    let rig = Rig::new(|manners| {
        manners.metadata = |document| document["issuer"] = json!("https://elsewhere.example");
    });
    let ran = rig.desk.login_with(&["--timeout", "10"], |url| panic!("nobody is sent to {url}"));
    assert!(ran.code == Some(5) && ran.err.contains("it is that of `https://elsewhere.example`"), "{ran:?}");
    assert!(rig.stub.seen().iter().all(|seen| seen.path.contains("/.well-known/")), "{:?}", rig.stub.seen());
    assert!(!rig.desk.has_login());
}

/// OpenID Connect Core §10.1.1: the keys are changed right before the token is signed.
#[test]
fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let rig = Rig::new(|manners| manners.changes_keys = true);
    rig.signs_in();
    let order: Vec<_> = rig.stub.seen().into_iter().map(|seen| seen.path).collect();
    let last = |wanted: &str| order.iter().rposition(|path| path == wanted);
    assert!(last("/token") < last("/jwks"), "the keys are those of after the signature: {order:?}");
}

/// Another key signs the second sign-in: the first one's is not remembered.
#[test]
fn oidcc_client_test_signing_key_rotation() {
    let rig = Rig::new(|_| {});
    rig.signs_in();
    rig.stub.becomes(|manners| {
        manners.key = 1;
        manners.published = vec![1];
    });
    rig.signs_in();
    assert_eq!((rig.stub.asked("/token").len(), rig.stub.asked("/jwks").len()), (2, 2));
}

/// RFC 7517 §5: keys of a kind that is not known are passed over. Not in a plan yet, but a module.
#[test]
fn oidcc_client_test_ignores_unparseable_key_in_jwks() {
    let rig = Rig::new(|manners| {
        manners.strange_keys = vec![
            json!({ "kty": "AKP", "alg": "ML-DSA-00", "kid": "pq", "use": "sig", "pub": "AQAB" }),
            json!({ "kty": "made-up", "kid": "odd", "use": "sig", "value": [1, 2] }),
        ];
    });
    rig.signs_in();
}
