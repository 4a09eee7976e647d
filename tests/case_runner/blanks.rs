//! The placeholders in a case: `{base}`, `{access:ada}` and the others, replaced with the values of this run.

use std::{cell::RefCell, collections::BTreeMap};

use keyfob_dev::{DevServer, Minted, Workload};

/// What fills the blanks of one case. Whatever is a credential is remembered for the search.
pub(crate) struct Blanks<'s> {
    server: &'s DevServer,
    words: BTreeMap<&'static str, String>,
    minted: RefCell<BTreeMap<String, Minted>>,
    saved: RefCell<BTreeMap<String, String>>,
    secrets: RefCell<BTreeMap<String, String>>,
    /// Makes this run's invented secrets unlike every other's.
    salt: String,
}

impl<'s> Blanks<'s> {
    pub(crate) fn new(server: &'s DevServer, home: &str, salt: &str) -> Self {
        let words = [
            ("base", server.base_url()),
            ("port", server.port().to_string()),
            ("home", home.to_owned()),
            ("keyfob", keyfob_testkit::program().to_owned()),
        ];
        Self {
            server,
            words: words.into(),
            minted: RefCell::default(),
            saved: RefCell::default(),
            secrets: RefCell::default(),
            salt: salt.to_owned(),
        }
    }

    /// The text with its placeholders replaced. Other text in braces stays, so that scripts stay readable.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            match after.split_once('}').and_then(|(blank, rest)| Some((self.value(blank)?, rest))) {
                Some((value, after)) => {
                    filled.push_str(&value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled + rest
    }

    fn value(&self, blank: &str) -> Option<String> {
        if let Some(word) = self.words.get(blank) {
            return Some(word.clone());
        }
        let (kind, name) = blank.split_once(':')?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        // A longer name would be a part of the secret that ordinary text may hold.
        assert!(name.len() <= 8, "{{{blank}}}: at most eight characters");
        let email = || format!("{name}@example.com");
        let value = match kind {
            "access" => self.mint(name).access_token,
            "refresh" => self.mint(name).refresh_token,
            "key" => api_key(name, &self.salt),
            "identity" => self.identity(name),
            // With what encodings change, and a beginning that no other secret has.
            "secret" => format!("{}/{name}+%={}", &self.salt[..12], &self.salt[12..]),
            "email" => return Some(email()),
            "account" => return Some(keyfob_dev::account_uuid(&email())),
            "organization" => return Some(keyfob_dev::organization_uuid(&email())),
            "saved" => {
                let saved = self.saved.borrow().get(name).cloned();
                return Some(saved.unwrap_or_else(|| panic!("no run has saved {{saved:{name}}}")));
            }
            _ => return None,
        };
        self.secrets.borrow_mut().insert(blank.to_owned(), value.clone());
        Some(value)
    }

    /// An identity token of this workload for the provider, the same at every place.
    fn identity(&self, name: &str) -> String {
        let known = self.secrets.borrow().get(&format!("identity:{name}")).cloned();
        known.unwrap_or_else(|| {
            let workload = Workload { subject: name.to_owned(), ..Workload::of(&self.server.base_url()) };
            self.server.identity_token(&workload).expect("a token")
        })
    }

    fn mint(&self, name: &str) -> Minted {
        let mint = || {
            let email = format!("{name}@example.com");
            self.server.mint(&email, "user:profile user:inference").expect("tokens")
        };
        self.minted.borrow_mut().entry(name.to_owned()).or_insert_with(mint).clone()
    }

    pub(crate) fn save(&self, name: &str, value: &str) {
        self.saved.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// Every credential that filled a blank, by the blank.
    pub(crate) fn secrets(&self) -> BTreeMap<String, String> {
        self.secrets.borrow().clone()
    }
}

/// The API key of `{key:NAME}`, which the provider knows as NAME's.
pub(crate) fn api_key(name: &str, salt: &str) -> String {
    format!("{salt}{name}")
}

/// The names of all `{key:NAME}` in a text.
pub(crate) fn keys_in(text: &str) -> Vec<&str> {
    text.split("{key:").skip(1).filter_map(|rest| rest.split('}').next()).collect()
}
