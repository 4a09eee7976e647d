//! Searches for secrets where none may be: verbatim, in base64 and percent-encoded, whole or in part.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// So much of a secret in a row counts as the secret.
const PART: usize = 12;
/// The prefixes of the development provider's credentials.
const MINTED: [&str; 6] = ["kdev-at-", "kdev-rt-", "kdev-ac-", "kdev-dt-", "kdev-dc-", "kdev-tx-"];

/// One way a text might appear.
struct Form {
    name: &'static str,
    text: String,
}

/// The secret verbatim and in common encodings.
fn forms(secret: &str) -> Vec<Form> {
    let mut forms = vec![
        Form { name: "as it is", text: secret.into() },
        Form { name: "percent-encoded", text: percent(secret, |b| b.is_ascii_alphanumeric()) },
        Form { name: "percent-encoded", text: percent(secret, |b| b.is_ascii_alphanumeric()).to_lowercase() },
        Form { name: "percent-encoded", text: percent(secret, |_| false) },
        Form { name: "in hexadecimal", text: secret.bytes().map(|b| format!("{b:02x}")).collect() },
        Form { name: "as a list of octets", text: format!("{:?}", secret.as_bytes()) },
        Form { name: "backwards", text: secret.chars().rev().collect() },
    ];
    // Base64 of a longer text with the secret in it: three alignments, without what the neighbours decide.
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted = engine.encode(format!("{}{secret}", &"___"[..shift]));
            let inner = &shifted[[0, 2, 3][shift]..shifted.len().saturating_sub(2)];
            forms.push(Form { name: "in base64", text: inner.into() });
        }
    }
    forms
}

fn percent(text: &str, plain: fn(u8) -> bool) -> String {
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Everything that was written anywhere, and everything that must not be in it.
#[derive(Default)]
pub(crate) struct Search {
    secrets: BTreeMap<String, String>,
    places: Vec<(String, Vec<u8>)>,
}

impl Search {
    pub(crate) fn secret(&mut self, name: impl Into<String>, secret: &str) {
        if secret.len() >= PART {
            self.secrets.insert(name.into(), secret.to_owned());
        }
    }

    /// Every text in a file of the store that could be a credential.
    pub(crate) fn store(&mut self, path: &Path) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap_or_default())
        else {
            return;
        };
        for (name, value) in value.as_object().into_iter().flatten() {
            let holds = name.ends_with("_token") || name == "key";
            if let Some(text) = value.as_str().filter(|_| holds) {
                self.secret(format!("{name} of {}", path.display()), text);
            }
        }
    }

    /// A place where no secret may be.
    pub(crate) fn place(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.places.push((name.into(), content.into()));
    }

    /// Every file below a directory, except the store and the case's own files.
    pub(crate) fn files(&mut self, home: &Path, known: &[PathBuf]) {
        let mut dirs = vec![home.to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).expect("a directory of ours") {
                let path = entry.expect("an entry").path();
                let kind = fs::symlink_metadata(&path).expect("an entry").file_type();
                if kind.is_dir() && !is_store(&path) {
                    dirs.push(path);
                } else if kind.is_file() && !known.contains(&path) {
                    self.place(path.display().to_string(), fs::read(&path).expect("a file of ours"));
                }
            }
        }
    }

    /// The findings, by secret and place; never the secret itself.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut parts: HashMap<Vec<u8>, (&str, &'static str)> = HashMap::new();
        for (name, secret) in &self.secrets {
            for form in forms(secret) {
                for part in form.text.as_bytes().windows(PART) {
                    parts.entry(part.to_vec()).or_insert((name, form.name));
                }
            }
        }
        // Most places have nothing that even begins like one: that is seen without looking into the map.
        let mut begins = vec![false; 1 << 16];
        let start = |part: &[u8]| usize::from(part[0]) << 8 | usize::from(part[1]);
        parts.keys().for_each(|part| begins[start(part)] = true);
        let known = |content: &[u8]| {
            let mut windows = content.windows(PART).filter(|window| begins[start(window)]);
            windows.find_map(|window| parts.get(window)).copied()
        };
        let mut found = Vec::new();
        for (place, content) in &self.places {
            if let Some((name, form)) = known(content).or_else(|| minted(content)) {
                found.push(format!("LEAK: {name} stands {form} in {place}"));
            }
        }
        found
    }
}

/// A token that was minted without the test's knowledge is recognised by its prefix.
fn minted(content: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = String::from_utf8_lossy(content);
    MINTED.into_iter().find_map(|prefix| {
        let form = forms(prefix).into_iter().filter(|form| form.name != "backwards");
        form.into_iter().find(|form| text.contains(&form.text)).map(|form| (prefix, form.name))
    })
}

/// Where credentials are expected, in any home.
fn is_store(path: &Path) -> bool {
    ["logins", "devices", "run/helper"].iter().any(|store| path.ends_with(store))
}

/// A search that finds nothing proves nothing unless it could have found something.
mod tests {
    use super::*;

    const SECRET: &str = "9f/ada+%=QxZrT4mW";

    fn found(secret: &str, place: &str) -> Vec<String> {
        let mut search = Search::default();
        search.secret("the planted one", secret);
        search.place("a place", place);
        search.leaks()
    }

    #[test]
    fn a_planted_leak_is_found_in_every_dress() {
        for form in forms(SECRET) {
            let leaks = found(SECRET, &format!("before {} after", form.text));
            assert_eq!(leaks.len(), 1, "{}: {}", form.name, form.text);
            assert!(!leaks[0].contains("QxZr"), "the search itself does not tell it");
        }
        for text in ["ab", "abc", "abcd"] {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let place = engine.encode(format!("{text}{SECRET} and more"));
                assert_eq!(found(SECRET, &place).len(), 1, "{place}");
            }
        }
    }

    #[test]
    fn a_part_of_a_secret_is_a_leak() {
        assert_eq!(found(SECRET, &SECRET[3..3 + PART]).len(), 1);
        assert!(found(SECRET, &SECRET[3..2 + PART]).is_empty(), "less could be a word");
        assert!(found(SECRET, "a fingerprint 0123456789ab, a user dev@example.com").is_empty());
    }

    /// A token that the provider minted in between, and that no client collected, is found by its prefix.
    #[test]
    fn minted_tokens_are_known_by_their_beginning() {
        assert_eq!(found("unrelated-secret", "token=kdev-rt-Zm9vYmFy").len(), 1);
        assert_eq!(found("unrelated-secret", &STANDARD_NO_PAD.encode("x kdev-at-Zm9vYmFy y")).len(), 1);
    }

    #[test]
    fn a_leaking_file_is_found_and_the_store_is_not_searched() {
        let home = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(home.path().join("keyfob/logins")).expect("ours");
        fs::write(home.path().join("keyfob/logins/a.json"), SECRET).expect("ours");
        fs::write(home.path().join("given"), SECRET).expect("ours");
        let leaks = |known: &[PathBuf]| {
            let mut search = Search::default();
            search.secret("the planted one", SECRET);
            search.files(home.path(), known);
            search.leaks()
        };
        let given = [home.path().join("given")];
        assert!(leaks(&given).is_empty());
        fs::write(home.path().join("log.txt"), format!("x{SECRET}")).expect("ours");
        assert_eq!(leaks(&given).len(), 1);
    }
}
