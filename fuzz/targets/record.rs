//! Store files: each is either a record that survives a round trip to disk, or damage that is reported without quoting
//! it.
#![no_main]

use keyfob_core::{
    Record,
    login::{
        sealed::{self, Envelope},
        stored::Unreadable,
    },
};
use libfuzzer_sys::fuzz_target;

#[expect(clippy::disallowed_methods, reason = "looked for where it must not be")]
fn check(record: &Record) {
    let debug = format!("{record:?}");
    for secret in [&record.access_token, &record.refresh_token].into_iter().flatten() {
        assert!(secret.expose().bytes().all(|b| (0x21..=0x7e).contains(&b)));
        assert!(!secret.expose().contains(keyfob_fuzz::CANARY) || !debug.contains(secret.expose()));
    }
    let generation = record.generation.to_string();
    assert_eq!(generation.parse(), Ok(record.generation.clone()), "what `token --json` says is read back");
}

/// A sealed one is no record, and is never taken for a damaged one by who cannot open it.
fn check_sealed(bytes: &[u8]) {
    match Envelope::decode(bytes) {
        Ok(envelope) => {
            let written = envelope.encode();
            assert!(Envelope::is_one(&written));
            assert_eq!(Envelope::decode(&written), Ok(envelope), "what was written is not read");
            assert!(matches!(Record::decode(&written), Err(Unreadable::Newer(sealed::VERSION))));
        }
        Err(Unreadable::Corrupt(why)) => keyfob_fuzz::assert_harmless(why),
        Err(Unreadable::Newer(version)) => assert!(version > sealed::VERSION),
    }
}

fuzz_target!(|bytes: &[u8]| {
    check_sealed(bytes);
    let record = match Record::decode(bytes) {
        Ok(record) => record,
        Err(Unreadable::Corrupt(why)) => return keyfob_fuzz::assert_harmless(why),
        Err(Unreadable::Newer(version)) => return assert!(version > keyfob_core::login::stored::VERSION),
    };
    check(&record);
    let written = record.encode();
    let again =
        Record::decode(&written).unwrap_or_else(|why| panic!("what was written is not read: {why:?}"));
    assert_eq!(*again.encode(), *written, "writing what was read changes it");
    assert_eq!(again.generation, record.generation);
    let stays = |a: &Option<keyfob_core::Secret>, b: &Option<keyfob_core::Secret>| match (a, b) {
        #[expect(clippy::disallowed_methods, reason = "compared, not kept")]
        (Some(a), Some(b)) => a.same_as(b.expose()),
        (None, None) => true,
        _ => false,
    };
    assert!(stays(&record.access_token, &again.access_token));
    assert!(stays(&record.refresh_token, &again.refresh_token));
});
