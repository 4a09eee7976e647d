//! The public key of a client (RFC 7523 §3), as it is registered: PEM, a JWK or a JWK Set.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

/// A key, and the id it was registered under.
#[derive(Clone)]
pub(crate) struct PublicKey {
    id: Option<String>,
    numbers: Numbers,
}

#[derive(Clone)]
enum Numbers {
    /// An uncompressed point: 4, x, y.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

/// How a SubjectPublicKeyInfo (RFC 5280 §4.1) of either curve begins; what follows is the key (RFC 5480 §2, RFC 8410 §4).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// rsaEncryption with its NULL (RFC 3279 §2.3.1).
const RSA: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl PublicKey {
    /// Every key in this text. `None`: there is none that can be used.
    pub(crate) fn read(text: &str) -> Option<Vec<Self>> {
        let text = text.trim();
        let keys = if text.starts_with('{') {
            let value: Value = serde_json::from_str(text).ok()?;
            match value.get("keys").and_then(Value::as_array) {
                Some(keys) => keys.iter().map(of_jwk).collect::<Option<Vec<_>>>()?,
                None => vec![of_jwk(&value)?],
            }
        } else {
            let body =
                text.split_once("-----BEGIN PUBLIC KEY-----")?.1.split_once("-----END PUBLIC KEY-----")?.0;
            let der = BASE64_STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()?;
            vec![Self { id: None, numbers: of_der(&der)? }]
        };
        (!keys.is_empty()).then_some(keys)
    }

    /// Whether it may have signed under this header: the algorithm is the key's own and no other (RFC 8725 §3.1), and the
    /// id is the one it was registered under, where both say one.
    pub(crate) fn is_meant(&self, algorithm: &str, id: Option<&str>) -> bool {
        let own = match self.numbers {
            Numbers::P256(_) => "ES256",
            Numbers::Ed25519(_) => "EdDSA",
            Numbers::Rsa { .. } => "RS256",
        };
        own == algorithm && !matches!((id, &self.id), (Some(id), Some(own)) if id != own)
    }

    pub(crate) fn made(&self, signed: &[u8], signature: &[u8]) -> bool {
        let verdict =
            match &self.numbers {
                Numbers::P256(point) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
                }
                Numbers::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
                Numbers::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature),
            };
        verdict.is_ok()
    }
}

fn of_jwk(jwk: &Value) -> Option<PublicKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    // RFC 7517 §9.2: nobody hands in the private one.
    if jwk.get("d").is_some() {
        return None;
    }
    let numbers = match (text("kty")?, text("crv")) {
        ("EC", Some("P-256")) => Numbers::P256([vec![4], number("x")?, number("y")?].concat()),
        ("OKP", Some("Ed25519")) => Numbers::Ed25519(number("x")?),
        ("RSA", _) => Numbers::Rsa { modulus: number("n")?, exponent: number("e")? },
        _ => return None,
    };
    Some(PublicKey { id: text("kid").map(str::to_owned), numbers })
}

fn of_der(der: &[u8]) -> Option<Numbers> {
    if let Some(point) = der.strip_prefix(&P256) {
        return Some(Numbers::P256(point.to_vec()));
    }
    if let Some(key) = der.strip_prefix(&ED25519_HEAD) {
        return Some(Numbers::Ed25519(key.to_vec()));
    }
    let (0x30, content, _) = element(der)? else { return None };
    let (0x03, bits, _) = element(content.strip_prefix(&RSA)?)? else { return None };
    // After the number of unused bits: RSAPublicKey (RFC 8017 A.1.1).
    let (0x30, key, _) = element(bits.strip_prefix(&[0])?)? else { return None };
    let (0x02, modulus, rest) = element(key)? else { return None };
    let (0x02, exponent, _) = element(rest)? else { return None };
    let number = |octets: &[u8]| octets.strip_prefix(&[0]).unwrap_or(octets).to_vec();
    Some(Numbers::Rsa { modulus: number(modulus), exponent: number(exponent) })
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(*rest.first()?) * 256 + usize::from(*rest.get(1)?), &rest[2..]),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}
