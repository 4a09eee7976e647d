//! The public keys of a provider (RFC 7517), and the algorithms they are for.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use crate::json;

/// A family of signatures (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5: what a provider uses that says nothing else.
    RsaPkcs1,
    /// RSASSA-PSS.
    RsaPss,
    /// ECDSA on the curve of the hash's own size.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

/// The hash of a signature. Ed25519 has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A signature algorithm that can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// The family.
    pub scheme: Scheme,
    /// The hash.
    pub hash: Hash,
}

impl Algorithm {
    pub(super) fn of(name: &str) -> Option<Self> {
        let (scheme, hash) = match name {
            "RS256" => (Scheme::RsaPkcs1, Hash::Sha256),
            "RS384" => (Scheme::RsaPkcs1, Hash::Sha384),
            "RS512" => (Scheme::RsaPkcs1, Hash::Sha512),
            "PS256" => (Scheme::RsaPss, Hash::Sha256),
            "PS384" => (Scheme::RsaPss, Hash::Sha384),
            "PS512" => (Scheme::RsaPss, Hash::Sha512),
            "ES256" => (Scheme::Ecdsa, Hash::Sha256),
            "ES384" => (Scheme::Ecdsa, Hash::Sha384),
            // RFC 9864 §2.2 gives the curve a separate name.
            "EdDSA" | "Ed25519" => (Scheme::Ed25519, Hash::Sha512),
            _ => return None,
        };
        Some(Self { scheme, hash })
    }
}

/// A public key of the provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) id: Option<String>,
    pub(super) only_for: Option<Algorithm>,
    pub(super) key: PublicKey,
}

/// Its numbers, big-endian.
#[derive(Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA (RFC 7518 §6.3.1), without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The exponent.
        exponent: Vec<u8>,
    },
    /// A point on P-256, uncompressed: 4, x, y.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed: 4, x, y.
    P384(Vec<u8>),
    /// An Ed25519 key (RFC 8037 §2).
    Ed25519(Vec<u8>),
}

/// Reads a JWK Set (RFC 7517 §5). Keys of kinds, uses, sizes and algorithms keyfob does not know are left out.
///
/// # Errors
/// When it is not one.
pub fn keys(body: &[u8]) -> Result<Vec<Key>, &'static str> {
    let set: Map<String, Value> = json::strict(body)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("has no `keys`")?;
    Ok(keys.iter().filter_map(key).collect())
}

/// One entry. Its numbers are numbers: how many zeros stand before them, and in which alphabet they were written, makes
/// no other key of it.
fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let only_for = match text("alg") {
        None => None,
        Some(name) => Some(Algorithm::of(name)?),
    };
    let octets = |name: &str| octets(text(name)?).filter(|n| !n.is_empty());
    let number = |name: &str| {
        let octets = octets(name)?;
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        Some(octets[zeros..].to_vec())
    };
    let point = |size: usize| {
        let coordinate = |name: &str| {
            let number = number(name)?;
            let zeros = size.checked_sub(number.len())?;
            Some([vec![0; zeros], number].concat())
        };
        Some([vec![4], coordinate("x")?, coordinate("y")?].concat())
    };
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (modulus, exponent) = (number("n")?, number("e")?);
            // RFC 7518 §3.3 wants 2048 bits; a smaller one is no proof, and a larger one is not computed with.
            let fits = (256..=1024).contains(&modulus.len()) && (1..=4).contains(&exponent.len());
            fits.then_some(PublicKey::Rsa { modulus, exponent })?
        }
        ("EC", Some("P-256")) => PublicKey::P256(point(32)?),
        ("EC", Some("P-384")) => PublicKey::P384(point(48)?),
        ("OKP", Some("Ed25519")) => PublicKey::Ed25519(octets("x").filter(|x| x.len() == 32)?),
        _ => return None,
    };
    Some(Key { id: text("kid").map(ToString::to_string), only_for, key })
}

/// Base64 in either alphabet, padded or not: RFC 7518 §2 wants one, providers use all.
#[must_use]
pub fn octets(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text = text.replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::json;

    /// RFC 7518 §6: the same number is the same key, however many zeros and whatever alphabet it was written with.
    #[test]
    fn the_same_number_is_the_same_key() {
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
        let modulus = [&[0xfb; 255][..], &[1]].concat();
        let rsa = |n: String, e: &str| {
            let set = json!({"keys": [{"kty": "RSA", "n": n, "e": e}]});
            keys(set.to_string().as_bytes()).unwrap()
        };
        let plain = rsa(BASE64_URL_SAFE_NO_PAD.encode(&modulus), "AQAB");
        assert_eq!(plain.len(), 1);
        for (n, e) in [
            (BASE64_URL_SAFE_NO_PAD.encode([&[0], &*modulus].concat()), "AAEAAQ"),
            (BASE64_URL_SAFE.encode(&modulus), "AQAB"),
            (BASE64_STANDARD.encode(&modulus), "AQAB"),
        ] {
            assert_eq!(rsa(n.clone(), e), plain, "{n}");
        }
        assert!(rsa(BASE64_URL_SAFE_NO_PAD.encode(&modulus[128..]), "AQAB").is_empty(), "1024 bits");
        let ec = |x: &[u8]| {
            let set = json!({"keys": [{"kty": "EC", "crv": "P-256",
                "x": BASE64_URL_SAFE_NO_PAD.encode(x), "y": BASE64_URL_SAFE_NO_PAD.encode([9; 32])}]});
            keys(set.to_string().as_bytes()).unwrap()
        };
        let whole = ec(&[&[0], &[7; 31][..]].concat());
        assert_eq!((whole.len(), &ec(&[7; 31])), (1, &whole));
        assert_eq!(ec(&[&[0; 4], &[7; 31][..]].concat()), whole);
        assert!(ec(&[7; 33]).is_empty());
    }

    /// RFC 7518 §6.2, RFC 8037 §2: each curve has points of one size.
    #[test]
    fn every_curve_is_known_by_its_size() {
        let read = |kty: &str, crv: &str, size: usize| {
            let number = BASE64_URL_SAFE_NO_PAD.encode(vec![9; size]);
            let set = json!({"keys": [{"kty": kty, "crv": crv, "x": number, "y": number}]});
            keys(set.to_string().as_bytes()).unwrap().pop().map(|key| key.key)
        };
        let point = |size: usize| [vec![4], vec![9; 2 * size]].concat();
        assert_eq!(read("EC", "P-256", 32), Some(PublicKey::P256(point(32))));
        assert_eq!(read("EC", "P-384", 48), Some(PublicKey::P384(point(48))));
        assert_eq!(read("OKP", "Ed25519", 32), Some(PublicKey::Ed25519(vec![9; 32])));
        assert_eq!(read("OKP", "Ed25519", 31), None);
        assert_eq!(read("EC", "P-384", 49), None);
    }
}
