//! The documented surface of the library is the one in `docs/public-api.txt`, so that a change of it is seen in review.
//!
//! Read from the text of the sources, as rustfmt leaves it: each name that `lib.rs` exports, its fields or variants, its
//! derives, its methods. What is `#[doc(hidden)]` does not count. After a meant change:
//! `KEYFOB_WRITE=1 cargo test -p keyfob --test public_surface`.
#![expect(clippy::disallowed_methods, reason = "a test, and its own switch")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each file without its tests, by its path.
fn sources(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
            found.insert(path, code.to_owned());
        }
    }
}

/// The names that a file exports, each with its path and the name it goes out by.
fn exports(text: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    for statement in text.split("\npub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        leaves(&statement.replace('\n', " "), &[], &mut found);
    }
    found
}

fn leaves(tree: &str, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let path: Vec<String> = before.iter().cloned().chain(segments(path)).collect();
        let group = group.trim_end().strip_suffix('}').expect("a closed group");
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        leaves(&group[start..at], &path, found);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
    } else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path: Vec<String> = before.iter().cloned().chain(segments(path)).collect();
        let last = path.last().expect("a name").clone();
        found.push((path, if name.is_empty() { last } else { name.to_owned() }));
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The line that begins a definition of this name, without its visibility.
fn defines(line: &str, name: &str) -> bool {
    let Some(item) = line.trim_start().strip_prefix("pub ") else { return false };
    ["struct ", "enum ", "type ", "fn ", "const fn ", "trait "].iter().any(|kind| {
        item.strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// The attributes above a line.
fn above<'t>(lines: &[&'t str], at: usize) -> Vec<&'t str> {
    let part = |line: &&&str| line.trim_start().starts_with("#[") || line.trim_start().starts_with("///");
    let lines = lines[..at].iter().rev().take_while(part);
    lines.filter(|line| line.trim_start().starts_with("#[")).map(|line| line.trim()).collect()
}

/// A signature that rustfmt broke, in one line.
fn joined(lines: &[&str], at: usize) -> String {
    let mut text = String::new();
    for line in &lines[at..] {
        text.push_str(line.trim());
        if line.trim_end().ends_with(['{', ';', ',', '}'])
            && text.matches('(').count() == text.matches(')').count()
        {
            break;
        }
        text.push(' ');
    }
    let text = text.trim_end_matches([' ', '{', ',', ';']).replace("( ", "(").replace(", )", ")");
    text.replace(" where Self: Sized", "")
}

/// Whether an `impl` is one of this type, and of which trait.
fn implements(line: &str, name: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?.trim_end_matches('{').trim();
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest };
    let (of, subject) = rest.split_once(" for ").map_or(("", rest), |(of, subject)| (of, subject));
    (subject.split('<').next()? == name).then(|| of.to_owned())
}

fn describe(sources: &BTreeMap<PathBuf, String>, path: &[String], name: &str) -> String {
    let own = path.last().expect("a name");
    let mut files: Vec<&PathBuf> = sources
        .iter()
        .filter(|(_, text)| text.lines().any(|line| defines(line, own)))
        .map(|(file, _)| file)
        .collect();
    // Several types have this name: the one meant is in the room that the path names.
    if files.len() > 1 {
        let room = match path {
            [crate_name, _] if crate_name == "keyfob_core" => {
                let text = &sources[&root().join("crates/keyfob-core/src/lib.rs")];
                let exported = exports(text).into_iter().find(|(_, known)| known == own);
                exported.map_or(Vec::new(), |(path, _)| path)
            }
            path => path.to_vec(),
        };
        let rooms = &room[..room.len().saturating_sub(1)];
        files.retain(|file| {
            let file = file.to_string_lossy();
            rooms.iter().filter(|room| *room != "keyfob_core").all(|room| file.contains(room.as_str()))
        });
    }
    assert_eq!(files.len(), 1, "{} is defined in {files:?}", path.join("::"));
    let text = &sources[files[0]];
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| defines(line, own)).expect("it was found here");
    let mut told = format!("{name}\n");
    for attribute in above(&lines, at) {
        if attribute.starts_with("#[derive") || attribute == "#[non_exhaustive]" {
            let _ = writeln!(told, "    {attribute}");
        }
    }
    let _ = writeln!(told, "    {}", joined(&lines, at));
    let is_public = |line: &str, all: bool| line.starts_with("    pub ") || all && line.starts_with("    ");
    let is_enum = lines[at].contains("enum ");
    if lines[at].ends_with('{') && !lines[at].contains("fn ") {
        for next in at + 1..lines.len() {
            let line = lines[next];
            if line == "}" {
                break;
            }
            let word = line.trim_start();
            let is_variant = is_enum && word.starts_with(|c: char| c.is_ascii_uppercase());
            let hidden = above(&lines, next).contains(&"#[doc(hidden)]");
            if (is_public(line, false) || is_variant) && !hidden {
                let _ = writeln!(told, "        {}", word.trim_end_matches(','));
            }
        }
    }
    for (file, text) in sources {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(of) = implements(line, own) else { continue };
            // A namesake's, where that is defined.
            let other = file != files[0] && text.lines().any(|line| defines(line, own));
            if other || crate_of(file) != crate_of(files[0]) || above(&lines, at).contains(&"#[doc(hidden)]")
            {
                continue;
            }
            if !of.is_empty() {
                let _ = writeln!(told, "    impl {of}");
                continue;
            }
            for next in at + 1..lines.len() {
                if lines[next] == "}" {
                    break;
                }
                if is_public(lines[next], false) && !above(&lines, next).contains(&"#[doc(hidden)]") {
                    let _ = writeln!(told, "    {}", joined(&lines, next));
                }
            }
        }
    }
    told
}

