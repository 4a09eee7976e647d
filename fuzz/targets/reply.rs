//! Token-endpoint replies, and their effect on a record. The first three bytes select the status, the type and whether
//! the request had a refresh token; the rest is the body.
#![no_main]

use keyfob_core::{
    Id, ProviderTime, Record, Secret, Timestamp,
    login::refresh,
    oauth::{
        reply::Reply,
        token_response::{self, Verdict},
    },
};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

const STATUS: [u16; 8] = [200, 400, 401, 302, 429, 503, 204, 504];
const TYPES: [Option<&str>; 4] = [
    Some("application/json"),
    Some("application/x-www-form-urlencoded; charset=utf-8"),
    Some("text/html"),
    None,
];
const STORED: &[u8] = include_bytes!("../seeds/record/whole");

fuzz_target!(|bytes: &[u8]| {
    let [status, kind, header, body @ ..] = bytes else { return };
    let reply = Reply {
        status: STATUS[usize::from(status % 8)],
        content_type: TYPES[usize::from(kind % 4)].map(Into::into),
        retry_after: (header % 4 == 1).then(|| String::from_utf8_lossy(body).into_owned()),
        date: (header % 4 == 2).then(|| String::from_utf8_lossy(body).into_owned()),
        body: body.to_vec(),
        cut: (header % 4 == 3).then(|| "the line was cut".into()),
        ..Reply::default()
    };
    let (rotated, verdict) = token_response::read(&reply).open();
    let is_form = kind % 4 == 1;
    // The law: what was rotated in an answer is never thrown away, whatever else is odd.
    if let Some(only) = (!is_form).then(|| only_refresh_token(body)).flatten() {
        assert!(rotated.as_ref().is_some_and(|token| token.same_as(&only)), "a rotated token is thrown away");
    }
    match &verdict {
        Verdict::Granted(tokens) => {
            assert!((200..=299).contains(&reply.status));
            assert!(tokens.expires_in.is_none_or(|seconds| seconds >= 0));
        }
        Verdict::Odd { why } => keyfob_fuzz::assert_harmless(why),
        Verdict::Refused(said) | Verdict::Later(said) | Verdict::Unknown(said) => {
            keyfob_fuzz::assert_harmless(&said.why);
        }
    }
    // A login ends by a whole word of the provider alone.
    if let Verdict::Refused(said) = &verdict
        && said.asks_for_a_person([])
    {
        assert!(said.word.is_some());
        assert!(!matches!(TYPES[usize::from(kind % 4)], Some("text/html")), "a page has no words");
    }
    renewal(&reply, rotated.as_ref(), &verdict);
});

/// The one well-formed refresh token at the top of a JSON object, by another reader than the one that is tried.
fn only_refresh_token(body: &[u8]) -> Option<String> {
    struct Found;
    impl<'de> Visitor<'de> for Found {
        type Value = Vec<Option<String>>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(key) = map.next_key::<String>()? {
                if key == "refresh_token" {
                    found.push(map.next_value::<serde_json::Value>()?.as_str().map(Into::into));
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = (&mut reader).deserialize_map(Found).ok()?;
    reader.end().ok()?;
    match found.as_slice() {
        [Some(only)] => Secret::visible(only).is_ok().then(|| only.clone()),
        _ => None,
    }
}

/// Whatever comes, nothing is forgotten, and what is remembered survives the disk.
fn renewal(reply: &Reply, rotated: Option<&Secret>, verdict: &Verdict) {
    let before = Record::decode(STORED).expect("the seed is a record");
    let (old, number) = (before.refresh_token.as_ref().map(Secret::duplicate), before.generation.number());
    let now = Timestamp(1_700_000_000);
    let after = refresh::renewed(before, reply, now, Some("0123456789ab".into()));
    let record = &after.record;
    #[expect(clippy::disallowed_methods, reason = "compared, not kept")]
    let same = |a: Option<&Secret>, b: Option<&Secret>| a.zip(b).is_some_and(|(a, b)| a.same_as(b.expose()));
    assert!(same(rotated.or(old.as_ref()), record.refresh_token.as_ref()), "the token that works is lost");
    let granted = matches!(verdict, Verdict::Granted(_));
    let replaced = granted || rotated.is_some_and(|new| !same(Some(new), old.as_ref()));
    assert_eq!(record.generation.number(), number + u64::from(replaced));
    if record.refused.is_some() {
        assert!(
            !replaced && matches!(verdict, Verdict::Refused(_)),
            "a login is refused by the provider's word alone"
        );
    }
    if record.unknown.is_some() {
        assert!(!replaced && matches!(verdict, Verdict::Unknown(_)));
    }
    if let Some(error) = &after.error {
        let parts = [error.what(), error.why()];
        parts.into_iter().for_each(keyfob_fuzz::assert_harmless);
        assert_eq!(error.id() == Id::LoginRefused, record.refused.is_some());
    }
    if let Some(cooldown) = &record.cooldown {
        assert!((0..=refresh::LONGEST_COOLDOWN).contains(&cooldown.until.since(cooldown.since)));
        assert_ne!(cooldown.since, ProviderTime(0));
    }
    let bytes = record.encode();
    assert_eq!(*Record::decode(&bytes).expect("a record").encode(), *bytes);
}
