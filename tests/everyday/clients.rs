//! How long the packages for other languages are: small enough to be read before they are trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most that a client may have, and the most that its adapters for the libraries of its language may have.
const MOST: usize = 150;

/// Lines with something in them that is neither a comment nor a text that documents.
fn lines_of_code(path: &Path) -> usize {
    let text = fs::read_to_string(path).expect("a source");
    let (mut count, mut documents) = (0, None);
    for line in text.lines().map(str::trim) {
        if let Some(end) = documents {
            documents = (!line.ends_with(end)).then_some(end);
            continue;
        }
        let begins =
            [("\"\"\"", "\"\"\""), ("/*", "*/")].into_iter().find(|(begin, _)| line.starts_with(begin));
        if let Some((begin, end)) = begins {
            let is_whole = line.len() >= begin.len() + end.len() && line.ends_with(end);
            documents = (!is_whole).then_some(end);
        } else if !line.is_empty() && !line.starts_with("//") && !line.starts_with('#') {
            count += 1;
        }
    }
    assert_eq!(documents, None, "{}: a comment without an end", path.display());
    count
}

/// The sources that somebody who installs the package runs.
fn sources(dir: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a package").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|is| is == end)).collect();
    found.sort();
    found
}

#[test]
fn clients_in_other_languages_are_short() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages");
    let page = fs::read_to_string(packages.join("../docs/protocol.md")).expect("a page");
    for (name, dir, end, client) in [
        ("Python", "python/src/keyfob", "py", "__init__.py"),
        ("Node", "node", "js", "index.js"),
        ("Go", "go", "go", "keyfob.go"),
        ("Ruby", "ruby/lib", "rb", "keyfob.rb"),
    ] {
        let (clients, adapters): (Vec<_>, Vec<_>) =
            sources(&packages.join(dir), end).into_iter().partition(|path| path.ends_with(client));
        assert_eq!(clients.len(), 1, "{name}");
        let count = |all: &[PathBuf]| all.iter().map(|path| lines_of_code(path)).sum::<usize>();
        let (client, adapters) = (count(&clients), count(&adapters));
        assert!(client > 50 && client <= MOST, "{name}: the client has {client} lines");
        assert!(adapters <= MOST, "{name}: the adapters have {adapters} lines");
        let row = format!(
            "| {name} | {client} | {} |",
            if adapters == 0 { "-".to_owned() } else { adapters.to_string() }
        );
        assert!(page.contains(&row), "docs/protocol.md should say: {row}");
    }
}