fn crate_of(file: &Path) -> String {
    let file = file.to_string_lossy();
    if file.contains("/keyfob-core/") { "keyfob-core".into() } else { "keyfob".into() }
}

fn surface() -> String {
    let mut all = BTreeMap::new();
    for name in ["keyfob", "keyfob-core"] {
        sources(&root().join("crates").join(name).join("src"), &mut all);
    }
    all.retain(|file, _| !file.to_string_lossy().contains("/simulated/"));
    let front = all[&root().join("crates/keyfob/src/lib.rs")].clone();
    let mut names = exports(&front);
    names.push((vec!["testing".into(), "Simulation".into()], "testing::Simulation".into()));
    names.sort_by(|a, b| a.1.cmp(&b.1));
    let mut told = String::from(
        "# The documented surface of the crate `keyfob`. Held by crates/keyfob/tests/public_surface.rs.\n",
    );
    for (path, name) in &names {
        let _ = write!(told, "\n{}", describe(&all, path, name));
    }
    let modules: Vec<&str> = front.lines().filter(|line| line.starts_with("pub mod ")).collect();
    let _ = write!(told, "\n# Modules\n{}\n", modules.join("\n"));
    told
}

#[test]
fn the_public_surface_is_the_one_that_was_reviewed() {
    let page = root().join("docs/public-api.txt");
    let now = surface();
    if std::env::var_os("KEYFOB_WRITE").is_some() {
        fs::write(&page, &now).expect("the page is ours");
    }
    let reviewed = fs::read_to_string(&page).expect("the snapshot");
    let differs = now.lines().zip(reviewed.lines()).find(|(now, then)| now != then);
    assert!(
        now == reviewed,
        "the public surface has changed: {differs:?}; if that is meant, KEYFOB_WRITE=1 writes docs/public-api.txt"
    );
}

/// The sections of the surface: each name with its lines.
fn sections(surface: &str) -> Vec<(&str, Vec<&str>)> {
    let all = surface.split("\n\n").filter(|section| !section.starts_with('#'));
    all.filter_map(|section| {
        let mut lines = section.lines();
        Some((lines.next()?, lines.map(str::trim).collect()))
    })
    .collect()
}

/// Types that callers may match or build exhaustively, each for a reason.
const CLOSED: &[(&str, &str)] = &[("Timestamp", "a number of seconds, and nothing else")];

