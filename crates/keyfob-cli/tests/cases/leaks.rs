//! Where a secret must not be, in any of the forms it could take.

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// The forms a text is looked for in: itself, percent-encoded, base64 at each of the three places it may begin, and
/// its larger half, for whoever cuts.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = secret
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    let mut forms = vec![secret.to_owned(), percent, secret[..secret.len() * 3 / 4].to_owned()];
    for shift in 0..3 {
        let text = BASE64_STANDARD.encode([&vec![b' '; shift], secret.as_bytes()].concat());
        // Without what the neighbours take part in.
        forms.push(text[4..text.len() - 4].to_owned());
    }
    forms
}

/// The first of these secrets that stands in this text, if one does: its name.
pub(crate) fn found<'s>(
    text: &str,
    secrets: impl Iterator<Item = (&'s String, &'s String)>,
) -> Option<&'s str> {
    let mut secrets = secrets;
    secrets.find(|(_, secret)| forms(secret).iter().any(|form| text.contains(form))).map(|(name, _)| &**name)
}

/// Everything that lies below a directory, but for what is meant to hold secrets: the store, what remembers a helper's
/// key, and what the case itself wrote.
pub(crate) fn files(home: &Path, given: &dyn Fn(&Path) -> bool) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut dirs = vec![home.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory of ours").flatten() {
            let path = entry.path();
            let below = path.strip_prefix(home).expect("below it").to_owned();
            let text = below.to_string_lossy().into_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if !text.contains("logins/")
                && !text.contains("helper/")
                && !text.contains("devices")
                && !given(&below)
            {
                let bytes = fs::read(&path).expect("a file of ours");
                all.push((text, String::from_utf8_lossy(&bytes).replace('\0', "\n")));
            }
        }
    }
    all
}

#[test]
fn each_form_is_found() {
    let secrets =
        std::collections::BTreeMap::from([("a".to_owned(), "kdev-at-Zt4xW9qLs2+/=Hk7pQ2".to_owned())]);
    let secret = &secrets["a"];
    let found = |text: &str| found(text, secrets.iter());
    for text in [
        format!("error: {secret}."),
        format!(
            "Bearer%20{}",
            secret.replace('-', "%2D").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        ),
        BASE64_STANDARD.encode(format!("oauth2:{secret}")),
        BASE64_STANDARD.encode(format!("ada@example.com:{secret}\n")),
        format!("{}…", &secret[..secret.len() - 2]),
    ] {
        assert_eq!(found(&text), Some("a"), "{text}");
    }
    assert_eq!(found("kdev-at- is how they begin"), None);
}
