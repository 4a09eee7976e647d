//! A client's private key: read from PEM or JWK, and what is signed with it (RFC 7523 §2.2).
//!
//! The key decides the algorithm, so that no header can name one that is not the key's own: a signature of an EC key under
//! `RS256` is refused by every provider, and by none with a word that says why.

use keyfob_core::{
    json,
    oauth::{client_assertion::Algorithm, jwk::octets},
};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::der::{self, Element};

/// A client's private key.
pub(crate) struct ClientKey {
    pair: Pair,
    /// Its own id, where it says one.
    pub(crate) id: Option<String>,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a text is no key to sign with. It never holds any of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not a private key, or a damaged one.
    Unread(&'static str),
    /// It is a key, and of a kind that cannot be used here.
    Kind(String),
}

impl ClientKey {
    /// Reads PEM (RFC 7468: PKCS#8, PKCS#1 or SEC 1) or one JWK (RFC 7517).
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Unusable::Unread("it is not text: expected PEM or a JWK"))?;
        if text.trim_start().starts_with('{') {
            return of_jwk(text.trim());
        }
        // With a passphrase, which nobody could type for a renewal.
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(Unusable::Unread(
                "it is protected by a passphrase: let client_key_command decrypt it",
            ));
        }
        match PrivateKeyDer::from_pem_slice(bytes) {
            Ok(PrivateKeyDer::Pkcs8(key)) => of_pkcs8(key.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(key)) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
            Ok(PrivateKeyDer::Sec1(key)) => of_sec1(key.secret_sec1_der()),
            _ if text.contains("PUBLIC KEY-----") || text.contains("CERTIFICATE-----") => {
                Err(Unusable::Unread("it holds what is public of a key: expected the private key"))
            }
            _ => Err(Unusable::Unread("it holds no private key in PEM, and is no JWK")),
        }
    }

    /// What it signs with.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::Es256,
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The signature in the form of RFC 7518 §3.3, §3.4 and RFC 8037 §3.1. `None`: the system has no randomness.
    pub(crate) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => pair.sign(&random, text).ok().map(|signature| signature.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.sign(text).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).ok().map(|()| signature)
            }
        }
    }
}

const DAMAGED: Unusable = Unusable::Unread("the key in it is damaged");

fn kind(what: &str) -> Unusable {
    Unusable::Kind(format!(
        "it is {what}: expected P-256 (ES256), Ed25519 (EdDSA) or RSA of 2048 to 4096 bits (RS256)"
    ))
}

fn new(pair: Pair) -> Result<ClientKey, Unusable> {
    Ok(ClientKey { pair, id: None })
}

fn rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<ClientKey, Unusable> {
    match pair {
        Ok(pair) => new(Pair::Rsa(pair)),
        // The library's own word is all there is.
        Err(why) => Err(match why.to_string().as_str() {
            "TooSmall" => kind("an RSA key of less than 2048 bits"),
            "TooLarge" => kind("an RSA key of more than 4096 bits"),
            _ => DAMAGED,
        }),
    }
}

/// Object identifiers, as DER encodes them.
mod oid {
    /// rsaEncryption, RFC 8017 appendix C.
    pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    /// id-RSASSA-PSS, of a key that may do nothing else.
    pub(super) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    /// id-ecPublicKey, RFC 5480 §2.1.1.
    pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    /// secp256r1, secp384r1, secp521r1 (RFC 5480 §2.1.1.1).
    pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    pub(super) const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
    pub(super) const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
    /// secp256k1 (SEC 2).
    pub(super) const K256: &[u8] = &[0x2b, 0x81, 4, 0, 10];
    /// Ed25519 (RFC 8410 §3).
    pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
}

fn curve(oid: Option<&[u8]>) -> &'static str {
    match oid {
        Some(oid::P384) => "an EC key on P-384",
        Some(oid::P521) => "an EC key on P-521",
        Some(oid::K256) => "an EC key on secp256k1",
        _ => "an EC key on another curve",
    }
}

