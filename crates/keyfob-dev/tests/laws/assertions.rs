//! Clients that prove themselves with what they sign (RFC 7523 §2.2, §3): what is accepted once, and what never.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyfob_dev::{Client, ClientError, DevServer, Fault, FaultGrant, FaultKind, Options};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::common::{Answer, Pairs, TOKEN, post, start};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Signer {
    pair: EcdsaKeyPair,
    server: DevServer,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key");
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let number = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "x": number(x), "y": number(y) });
        let keys = json!({ "keys": [jwk] }).to_string();
        let clients = vec![
            Client::with_key("signer", &keys).expect("a client"),
            Client::confidential("secretive", "secret").expect("a client"),
        ];
        let server = start(Options { clients, ..Options::default() });
        Self { pair, server }
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }

    fn claims(&self, jti: &str) -> Value {
        let now = Self::now();
        json!({
            "iss": "signer", "sub": "signer", "aud": self.server.base_url(), "jti": jti, "iat": now, "exp": now + 60,
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).expect("signed");
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn good(&self, jti: &str) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": "k1" }), &self.claims(jti))
    }

    fn ask(&self, assertion: &str, more: Pairs<'_>) -> Answer {
        let grant = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ];
        post(&self.server, TOKEN, &[], &[&grant, more].concat())
    }

    /// Refused, by this word of the log.
    #[track_caller]
    fn refuses(&self, assertion: &str, outcome: &str) {
        let answer = self.ask(assertion, &[]);
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_client"), "{outcome}");
        let last = self.server.requests().pop().expect("a request");
        assert_eq!((last.outcome.as_str(), &*last.credential), (outcome, &["assertion".to_owned()][..]));
    }
}

#[test]
fn an_assertion_authenticates_a_client_once() {
    let s = Signer::new();
    let good = s.good("one");
    assert_eq!(s.ask(&good, &[]).status, 200);
    s.refuses(&good, "assertion-replayed");
    // RFC 7521 §4.2: the name beside it must be the same.
    assert_eq!(s.ask(&s.good("two"), &[("client_id", "signer")]).status, 200);
    assert_eq!(s.ask(&s.good("three"), &[("client_id", "secretive")]).error(), "invalid_client");
    // A refused one is spent at no other place: this one was refused before it was looked at.
    assert_eq!(s.ask(&s.good("three"), &[]).status, 200);
    // Everywhere the same: revocation spends it too.
    let end =
        [("token", "kdev-rt-none"), ("client_assertion_type", TYPE), ("client_assertion", &s.good("four"))];
    assert_eq!(post(&s.server, "/v1/oauth/revoke", &[], &end).status, 200);
    assert_eq!(post(&s.server, "/v1/oauth/revoke", &[], &end).error(), "invalid_client");
    let metadata = crate::common::get(&s.server, "/.well-known/oauth-authorization-server", &[]).json();
    assert_eq!(
        metadata["token_endpoint_auth_signing_alg_values_supported"],
        json!(["ES256", "RS256", "EdDSA"])
    );
}

/// RFC 7523 §3 and OpenID Connect Core §9, number by number; the audience is the issuer and nothing beside it.
#[test]
fn an_assertion_that_is_wrong_in_one_thing_is_refused() {
    let s = Signer::new();
    let header = json!({ "alg": "ES256", "kid": "k1" });
    let now = Signer::now();
    let base = s.server.base_url();
    for (claim, value, outcome) in [
        ("iss", json!("secretive"), "assertion-subject"),
        ("aud", json!(format!("{base}{TOKEN}")), "assertion-audience"),
        ("aud", json!(format!("{base}/")), "assertion-audience"),
        ("aud", json!([base, "https://elsewhere.example"]), "assertion-audience"),
        ("aud", json!("https://elsewhere.example"), "assertion-audience"),
        ("aud", Value::Null, "assertion-audience"),
        ("exp", json!(now - 1), "assertion-expired"),
        ("exp", json!(now + 3600), "assertion-early"),
        ("exp", Value::Null, "assertion-malformed"),
        ("iat", json!(now + 300), "assertion-early"),
        ("jti", Value::Null, "assertion-malformed"),
        ("jti", json!(""), "assertion-malformed"),
        ("sub", json!("nobody"), "invalid_client"),
        ("sub", json!("secretive"), "assertion-key"),
    ] {
        let mut claims = s.claims("wrong");
        claims[claim] = value;
        s.refuses(&s.sign(&header, &claims), outcome);
    }
    for (header, outcome) in [
        (json!({ "alg": "none" }), "assertion-key"),
        (json!({ "alg": "RS256", "kid": "k1" }), "assertion-key"),
        (json!({ "alg": "HS256" }), "assertion-key"),
        (json!({ "alg": "ES256", "kid": "k2" }), "assertion-key"),
    ] {
        s.refuses(&s.sign(&header, &s.claims("wrong")), outcome);
    }
    let good = s.good("wrong");
    let (signed, _) = good.rsplit_once('.').expect("a signature");
    s.refuses(&format!("{signed}."), "assertion-signature");
    s.refuses("not.a.jwt", "assertion-malformed");
    // Nothing of that has spent its name.
    assert_eq!(s.ask(&good, &[]).status, 200);
    assert_eq!(s.server.grants().client_credentials, 1);
}

/// RFC 6749 §2.3: one way in a request, and the way that is registered.
#[test]
fn a_client_with_a_key_has_no_other_way() {
    let s = Signer::new();
    let grant = ("grant_type", "client_credentials");
    let none = post(&s.server, TOKEN, &[], &[grant, ("client_id", "signer")]);
    assert_eq!(none.error(), "invalid_client");
    let secret = post(&s.server, TOKEN, &[], &[grant, ("client_id", "signer"), ("client_secret", "x")]);
    assert_eq!(secret.error(), "invalid_client");
    assert_eq!(s.ask(&s.good("one"), &[("client_secret", "x")]).error(), "invalid_request");
    let typed = [grant, ("client_assertion_type", "other"), ("client_assertion", &s.good("two"))];
    assert_eq!(post(&s.server, TOKEN, &[], &typed).error(), "invalid_client");
    s.server.inject(Fault { grant: FaultGrant::Client, kind: FaultKind::InvalidClient }, 1);
    let refused = s.ask(&s.good("three"), &[]);
    assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_client"));
}

/// A turned clock counts, and forgets what has ended.
#[test]
fn assertions_live_in_the_providers_time() {
    let s = Signer::new();
    let good = s.good("one");
    s.server.advance(120);
    s.refuses(&good, "assertion-expired");
    s.server.advance(-240);
    s.refuses(&good, "assertion-early");
    s.server.advance(120);
    assert_eq!(s.ask(&good, &[]).status, 200);
}

#[test]
fn a_key_is_registered_in_pem_or_as_a_jwk() {
    for name in ["p256", "ed25519", "rsa"] {
        let path = format!("{}/../keyfob/tests/keys/{name}.pub.pem", env!("CARGO_MANIFEST_DIR"));
        let pem = std::fs::read_to_string(path).expect("a public key");
        assert!(Client::with_key("signer", &pem).is_ok(), "{name}");
        assert_eq!(
            Client::with_key("signer", &pem.replace("PUBLIC", "PRIVATE")).err(),
            Some(ClientError::BadKey)
        );
    }
    for wrong in ["", "{}", "{\"keys\":[]}", r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#] {
        assert_eq!(Client::with_key("signer", wrong).err(), Some(ClientError::BadKey), "{wrong}");
    }
    let private = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#;
    assert_eq!(Client::with_key("signer", private).err(), Some(ClientError::BadKey));
}
