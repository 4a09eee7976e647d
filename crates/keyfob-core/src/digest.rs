//! Names made of hashes, and hexadecimal.

use alloc::string::String;
use core::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal, two digits an octet.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

/// Whether this is what [`hex`] makes of so many octets.
pub(crate) fn is_hex(text: &str, octets: usize) -> bool {
    text.len() == 2 * octets && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A name of 16 hexadecimal digits for several texts. Each is hashed behind its length, so that no two lists of texts
/// run together into one name.
pub fn name_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_documented_hash_of_lengths_and_texts() {
        // printf '\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\2bc' | sha256sum | cut -c1-16
        assert_eq!(name_of(["a", "bc"]), "3fafa1cf2f19a7c1");
        assert_ne!(name_of(["ab", "c"]), name_of(["a", "bc"]));
    }

    #[test]
    fn hexadecimal_is_lower_case_and_whole() {
        assert_eq!(hex(&[0x00, 0x9f, 0xff]), "009fff");
        assert!(is_hex("009fff", 3));
        for wrong in ["009FFF", "009ff", "009ffff", "009ffg", ""] {
            assert!(!is_hex(wrong, 3), "{wrong}");
        }
    }
}
