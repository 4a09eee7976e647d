//! `--rejected LOGIN:GENERATION`.
#![no_main]

use keyfob_core::login::record::Generation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Generation>() {
        Ok(generation) => {
            let written = generation.to_string();
            assert_eq!(written.parse(), Ok(generation.clone()));
            assert_eq!(written.split(':').next(), text.split(':').next(), "the login id, to the letter");
            assert!(text.is_ascii() && generation.login().len() == 32);
        }
        Err(why) => keyfob_fuzz::assert_harmless(why),
    }
});
