//! Laws of the ID token (OpenID Connect Core §2, §3.1.3.3) and the keys it is signed with.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyfob_dev::LOCAL_CLIENT_ID;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::common::*;

fn decode(part: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

/// Header and claims of a token whose signature the published key made.
fn verified(server: &keyfob_dev::DevServer, token: &str) -> (Value, Value) {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let keys = get(server, "/oauth/jwks", &[]).json();
    let key = &keys["keys"][0];
    let number = |name: &str| decode(key[name].as_str().expect(name));
    let point = [vec![4], number("x"), number("y")].concat();
    let key_of_it = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key_of_it.verify(signed.as_bytes(), &decode(signature)).expect("a signature of that key");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)).expect("JSON");
    assert_eq!(read(header)["kid"], key["kid"]);
    (read(header), read(claims))
}

#[test]
fn openid_gets_an_id_token_that_repeats_the_nonce() {
    let server = server();
    let code = code(&server, &[("scope", "openid email"), ("nonce", "n-0S6_WzA2Mj")]);
    let answer = exchange(&server, &code, &[]).json();
    let (header, claims) = verified(&server, answer["id_token"].as_str().expect("an ID token"));
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["iss"], server.base_url());
    assert_eq!(claims["aud"], LOCAL_CLIENT_ID);
    assert_eq!(claims["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(claims["email"], keyfob_dev::DEFAULT_EMAIL);
    assert!(claims["exp"].as_u64() > claims["iat"].as_u64());
    let bearer = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
    let userinfo = get(&server, "/oauth/userinfo", &[("authorization", &bearer)]).json();
    assert_eq!(userinfo["sub"], claims["sub"], "§5.3.2");
}

#[test]
fn without_openid_there_is_none() {
    let server = server();
    let answer = exchange(&server, &code(&server, &[("nonce", "n")]), &[]).json();
    assert_eq!(answer.get("id_token"), None);
}

/// OpenID Connect Discovery §3: what an OpenID provider has to say of itself.
#[test]
fn the_metadata_names_keys_and_algorithm() {
    let server = server();
    let metadata = get(&server, "/.well-known/openid-configuration", &[]).json();
    assert_eq!(metadata["jwks_uri"], format!("{}/oauth/jwks", server.base_url()));
    assert_eq!(metadata["id_token_signing_alg_values_supported"][0], "ES256");
    assert_eq!(metadata["subject_types_supported"][0], "public");
}
