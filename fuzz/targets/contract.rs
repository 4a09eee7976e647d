//! The contract's variables. Each line is a letter, which selects the variable, and its value; a canary is appended to
//! secrets.
#![no_main]

use keyfob_core::contract::{self, Kind, REFERENCED, State, VARIABLES, Variable, Variables};
use keyfob_fuzz::{CANARY, assert_tellable};
use libfuzzer_sys::fuzz_target;

fn rows() -> Vec<&'static Variable> {
    VARIABLES.iter().chain(REFERENCED).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let rows = rows();
    let mut pairs = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        let Some((letter, value)) = line.split_first() else { continue };
        let row = rows[usize::from(letter.wrapping_sub(b'a')) % rows.len()];
        let text = std::str::from_utf8(value).ok().filter(|text| !text.contains("kfz7"));
        let secret = row.kind == Kind::Secret && !value.is_empty();
        let text = text.map(|text| if secret { format!("{text}{CANARY}") } else { text.to_owned() });
        pairs.push((row.name.to_owned(), text));
    }
    let variables: Variables = pairs.into_iter().collect();
    let reading = contract::read(&variables);
    assert_eq!(reading.entries.len(), rows.len());
    let mut invalid = 0;
    for entry in &reading.entries {
        match &entry.state {
            State::Unset => assert!(variables.text(entry.variable.name).is_none()),
            State::Invalid { .. } => invalid += 1,
            State::Set { value, fingerprint } => {
                let secret = entry.variable.kind == Kind::Secret;
                assert_eq!((value.is_none(), fingerprint.is_some()), (secret, secret));
                if let Some(value) = value {
                    normal(entry.variable, value);
                }
            }
        }
    }
    assert!(reading.problems.len() >= invalid, "a problem is not told");
    reading.problems.iter().for_each(assert_tellable);
    assert!(!format!("{reading:?}").contains(CANARY), "a secret is in Debug");
});

/// A normalised value normalises to itself.
fn normal(variable: &Variable, value: &str) {
    let again = contract::read(&[(variable.name.to_owned(), Some(value.to_owned()))].into_iter().collect());
    let state = again.entries.into_iter().find(|entry| entry.variable.name == variable.name);
    let expected = State::Set { value: Some(value.to_owned()), fingerprint: None };
    assert_eq!(state.map(|entry| entry.state), Some(expected), "{}", variable.name);
}
