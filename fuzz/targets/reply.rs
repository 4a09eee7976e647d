//! Token-endpoint replies, and what they make of a record. The first three bytes choose the status, the type and
//! whether the request had a refresh token; the rest is the body.
#![no_main]

use keyfob_core::{Id, Record, Secret, Timestamp, login::refresh, oauth::token_response::{self, Outcome, Reply}};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const STATUS: [u16; 8] = [200, 400, 401, 302, 429, 503, 204, 500];
const TYPES: [Option<&str>; 4] =
    [Some("application/json"), Some("application/json; charset=utf-8"), Some("text/html"), None];
const STORED: &[u8] = include_bytes!("../seeds/record/whole");

fuzz_target!(|bytes: &[u8]| {
    let [status, kind, header, body @ ..] = bytes else { return };
    let reply = |body: &[u8]| Reply {
        status: STATUS[usize::from(status % 8)],
        content_type: TYPES[usize::from(kind % 4)].map(Into::into),
        retry_after: (header % 4 == 1).then(|| String::from_utf8_lossy(body).into_owned()),
        date: (header % 4 == 2).then(|| String::from_utf8_lossy(body).into_owned()),
        body: body.to_vec(),
    };
    let outcome = token_response::read(&reply(body));
    assert!(!format!("{outcome:?}").contains(keyfob_fuzz::CANARY) || says_canary(&outcome));
    match &outcome {
        Outcome::Granted(tokens) => {
            assert_eq!(reply(body).status, 200);
            let object: Value = serde_json::from_slice(body).expect("what was granted is JSON");
            holds(&object, "access_token", Some(&tokens.access_token));
            holds(&object, "refresh_token", tokens.refresh_token.as_ref());
            assert!(tokens.expires_in.is_none_or(|seconds| seconds > 0));
        }
        Outcome::Odd { why, refresh_token } => {
            assert_eq!(reply(body).status, 200);
            keyfob_fuzz::assert_harmless(why);
            if let Some(token) = refresh_token {
                salvaged(&reply, body, token);
            }
        }
        Outcome::InvalidGrant { why } => {
            let object: Value = serde_json::from_slice(body).expect("an error answer is JSON");
            assert_eq!(object["error"], "invalid_grant");
            keyfob_fuzz::assert_harmless(why);
        }
        Outcome::Refused { why, .. } | Outcome::Later { why } => keyfob_fuzz::assert_harmless(why),
    }
    renewal(&reply(body), &outcome);
});

/// The provider may repeat anything in the one word of its answer that is quoted.
fn says_canary(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Granted(tokens) => tokens.scope.as_ref().is_some_and(|s| s.to_string().contains("kfz7")),
        Outcome::Odd { why, .. } | Outcome::InvalidGrant { why } | Outcome::Later { why } => {
            why.contains("kfz7")
        }
        Outcome::Refused { why, .. } => why.contains("kfz7"),
    }
}

fn holds(object: &Value, member: &str, secret: Option<&Secret>) {
    match (&object[member], secret) {
        (Value::Null, None) => {}
        (Value::String(text), Some(secret)) => assert!(secret.same_as(text), "{member} is another one"),
        (value, secret) => panic!("{member}: {value} was read as {secret:?}"),
    }
}

/// A salvaged token is the only one there: with a second one before it there is none.
fn salvaged(reply: &dyn Fn(&[u8]) -> Reply, body: &[u8], token: &Secret) {
    let object: Value = serde_json::from_slice(body).expect("what is salvaged comes out of JSON");
    holds(&object, "refresh_token", Some(token));
    let brace = body.iter().position(|b| *b == b'{').expect("an object");
    let mut twice = body[..=brace].to_vec();
    twice.extend_from_slice(br#""refresh_token":"another","#);
    twice.extend_from_slice(&body[brace + 1..]);
    match token_response::read(&reply(&twice)) {
        Outcome::Odd { refresh_token: None, .. } => {}
        other => panic!("one of two was chosen: {other:?}"),
    }
}

/// Whatever comes, nothing is forgotten, and what is remembered survives the disk.
fn renewal(reply: &Reply, outcome: &Outcome) {
    let before = Record::decode(STORED).expect("the seed is a record");
    let (old, number) = (before.refresh_token.as_ref().map(Secret::duplicate), before.generation.number);
    let now = Timestamp(1_700_000_000);
    let after = refresh::renewed(before, reply, now, Some("0123456789ab".into()));
    let record = &after.record;
    let expected = match outcome {
        Outcome::Granted(tokens) => tokens.refresh_token.as_ref().or(old.as_ref()),
        Outcome::Odd { refresh_token, .. } => refresh_token.as_ref().or(old.as_ref()),
        _ => old.as_ref(),
    };
    #[expect(clippy::disallowed_methods, reason = "compared, not kept")]
    let same = expected.zip(record.refresh_token.as_ref()).is_some_and(|(a, b)| a.same_as(b.expose()));
    assert!(same, "the refresh token that works is lost");
    assert_eq!(after.error.is_none(), matches!(outcome, Outcome::Granted(_)));
    let replaced = match outcome {
        Outcome::Granted(_) => true,
        Outcome::Odd { refresh_token, .. } => refresh_token.is_some(),
        _ => false,
    };
    assert_eq!(record.generation.number, number + u64::from(replaced));
    assert_eq!(record.refused.is_some(), matches!(outcome, Outcome::InvalidGrant { .. }));
    if let Some(error) = &after.error {
        let parts = [error.what(), error.why(), error.advice()];
        parts.into_iter().for_each(keyfob_fuzz::assert_harmless);
        assert_eq!(error.id() == Id::LoginRefused, record.refused.is_some());
    }
    if let Some(cooldown) = &record.cooldown {
        assert!((0..=refresh::LONGEST_COOLDOWN).contains(&cooldown.until.since(now)));
    }
    let bytes = record.encode();
    assert_eq!(*Record::decode(&bytes).expect("a record").encode(), *bytes);
}
