//! File contents in memory.

use std::{
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The content of a file, cheap to copy and to hash. Blanks at its end are counted, and a reader is handed at
/// most a few of them: they are space reserved for something else, and a reader of JSON ignores them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes {
    pub(super) text: Arc<[u8]>,
    pub(super) blanks: usize,
    digest: u64,
}

impl Bytes {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let text = bytes.trim_suffix_blanks();
        let blanks = bytes.len() - text.len();
        let mut hasher = DefaultHasher::new();
        (text, blanks).hash(&mut hasher);
        Self { text: text.into(), blanks, digest: hasher.finish() }
    }

    /// A copy as a reader gets it.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.text.to_vec();
        bytes.resize(bytes.len() + self.blanks.min(4), b' ');
        bytes
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.blanks == 0
    }
}

trait TrimBlanks {
    fn trim_suffix_blanks(&self) -> &Self;
}

impl TrimBlanks for [u8] {
    fn trim_suffix_blanks(&self) -> &Self {
        // By the page first: reserved space is mostly blanks, and is read often.
        const PAGE: [u8; 4096] = [b' '; 4096];
        let mut end = self.len();
        while end >= PAGE.len() && self[end - PAGE.len()..end] == PAGE {
            end -= PAGE.len();
        }
        let end = self[..end].iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
        &self[..end]
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes and {} blanks", self.text.len(), self.blanks)
    }
}

/// How far a write came before its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Torn {
    /// The file was created and nothing else.
    Created,
    /// So many quarters of it, then whatever was there before.
    Quarters(u8),
    /// All of it, but what was longer before has not been cut off.
    Tail,
}
