//! The names of the profiles of the logins in a directory, for shell completion, which needs nothing else.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use keyfob_core::login::record::Key;
use serde::Deserialize;

use super::examine::is_record;

/// Enough for the members of a record up to its profile, and too little to reach a token
/// (`login/stored.rs` of the core gives the order in which they are written).
const BEGINNING: u64 = 200;
/// How much of a profile's name stands in the name of its file.
const SHORTENED: usize = 32;

/// The profiles, each as often as it has logins. Opens no sealed login, reads no token, and takes no lock; what cannot be
/// read is left out.
#[must_use]
pub fn profiles(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let paths = paths.filter(|path| is_record(path) && !is_federated(path));
    paths.filter_map(|path| of_name(&path).or_else(|| of_beginning(&path).ok()?)).collect()
}

/// Whether it holds what an identity token was exchanged for: that belongs to no profile.
fn is_federated(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(Key::FEDERATED.as_bytes()))
}

/// The profile in a file's name, unless the name was made of another: with every odd character `_`, and shortened.
fn of_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let (profile, _) = stem.rsplit_once('-')?;
    let profile = profile.strip_prefix(Key::SEEDED).unwrap_or(profile);
    let is_whole = !profile.is_empty() && !profile.contains('_') && profile.len() < SHORTENED;
    is_whole.then(|| profile.to_owned())
}

/// The profile in the beginning of a record that is not sealed.
fn of_beginning(path: &Path) -> io::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Line {
        profile: String,
    }
    if !path.symlink_metadata()?.is_file() {
        return Ok(None);
    }
    let mut beginning = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut beginning)?;
    let beginning = String::from_utf8_lossy(&beginning);
    let line = beginning.lines().map(str::trim).find(|line| line.starts_with("\"profile\""));
    let member = line.and_then(|line| line.strip_suffix(','));
    Ok(member
        .and_then(|member| serde_json::from_str::<Line>(&format!("{{{member}}}")).ok())
        .map(|line| line.profile))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn key(profile: &str, seed: Option<&str>) -> Key {
        Key {
            federation: None,
            profile: profile.into(),
            issuer: "https://a.b".into(),
            client_id: "c".into(),
            seed: seed.map(str::to_owned),
        }
    }

    #[test]
    fn names_are_read_without_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let longest = "x".repeat(63) + "+";
        for profile in ["work", "seed", "ada@company.com", "a-b", &longest] {
            // As the record is written, with the shortest of everything that stands before the tokens.
            let text = format!(
                "{{\n  \"version\": 1,\n  \"login\": \"{}\",\n  \"generation\": {},\n  \"profile\": \"{profile}\",\n",
                "0".repeat(32),
                u64::MAX
            );
            assert!(text.len() <= BEGINNING as usize, "{}", text.len());
            fs::write(dir.path().join(format!("{}.json", key(profile, None).stem())), text).unwrap();
        }
        fs::write(dir.path().join(format!("{}.json", key("ci", Some("s")).stem())), "").unwrap();
        let federated = Key { federation: Some("f".into()), ..key("federation", None) };
        fs::write(dir.path().join(format!("{}.json", federated.stem())), "").unwrap();
        fs::write(dir.path().join(format!("{}.lock", key("none", None).stem())), "").unwrap();
        fs::write(
            dir.path().join(format!("{}.json", key("of.sealed", None).stem())),
            "{\"sealed\":\"kernel\"",
        )
        .unwrap();
        let mut found = profiles(dir.path());
        found.sort();
        assert_eq!(found, ["a-b", "ada@company.com", "ci", "seed", "work", &longest]);
        assert_eq!(profiles(&dir.path().join("nothing")), Vec::<String>::new());
    }

    /// The first octets of a real record hold its profile and none of its secrets.
    #[test]
    fn the_beginning_ends_before_the_tokens() {
        let record = keyfob_core::Record::decode(
            br#"{"version":1,"login":"00000000000000000000000000000000","generation":1,"profile":"p","environment":"e","issuer":"https://a.b","client_id":"c","endpoints":{"authorize":"https://a.b/a","token":"https://a.b/t"},"scopes":"","access_token":"ACCESS","refresh_token":"REFRESH","issued_at":0,"expires_at":null}"#,
        );
        let bytes = record.expect("a record").encode();
        let beginning = String::from_utf8_lossy(&bytes[..BEGINNING as usize]).into_owned();
        assert!(beginning.contains("\"profile\": \"p\"") && !beginning.contains("ACCESS"), "{beginning}");
    }
}
