//! The form on disk of a sealed login: which key store has the key, and the ciphertext.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{
    digest::{self, hex},
    login::stored::{Unreadable, versioned},
};

/// The form of a sealed login. Plain records are of an earlier one, so that a keyfob that cannot open a sealed
/// login takes it for a newer version's instead of for a damaged one.
pub const VERSION: u32 = 2;

/// How a sealed login begins, and no record.
const MARK: &[u8] = br#"{"sealed":"#;

/// Where the key that logins are sealed with is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStore {
    /// The kernel's keyring of this user, which forgets when the machine restarts.
    Kernel,
    /// The Secret Service of the desktop: GNOME Keyring, `KWallet`, `KeePassXC`.
    SecretService,
}

impl KeyStore {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kernel, Self::SecretService];

    /// The word in the configuration, in files and in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::SecretService => "secret-service",
        }
    }

    /// The one of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.word() == word)
    }

    /// Its name in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the kernel keyring",
            Self::SecretService => "the Secret Service",
        }
    }
}

impl fmt::Display for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Names one key in a key store, at random: nothing else has ever been sealed under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// A new one from 16 random octets.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }

    /// The id a file names, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        digest::is_hex(text, 16).then(|| Self(text.into()))
    }

    /// Its text: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A sealed login. Nothing in it is secret without the key.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Where the key is kept.
    pub store: KeyStore,
    /// Which key it is.
    pub key: KeyId,
    /// Used once with this key.
    pub nonce: [u8; 12],
    /// The record, followed by the tag that shows whether it is whole.
    pub sealed: Vec<u8>,
}

/// The members, in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sealed: KeyStore,
    version: u32,
    key: String,
    nonce: String,
    #[serde(rename = "box")]
    text: String,
}

/// What the login in `file` is sealed under besides the key: it opens nowhere else.
#[must_use]
pub fn bound_to(file: &str) -> Vec<u8> {
    format!("keyfob/seal/v1 {file}").into_bytes()
}

impl Envelope {
    /// Whether these bytes are meant to be one.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MARK)
    }

    /// The bytes for the disk, ending in a newline.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            sealed: self.store,
            version: VERSION,
            key: self.key.0.clone(),
            nonce: BASE64.encode(self.nonce),
            text: BASE64.encode(&self.sealed),
        };
        #[expect(clippy::expect_used, reason = "texts and a number into memory: there is nothing to fail")]
        let mut bytes = serde_json::to_vec(&stored).expect("an envelope is JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Envelope::encode`] wrote. Blanks behind it are nothing.
    ///
    /// # Errors
    /// As [`crate::Record::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let stored: Stored = versioned(bytes, VERSION)?;
        let octets = |text: &str| BASE64.decode(text).map_err(|_| Unreadable::Corrupt("is not base64url"));
        Ok(Self {
            store: stored.sealed,
            key: KeyId::parse(&stored.key).ok_or(Unreadable::Corrupt("names no key"))?,
            nonce: octets(&stored.nonce)?.try_into().map_err(|_| Unreadable::Corrupt("has no nonce"))?,
            sealed: octets(&stored.text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;
    use alloc::vec;

    fn envelope() -> Envelope {
        Envelope {
            store: KeyStore::SecretService,
            key: KeyId::new([7; 16]),
            nonce: [1; 12],
            sealed: vec![2; 40],
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = envelope().encode();
        assert!(Envelope::is_one(&bytes) && bytes.ends_with(b"\n"));
        bytes.extend([b' '; 100]);
        assert_eq!(Envelope::decode(&bytes), Ok(envelope()));
    }

    /// Never damage: a damaged file is set aside.
    #[test]
    fn who_cannot_open_it_takes_it_for_a_newer_ones() {
        assert_eq!(Record::decode(&envelope().encode()).expect_err("sealed"), Unreadable::Newer(VERSION));
        let newer = String::from_utf8(envelope().encode()).unwrap().replace("\"version\":2", "\"version\":3");
        assert_eq!(Envelope::decode(newer.as_bytes()), Err(Unreadable::Newer(3)));
    }

    #[test]
    fn damaged_sealed_file_is_detected() {
        let whole = String::from_utf8(envelope().encode()).unwrap();
        for (from, to) in [
            ("\"key\":\"0", "\"key\":\"x"),
            ("secret-service", "somewhere"),
            ("\"nonce\":\"AQ", "\"nonce\":\""),
            ("\"box\":\"A", "\"box\":\"!"),
            ("}\n", ""),
            ("}\n", "} {}"),
            ("\"version\":2", "\"version\":2,\"version\":2"),
        ] {
            let changed = whole.replace(from, to);
            assert_ne!(changed, whole, "{from}");
            assert!(
                matches!(Envelope::decode(changed.as_bytes()), Err(Unreadable::Corrupt(_))),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn stores_have_one_word_each() {
        for store in KeyStore::ALL {
            assert_eq!(KeyStore::from_word(store.word()), Some(store));
            let written = serde_json::to_string(&store).unwrap();
            assert_eq!(written, alloc::format!("\"{}\"", store));
        }
    }

    #[test]
    fn a_plain_record_is_no_envelope() {
        assert!(!Envelope::is_one(b"{\"version\": 1}") && Envelope::is_one(br#"{"sealed":"kernel"}"#));
        assert_eq!(KeyId::new([0xab; 16]).as_str(), "ab".repeat(16));
    }

    #[test]
    fn each_key_store_has_a_name_of_its_own() {
        let names = KeyStore::ALL.map(KeyStore::name);
        assert!(names[0] != names[1] && names.iter().all(|name| name.starts_with("the ")), "{names:?}");
    }
}