/// RFC 5958 §2: version, algorithm, key.
fn of_pkcs8(der: &[u8]) -> Result<ClientKey, Unusable> {
    let algorithm = || {
        let mut key = der::sequence(der)?;
        key.next_of(der::INTEGER)?;
        let mut algorithm = der::sequence_of(key.next_of(der::SEQUENCE)?);
        let name = algorithm.next_of(der::OBJECT_ID)?;
        Some((name, algorithm.next().filter(|more| more.tag == der::OBJECT_ID).map(|more| more.content)))
    };
    match algorithm().ok_or(DAMAGED)? {
        (oid::RSA, _) => rsa(RsaKeyPair::from_pkcs8(der)),
        (oid::EC, Some(oid::P256)) => {
            let pair = EcdsaKeyPair::from_pkcs8(&P256, der, &SystemRandom::new());
            // OpenSSL may leave the public half out, and without it nothing says whether the private one is whole.
            new(Pair::P256(pair.map_err(|_| DAMAGED)?))
        }
        (oid::EC, other) => Err(kind(curve(other))),
        // With or without the public half: `openssl genpkey` leaves it out.
        (oid::ED25519, _) => {
            new(Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| DAMAGED)?))
        }
        (oid::RSA_PSS, _) => Err(kind("an RSA key for PSS alone")),
        _ => Err(kind("a key of another kind")),
    }
}

/// SEC 1 appendix C.4, what `openssl ecparam -genkey` writes: version, private key, then the curve (tag 0) and the public key (tag 1).
fn of_sec1(der: &[u8]) -> Result<ClientKey, Unusable> {
    let parts = || {
        let mut key = der::sequence(der)?;
        key.next_of(der::INTEGER)?;
        let private = key.next_of(der::OCTET_STRING)?;
        let (mut curve, mut public) = (None, None);
        for Element { tag, content } in key {
            match tag {
                der::CONTEXT_0 => curve = der::first(content, der::OBJECT_ID),
                // After the number of unused bits, which is none.
                der::CONTEXT_1 => {
                    public = der::first(content, der::BIT_STRING).and_then(|bits| bits.get(1..));
                }
                _ => {}
            }
        }
        Some((private, curve, public))
    };
    let (private, named, public) = parts().ok_or(DAMAGED)?;
    if named.is_some_and(|named| named != oid::P256) {
        return Err(kind(curve(named)));
    }
    let public = public.ok_or(Unusable::Unread(
        "it lacks the public half: write it anew with `openssl pkcs8 -topk8 -nocrypt`",
    ))?;
    p256(private, public)
}

fn p256(private: &[u8], public: &[u8]) -> Result<ClientKey, Unusable> {
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&P256, private, public, &SystemRandom::new());
    new(Pair::P256(pair.map_err(|_| DAMAGED)?))
}

/// A private key as RFC 7517 and RFC 7518 §6 have it. Wiped when dropped.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    x: Option<Zeroizing<String>>,
    y: Option<Zeroizing<String>>,
    n: Option<Zeroizing<String>>,
    e: Option<Zeroizing<String>>,
    d: Option<Zeroizing<String>>,
    p: Option<Zeroizing<String>>,
    q: Option<Zeroizing<String>>,
    dp: Option<Zeroizing<String>>,
    dq: Option<Zeroizing<String>>,
    qi: Option<Zeroizing<String>>,
}

type Number = Zeroizing<Vec<u8>>;

fn number(text: Option<&Zeroizing<String>>) -> Result<Number, Unusable> {
    let text = text.ok_or(Unusable::Unread("the JWK lacks a member: expected a whole private key"))?;
    octets(text).map(Zeroizing::new).ok_or(DAMAGED)
}

/// To the length that the curve has: some write a number without the zeros before it.
fn padded(mut number: Number) -> Result<[u8; 32], Unusable> {
    let short = 32_usize.checked_sub(number.len()).ok_or(DAMAGED)?;
    let mut whole = [0; 32];
    whole[short..].copy_from_slice(&number);
    number.zeroize();
    Ok(whole)
}