/// What is exported can grow a field or a variant without breaking a caller. The lints `exhaustive_enums` and
/// `exhaustive_structs` would demand it of everything that `internals` reaches as well, which is no interface and is matched
/// exhaustively on purpose; so it is held here.
#[test]
fn every_exported_type_may_grow() {
    let surface = surface();
    for (name, lines) in sections(&surface) {
        let is_enum = lines.iter().any(|line| line.starts_with("pub enum "));
        let has_fields = lines.iter().any(|line| {
            let Some(item) = line.strip_prefix("pub ") else { return false };
            item.starts_with("struct ") && item.contains("(pub ")
                || item.split_once(": ").is_some_and(|(field, _)| !field.contains([' ', '(']))
        });
        let is_open = lines.contains(&"#[non_exhaustive]");
        let is_closed = CLOSED.iter().any(|(closed, _)| *closed == name);
        assert!(!is_closed || is_enum || has_fields, "{name} needs no exception");
        if is_enum || has_fields {
            assert!(is_open != is_closed, "{name} should be #[non_exhaustive], or in CLOSED with a reason");
        }
    }
}

/// Names that signatures use and this crate does not export: those of the standard library.
const KNOWN: &[&str] = &[
    "Box",
    "Cow",
    "Display",
    "Duration",
    "Error",
    "ExitCode",
    "FnMut",
    "Fn",
    "From",
    "Into",
    "IntoIterator",
    "Item",
    "Iterator",
    "None",
    "Option",
    "OsString",
    "OwnedFd",
    "PathBuf",
    "Read",
    "Receiver",
    "Result",
    "Self",
    "Send",
    "Some",
    "String",
    "Sync",
    "Vec",
    "Write",
];

/// Whoever calls a method can name what it takes and returns.
#[test]
fn every_type_in_an_exported_signature_is_exported() {
    let surface = surface();
    let sections = sections(&surface);
    let exported: Vec<&str> =
        sections.iter().map(|(name, _)| name.rsplit("::").next().expect("a name")).collect();
    let renamed = [("Id", "ErrorId"), ("Kind", "ErrorKind")];
    for (name, lines) in &sections {
        for line in lines.iter().filter(|line| line.starts_with("pub ") && line.contains("fn ")) {
            let generics: Vec<&str> = line.split_once('<').map_or(Vec::new(), |(_, rest)| {
                rest.split_once('>')
                    .map_or(Vec::new(), |(names, _)| names.split([',', ':']).map(str::trim).collect())
            });
            for word in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
                let is_type =
                    word.starts_with(|c: char| c.is_ascii_uppercase()) && *word != word.to_uppercase();
                let goes_out =
                    renamed.iter().find(|(inner, _)| *inner == word).map_or(word, |(_, outer)| outer);
                let known = KNOWN.contains(&word) || exported.contains(&goes_out) || generics.contains(&word);
                assert!(!is_type || known, "{name}: `{line}` names {word}, which is not exported");
            }
        }
    }
}

/// The README's example is the one that is compiled as a documentation test of `lib.rs`.
#[test]
fn the_example_of_the_readme_is_compiled() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file of the repository");
    let readme = read("README.md");
    let shown =
        readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let lib = read("crates/keyfob/src/lib.rs");
    let block =
        lib.split("/// The example of the README").nth(1).and_then(|rest| rest.split("/// ```").nth(1));
    let compiled: String = block
        .expect("a documentation test")
        .lines()
        .skip(1)
        .map(|line| format!("{}\n", line.trim_start_matches("///").strip_prefix(' ').unwrap_or_default()))
        .collect();
    assert_eq!(shown, compiled);
    assert!(shown.contains("client.grant("), "it shows what the library is for");
}

/// The reader sees what it is for: an item, its fields, what is hidden, and what goes out by another name.
#[test]
fn the_reader_of_the_surface_sees_a_change() {
    let text = "\npub use a::{B as C, d::{E}};\n";
    let found = exports(text);
    assert_eq!(found[0].1, "C");
    assert_eq!(found[1].0.join("::"), "a::d::E");
    let file = "#[derive(Debug)]\npub struct B {\n    /// One.\n    pub one: u8,\n    #[doc(hidden)]\n    pub two: u8,\n}\n\nimpl B {\n    pub fn f(\n        &self,\n    ) -> u8 {\n    }\n    fn g() {}\n}\n#[doc(hidden)]\nimpl B {\n    pub fn h() {}\n}\n";
    let sources = BTreeMap::from([(PathBuf::from("/keyfob/src/a.rs"), file.to_owned())]);
    let told = describe(&sources, &["a".into(), "B".into()], "C");
    assert_eq!(
        told,
        "C\n    #[derive(Debug)]\n    pub struct B\n        pub one: u8\n    pub fn f(&self) -> u8\n"
    );
}
