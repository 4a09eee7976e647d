//! The system's key stores, and the keys they keep.

use std::fmt;

use keyfob_core::login::sealed::{KeyId, KeyStore};
use zeroize::Zeroizing;

/// A key that logins are sealed with. Wiped when it is dropped.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; 32]>);

impl WrappingKey {
    /// This one.
    #[must_use]
    pub fn new(octets: Zeroizing<[u8; 32]>) -> Self {
        Self(octets)
    }

    /// The one a key store handed out, if it is one.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        (octets.len() == key.len()).then(|| key.copy_from_slice(octets))?;
        Some(Self(key))
    }

    /// The octets, for the key store that keeps them.
    #[must_use]
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(…)")
    }
}

/// Why a key store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTrouble {
    /// What it did instead, to be read behind its name.
    pub why: String,
    /// Why, as a type.
    pub cause: keyfob_core::Cause,
}

/// The system's key stores. Asked only where a login is sealed, or is to be.
pub trait Keys: Send + Sync {
    /// The key of this id. `None`: the key store answers, and has no such key.
    ///
    /// # Errors
    /// It is not there, locked, or does not answer in a few seconds.
    fn fetch(&self, store: KeyStore, id: &KeyId) -> Result<Option<WrappingKey>, KeyTrouble>;
    /// Gives it a key to keep.
    ///
    /// # Errors
    /// As [`Keys::fetch`].
    fn keep(&self, store: KeyStore, id: &KeyId, key: &WrappingKey) -> Result<(), KeyTrouble>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", WrappingKey::new(Zeroizing::new([9; 32]))), "WrappingKey(…)");
        assert!(WrappingKey::read(&[9; 31]).is_none());
    }
}