fn of_jwk(text: &str) -> Result<ClientKey, Unusable> {
    let jwk: Jwk = json::strict(text.as_bytes())
        .map_err(|_| Unusable::Unread("it is no JWK: a JSON object with `kty`"))?;
    if jwk.d.is_none() && jwk.kty != "oct" {
        return Err(Unusable::Unread("the JWK is a public key: expected the private one, which has `d`"));
    }
    let mut key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("EC", Some("P-256")) => {
            let private = Zeroizing::new(padded(number(jwk.d.as_ref())?)?);
            let (x, y) = (padded(number(jwk.x.as_ref())?)?, padded(number(jwk.y.as_ref())?)?);
            p256(&private[..], &[&[4], &x[..], &y[..]].concat())
        }
        ("EC", Some("P-384")) => Err(kind(curve(Some(oid::P384)))),
        ("EC", Some("P-521")) => Err(kind(curve(Some(oid::P521)))),
        ("EC", _) => Err(kind(curve(None))),
        ("OKP", Some("Ed25519")) => {
            let pair =
                Ed25519KeyPair::from_seed_and_public_key(&number(jwk.d.as_ref())?, &number(jwk.x.as_ref())?);
            new(Pair::Ed25519(pair.map_err(|_| DAMAGED)?))
        }
        ("RSA", _) => {
            let (n, e) = (number(jwk.n.as_ref())?, number(jwk.e.as_ref())?);
            let (d, p, q) = (number(jwk.d.as_ref())?, number(jwk.p.as_ref())?, number(jwk.q.as_ref())?);
            let (dp, dq, qi) = (number(jwk.dp.as_ref())?, number(jwk.dq.as_ref())?, number(jwk.qi.as_ref())?);
            rsa(RsaKeyPair::from_components(&rsa::KeyPairComponents {
                public_key: rsa::PublicKeyComponents { n: &n[..], e: &e[..] },
                d: &d[..],
                p: &p[..],
                q: &q[..],
                dP: &dp[..],
                dQ: &dq[..],
                qInv: &qi[..],
            }))
        }
        ("oct", _) => Err(kind("a shared secret, which is no key pair")),
        _ => Err(kind("a key of another kind")),
    }?;
    if let Some(named) = jwk.alg.as_deref().filter(|named| *named != key.algorithm().name()) {
        let named = keyfob_core::error::escape(named);
        return Err(Unusable::Kind(format!(
            "the JWK is for {named}, and keyfob would sign {} with it",
            key.algorithm().name()
        )));
    }
    key.id = jwk.kid;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../../tests/keys/", $name, ".pem"))
        };
    }

    fn read(text: &str) -> ClientKey {
        ClientKey::read(text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"))
    }

    fn unusable(text: &str) -> Unusable {
        ClientKey::read(text.as_bytes()).err().expect("it is no key to sign with")
    }

    /// A signature of this key is its own public half's.
    fn signs(key: &ClientKey) {
        let (text, signature) = (b"header.claims", key.sign(b"header.claims").unwrap());
        let verdict = match &key.pair {
            Pair::P256(pair) => {
                assert_eq!(signature.len(), 64, "RFC 7518 §3.4: not in DER");
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key()).verify(text, &signature)
            }
            Pair::Ed25519(pair) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(text, &signature)
            }
            Pair::Rsa(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())
                .verify(text, &signature),
        };
        assert!(verdict.is_ok());
    }

    /// RFC 7515 appendix A.2.
    const RSA_JWK: &str = r#"{"kty":"RSA",
        "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e":"AQAB",
        "d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
        "p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
        "q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
        "dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
        "dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
        "qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;

    /// RFC 7515 appendix A.2 and RFC 8037 appendix A.4: the same key signs the same text in the same octets.
    #[test]
    fn the_examples_of_the_rfcs_are_signed_as_printed_there() {
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signed = |key: &str, text: &str| {
            BASE64_URL_SAFE_NO_PAD.encode(read(key).sign(text.as_bytes()).expect("signed"))
        };
        assert_eq!(
            signed(RSA_JWK, &format!("eyJhbGciOiJSUzI1NiJ9.{claims}")),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJ\
             dbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN\
             9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXL\
             IhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        );
        let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            signed(ed25519, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    /// As OpenSSL writes them, with and without what it writes before or around them.
    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        for (text, algorithm) in [
            (file!("p256"), Algorithm::Es256),
            (file!("p256-sec1"), Algorithm::Es256),
            (file!("ed25519"), Algorithm::EdDsa),
            (file!("rsa"), Algorithm::Rs256),
            (file!("rsa-pkcs1"), Algorithm::Rs256),
            (&format!("{}{}", file!("p256.pub"), file!("p256")), Algorithm::Es256),
            (&file!("p256").replace('\n', "\r\n"), Algorithm::Es256),
            (RSA_JWK, Algorithm::Rs256),
        ] {
            let key = read(text);
            assert_eq!(key.algorithm(), algorithm, "{}", &text[..40]);
            signs(&key);
        }
        // RFC 7515 appendix A.3, with the id that a JWK may have, and a blank before it.
        let jwk = r#" {"kty":"EC","crv":"P-256","kid":"k1","alg":"ES256","use":"sig",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
        let key = read(jwk);
        assert_eq!((key.algorithm(), key.id.as_deref()), (Algorithm::Es256, Some("k1")));
        signs(&key);
    }

    /// What a person did wrong is told, and not what is in the file.
    #[test]
    fn what_is_no_key_to_sign_with_is_told_apart() {
        for (text, why) in [
            (file!("p256.pub"), "what is public"),
            (file!("encrypted"), "passphrase"),
            (file!("encrypted-pkcs1"), "passphrase"),
            ("hunter2", "no private key in PEM"),
            ("{\"a\":1}", "no JWK"),
            (r#"{"kty":"EC","crv":"P-256","x":"f83O","y":"x_FE"}"#, "public key"),
            (r#"{"kty":"EC","crv":"P-256","x":"f83O","d":"x_FE"}"#, "lacks a member"),
            (r#"{"kty":"EC","crv":"P-256","x":"f83O","y":"f83O","d":"x_FE"}"#, "damaged"),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"f83O","d":"x_FE"}"#, "damaged"),
            (&file!("p256").replace("MIG", "MIH"), "damaged"),
        ] {
            match unusable(text) {
                Unusable::Unread(said) => assert!(said.contains(why), "{said}, not {why}"),
                Unusable::Kind(said) => panic!("{said}, not {why}"),
            }
        }
        assert!(ClientKey::read(&[0xff, 0xfe]).is_err());
    }

    /// RFC 7518 §3.3 wants 2048 bits; a curve or a scheme that cannot be used is named, so that nobody has to guess.
    #[test]
    fn a_key_of_the_wrong_kind_is_named() {
        for (text, why) in [
            (file!("p384"), "P-384"),
            (file!("p384-sec1"), "P-384"),
            (file!("k256"), "secp256k1"),
            (file!("rsa-1024"), "less than 2048 bits"),
            (file!("rsa-pss"), "PSS"),
            (file!("x25519"), "another kind"),
            (r#"{"kty":"oct","k":"c2VjcmV0"}"#, "shared secret"),
            (r#"{"kty":"EC","crv":"P-521","x":"a","y":"a","d":"a"}"#, "P-521"),
            (&RSA_JWK.replacen('{', r#"{"alg":"ES256","#, 1), "for ES256"),
            (&RSA_JWK.replacen('{', r#"{"alg":"PS256","#, 1), "for PS256"),
        ] {
            match unusable(text) {
                Unusable::Kind(said) => assert!(said.contains(why), "{said}, not {why}"),
                Unusable::Unread(said) => panic!("{said}, not {why}"),
            }
        }
    }
}
