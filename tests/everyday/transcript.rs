//! `docs/protocol.jsonl`: questions, answers and exit codes of `keyfob serve --stdio`, as they are fixed. What runs them is
//! given the questions, one after the other, and what it says is compared.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use keyfob_testkit::{Sandbox, token_requests};
use serde_json::{Map, Value};

/// Somebody who asks: the program itself, or a client of it.
pub(crate) trait Asker {
    /// Begins anew, with these variables besides.
    fn begin(&mut self, s: &Sandbox, variables: &BTreeMap<String, String>);
    /// Asks, and says what came. `None`: this one cannot ask that.
    fn ask(&mut self, question: &Value) -> Option<Value>;
    /// The same for a line that may be no question.
    fn say(&mut self, line: &str) -> Option<Value>;
    /// What is expected where this says that.
    fn expects(&self, answer: Value) -> Value;
    /// Ends. The exit code of the program, where it can be told.
    fn end(&mut self) -> Option<i32>;
}

/// What has been read so far: the words that stand for it, each for one value, and no two for the same.
#[derive(Default)]
struct Known(BTreeMap<String, String>);

impl Known {
    /// With what is known in the place of its words.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let mut text = text.clone();
                for (word, is) in self.0.iter().rev() {
                    text = text.replace(word, is);
                }
                text.into()
            }
            Value::Array(all) => all.iter().map(|one| self.filled(one)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.filled(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Why this is not what was expected.
    fn differs(&mut self, expected: &Value, said: &Value) -> Option<String> {
        match (expected, said) {
            (Value::String(word), said) if word == "$seconds" => said
                .as_i64()
                .is_none_or(|n| !(1..=1_000_000).contains(&n))
                .then(|| format!("{said} is no {word}")),
            (Value::String(word), said) if word == "$words" => {
                said.as_str().is_none_or(|text| text.len() <= 10).then(|| format!("{said} is no {word}"))
            }
            // Two of them may be the same.
            (Value::String(word), said) if word == "$time" => said
                .as_str()
                .is_none_or(|text| text.len() != 20 || !text.ends_with('Z'))
                .then(|| format!("{said} is no {word}")),
            (Value::String(text), Value::String(said)) => {
                let (before, word) = match text.find('$') {
                    Some(at) if !self.0.contains_key(&text[at..]) => text.split_at(at),
                    _ => return (self.filled(expected) != **said).then(|| format!("{said} is not {text}")),
                };
                let Some(value) = said.strip_prefix(before).filter(|value| value.len() > 4) else {
                    return Some(format!("{said} is no {text}"));
                };
                if let Some((other, _)) = self.0.iter().find(|(_, known)| *known == value) {
                    return Some(format!("{text} is what {other} was: {value}"));
                }
                self.0.insert(word.into(), value.into());
                None
            }
            (Value::Array(all), Value::Array(said)) if all.len() == said.len() => {
                all.iter().zip(said).find_map(|(one, said)| self.differs(one, said))
            }
            (Value::Object(members), Value::Object(said)) if members.keys().eq(said.keys()) => {
                members.iter().find_map(|(name, value)| self.differs(value, &said[name]))
            }
            (expected, said) => (expected != said).then(|| format!("{said} is not {expected}")),
        }
    }
}

pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.jsonl")
}

/// Runs it all. Returns how many questions were asked.
pub(crate) fn run(asker: &mut dyn Asker) -> usize {
    let s = Sandbox::new();
    let mut known = Known::default();
    known.0.insert("$api".into(), s.server.base_url());
    known.0.insert("$version".into(), env!("CARGO_PKG_VERSION").into());
    let text = fs::read_to_string(path()).expect("the transcript");
    let (mut is_begun, mut asked) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        let at = format!("{}:{}", path().display(), number + 1);
        let step: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{at}: {error}"));
        let profile = step["profile"].as_str().unwrap_or("default");
        match step["do"].as_str() {
            Some("sign in") => s.sign_in(profile, "ada@example.com"),
            Some("sign out") => drop(s.out(&["--profile", profile, "logout"])),
            Some("expire") => s.expire(),
            Some(other) => panic!("{at}: {other}"),
            None => {}
        }
        if let Some(code) = step["exit"].as_i64() {
            assert!(std::mem::take(&mut is_begun), "{at}");
            assert!(asker.end().is_none_or(|ended| i64::from(ended) == code), "{at}");
        }
        if step["answer"].is_null() {
            continue;
        }
        if !std::mem::replace(&mut is_begun, true) {
            asker.begin(&s, &serde_json::from_value(step["with"].clone()).unwrap_or_default());
        }
        let said = match step["line"].as_str() {
            Some(line) => asker.say(line),
            None => asker.ask(&known.filled(&step["question"])),
        };
        let Some(said) = said else { continue };
        asked += 1;
        if let Some(why) = known.differs(&asker.expects(step["answer"].clone()), &said) {
            panic!("{at}: {why}\n{line}\n{said}");
        }
    }
    assert_eq!(token_requests(&s.server), 4, "two sign-ins, a rejected token and one that ended");
    asked
}
