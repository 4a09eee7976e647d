//! Escaping of external text.
#![no_main]

use keyfob_core::error::escape;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let once = escape(text);
    keyfob_fuzz::assert_harmless(&once);
    assert!(once.chars().count() <= 200 * "\\u{10ffff}".len() + 1);
    if text.chars().count() <= 200 && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        assert_eq!(once, text, "ordinary text stays as it is");
    }
});
