//! ID tokens and key sets. The first byte selects: the text as it is, claims below a valid header, or keys.
#![no_main]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyfob_core::{
    ProviderTime, Secret,
    oauth::{
        id_token::{Expected, IdToken},
        jwk,
    },
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const ISSUER: &str = "https://id.example";
const CLIENT: &str = "client";

fuzz_target!(|bytes: &[u8]| {
    let [mode, text @ ..] = bytes else { return };
    match mode % 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            if let Err(why) = IdToken::read(&Secret::new(text)) {
                keyfob_fuzz::assert_harmless(why.why());
            }
        }
        1 => claims(text),
        _ => drop(jwk::keys(text)),
    }
});

fn claims(text: &[u8]) {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let token = format!("{}.{}.{}", part(br#"{"alg":"ES256"}"#), part(text), part(b"signature"));
    let token = match IdToken::read(&Secret::from(token)) {
        Ok(token) => token,
        Err(why) => return keyfob_fuzz::assert_harmless(why.why()),
    };
    let now = ProviderTime(1_700_000_000);
    let nonce = Secret::new("nonce");
    let expected = Expected { issuer: ISSUER, client_id: CLIENT, nonce: Some(&nonce), now };
    if let Err(why) = token.check(&expected) {
        return keyfob_fuzz::assert_harmless(why.why());
    }
    // What passed says all of it, in so many words.
    let said: Value = serde_json::from_slice(text).expect("claims are JSON");
    assert_eq!(said["iss"], ISSUER);
    assert_eq!(said["nonce"], "nonce");
    match &said["aud"] {
        Value::Array(all) => assert!(all.iter().any(|audience| audience == CLIENT)),
        one => assert_eq!(one, CLIENT),
    }
    assert!(said["exp"].as_f64().expect("a number") > 1_699_999_700.0);
    let identity = token.identity();
    let texts = [identity.account_uuid, identity.email, identity.subject, identity.username];
    texts.iter().flatten().for_each(|text| keyfob_fuzz::assert_harmless(text));
}
