//! Credentials, which are issued once and stored only as digests.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(crate) const AUTHORIZATION_CODE: &str = "kdev-ac-";
pub(crate) const ACCESS_TOKEN: &str = "kdev-at-";
pub(crate) const REFRESH_TOKEN: &str = "kdev-rt-";
pub(crate) const DEVICE_TOKEN: &str = "kdev-dt-";
pub(crate) const DEVICE_CODE: &str = "kdev-dc-";
pub(crate) const TRANSACTION: &str = "kdev-tx-";

/// SHA-256 of a credential: what state and state file keep instead of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(credential: &str) -> Self {
        Self(Sha256::digest(credential.as_bytes()).into())
    }

    /// Compares without telling by its duration where the difference is.
    pub(crate) fn matches(&self, credential: &str) -> bool {
        self.0.ct_eq(&Self::of(credential).0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        URL_SAFE_NO_PAD.encode(digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| "a digest is base64url without padding")?;
        octets.try_into().map(Self).map_err(|_| "a digest has 32 octets")
    }
}

/// The system has no randomness to give: nothing unguessable can be issued.
#[derive(Debug)]
pub(crate) struct NoEntropy;

/// A new credential with 256 random bits (RFC 6749 §10.10 asks for 160).
pub(crate) fn mint(prefix: &str) -> Result<String, NoEntropy> {
    let mut octets = [0_u8; 32];
    getrandom::fill(&mut octets).map_err(|_| NoEntropy)?;
    let mut text = String::with_capacity(prefix.len() + 43);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(octets, &mut text);
    Ok(text)
}

/// A public random number, for ids that may be shown and logged.
pub(crate) fn public_id() -> Result<u64, NoEntropy> {
    getrandom::u64().map_err(|_| NoEntropy)
}

/// `BASE64URL(SHA256(verifier))`, compared in constant time (RFC 7636 §4.6).
pub(crate) fn verifier_matches(verifier: &str, challenge: &str) -> bool {
    let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    computed.as_bytes().ct_eq(challenge.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_matches() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(verifier_matches(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!verifier_matches(verifier, verifier));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of("x");
        assert_eq!(Digest::try_from(String::from(digest)), Ok(digest));
        assert!(Digest::try_from("AAAA".to_owned()).is_err());
    }
}
