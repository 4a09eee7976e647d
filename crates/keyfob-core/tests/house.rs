//! Laws of the house that no type can hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Cause,
    contract::{self, REFERENCED, VARIABLES},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages() -> Vec<PathBuf> {
    let in_directory = |dir: PathBuf| {
        let entries = fs::read_dir(dir).expect("a directory of the workspace");
        entries.map(|entry| entry.expect("an entry").path())
    };
    let all = [".", "docs", "docs/how-to"].into_iter().flat_map(|dir| in_directory(root().join(dir)));
    all.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What pip installs for the tests comes from the registry alone: a directory of the machine on which the list was made, in an option or
/// in a comment, is none of anybody else. Every version has its source as well, whose sum lets a machine without a wheel check it.
#[test]
fn requirements_name_no_place_and_have_sums() {
    for list in ["packages/python/tests/requirements.txt", "packages/python/tests/types.txt"] {
        let text = fs::read_to_string(root().join(list)).expect("a list of requirements");
        let joined = text.replace("\\\n", " ");
        let lines: Vec<&str> = joined.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines.len() > 10, "{list}");
        for line in lines {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            assert!(name.contains("==") && !name.contains('/'), "{list}: {line}");
            let sums: Vec<&str> = words.collect();
            assert!(sums.iter().all(|word| word.starts_with("--hash=sha256:")), "{list}: {line}");
            assert!(sums.len() > 1, "{list}: {name} has one file, which one registry alone may have");
        }
    }
}

/// What a page links to is there, and so is the heading.
#[test]
fn links_lead_somewhere() {
    let anchors = |text: &str| -> Vec<String> {
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let headings = text.lines().filter(|line| line.starts_with('#'));
        let anchor =
            |line: &str| line.trim_start_matches('#').trim().chars().filter(kept).collect::<String>();
        headings.map(|line| anchor(line).to_lowercase().replace(' ', "-")).collect()
    };
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        // Pictures come for both colour schemes, which only HTML can say.
        let pictures = text.split(" src=\"").skip(1).chain(text.split(" srcset=\"").skip(1));
        for link in links.chain(pictures.filter_map(|rest| rest.split('"').next())) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            assert!(target.exists(), "{} links to {link}", page.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).expect("a page"));
                assert!(there.iter().any(|known| known == anchor), "{} links to {link}", page.display());
            }
        }
    }
}

/// What a page says a promise is held by, exists: source files by the end of their path, tests by their name.
#[test]
fn pages_name_what_exists() {
    let mut files = Vec::new();
    for directory in ["benches", "crates", "fuzz/targets", "tests"] {
        sources(&root().join(directory), &mut files);
    }
    let tests: String = files.iter().map(|file| fs::read_to_string(file).expect("a source file")).collect();
    let mut missing = Vec::new();
    for page in pages().iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(page).expect("a page");
        for word in text.split('`').skip(1).step_by(2) {
            let file = word.replacen("core/", "keyfob-core/src/", usize::from(word.starts_with("core/")));
            let is_file = word.ends_with(".rs") && !word.contains(' ');
            if is_file && !files.iter().any(|known| known.ends_with(&file)) {
                missing.push(format!("{} in {}", word, page.display()));
            }
        }
        for row in text.lines().filter(|_| page.ends_with("SECURITY.md")) {
            let held_by = row.trim_end_matches('|').rsplit('|').next().unwrap_or("");
            let is_test =
                |word: &&str| word.contains('_') && !word.contains(|c: char| c.is_uppercase() || c == '.');
            for test in held_by.split('`').skip(1).step_by(2).filter(is_test) {
                if !tests.contains(&format!("fn {test}(")) {
                    missing.push(format!("{test} in {}", page.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

/// The table of conformance and its tests are the same list: a row for each test, by the name of its module.
#[test]
fn every_row_of_the_conformance_page_is_a_test() {
    let page = fs::read_to_string(root().join("docs/conformance.md")).expect("a page");
    let mut files = Vec::new();
    sources(&root().join("tests/providers/conformance"), &mut files);
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a source file"));
    let source: String = texts.collect();
    let tests: Vec<_> = source
        .split("#[test]\n")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix("fn ")?.split('(').next())
        .collect();
    let (mut plan, mut rows) = ("", Vec::new());
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            plan = heading.split(':').next().unwrap_or("");
        }
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [module, _, test, verdict] = cells[..]
            && module.starts_with("`oidcc-")
        {
            let (module, test) = (module.trim_matches('`'), test.trim_matches('`'));
            assert_eq!(module.replace('-', "_"), test, "a test has the name of its module");
            assert!(tests.contains(&test), "{test} is no test");
            assert!(verdict.starts_with("passed") || verdict.starts_with("skipped: "), "{module}: {verdict}");
            rows.push((plan, test));
        }
    }
    let count = |plan: &str| rows.iter().filter(|(known, _)| *known == plan).count();
    assert_eq!((count("Basic"), count("Config"), count("Refresh")), (14, 6, 5), "each plan is whole");
    let forgotten: Vec<_> =
        tests.iter().filter(|test| rows.iter().all(|(_, known)| known != *test)).collect();
    assert!(forgotten.is_empty(), "without a row: {forgotten:?}");
}

/// Commands in which a secret would be an argument, which every user of the machine can read. A secret goes through a pipe, or
/// into a variable of the shell's own.
fn secrets_in_arguments(line: &str) -> bool {
    let line = line.replace("\\\"", "\"");
    let given = |name: &str| {
        line.match_indices(&format!("$({name}")).any(|(at, _)| {
            let before = line[..at].trim_end_matches('"');
            let word = before.rsplit([' ', '\t', ';', '(', '`']).next().unwrap_or("");
            let is_assignment = word.ends_with('=')
                && word.trim_end_matches('=').chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            // A page may speak of the words themselves.
            !is_assignment && !before.ends_with('`')
        })
    };
    let to_curl = line.contains("curl")
        && ["Bearer $", "-H \"$", "-H $", "--header \"$"].iter().any(|bad| line.contains(bad));
    let is_flag = ["--with-token $", "--with-token \"$", "--token ", "--client-secret ", "--password "];
    to_curl || given("keyfob header") || given("keyfob token") || is_flag.iter().any(|bad| line.contains(bad))
}

/// No page, help text, hint, example or test page teaches to put a secret into an argument.
#[test]
fn nobody_is_taught_to_put_a_secret_into_an_argument() {
    for bad in [
        "curl -H \"$(keyfob header)\" URL",
        "curl -H \\\"$(keyfob header)\\\" URL",
        "curl -H \"Authorization: Bearer $(keyfob token)\" URL",
        "curl -H \"Authorization: Bearer $token\" URL",
        "my-tool --key=$(keyfob token)",
        "my-tool $(keyfob token)",
        "keyfob login --with-token \"$TOKEN\"",
    ] {
        assert!(secrets_in_arguments(bad), "{bad}");
    }
    for good in [
        "keyfob header | curl -H @- URL",
        "token=$(keyfob token --min-valid 300)",
        "export API_TOKEN=\"$(keyfob token)\"",
        "`$(keyfob token)` waits until",
        "keyfob login --with-token refresh < refresh-token.txt",
    ] {
        assert!(!secrets_in_arguments(good), "{good}");
    }
    let mut files = pages();
    for directory in ["crates", "benches"] {
        sources(&root().join(directory), &mut files);
    }
    for file in files.iter().filter(|file| !file.ends_with("tests/house.rs")) {
        let text = fs::read_to_string(file).expect("a file of the workspace");
        for (number, line) in text.lines().enumerate() {
            assert!(!secrets_in_arguments(line), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

/// A comment sends nobody to a page that is not in the repository.
#[test]
fn comments_cite_pages_that_exist() {
    let mut files = Vec::new();
    for directory in ["benches", "crates", "fuzz/targets", "tests"] {
        sources(&root().join(directory), &mut files);
    }
    let mut missing = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a source file");
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("//")) {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c));
            for page in words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md")) {
                let beside = file.with_file_name(page);
                let places = [root().join(page), root().join("docs").join(page), beside];
                if !page.starts_with('.') && !places.iter().any(|place| place.exists()) {
                    missing.push(format!("{page} in {}", file.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

/// One table: no other file of the product spells a variable's name out in its code, but for advice and help
/// that people read. What those spell out is a name of the table.
#[test]
fn only_the_table_names_variables() {
    const PROSE: [&str; 3] = ["contract/names.rs", "contract/table.rs", "keyfob-core/src/error.rs"];
    let is_prose = |file: &Path| {
        PROSE.iter().any(|end| file.ends_with(end))
            || file.parent().is_some_and(|dir| dir.ends_with("src/args"))
    };
    let mut files = Vec::new();
    for name in ["keyfob-core", "keyfob", "keyfob-cli", "keyfob-serve"] {
        sources(&root().join("crates").join(name).join("src"), &mut files);
    }
    let mut names: Vec<&str> = VARIABLES.iter().chain(REFERENCED).map(|v| v.name).collect();
    names.extend(contract::secret_names().chain(contract::HOST_REFRESHES));
    names.extend([
        contract::names::SESSION_TOKEN_FILE,
        contract::names::MCP_SERVER,
        contract::names::SETTINGS_DIR,
    ]);
    let ours = |word: &&str| names.contains(word) || word.starts_with("CLAUDE_");
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (number, line) in code.lines().enumerate() {
            let at = format!("{}:{}", file.display(), number + 1);
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(ours) {
                assert!(names.contains(&word), "{at} names {word}, which the table does not have");
                let prose = line.trim_start().starts_with("//") || is_prose(file);
                assert!(prose, "{at} spells out {word}: use contract::names");
            }
        }
    }
}

/// Every cause that the page of errors promises is produced by some test, which names it by its word or its variant.
#[test]
fn every_cause_is_some_tests_case() {
    let mut files = Vec::new();
    sources(&root().join("tests"), &mut files);
    sources(&root().join("crates"), &mut files);
    let is_all_tests =
        |file: &Path| file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
    let texts: Vec<String> = files
        .iter()
        .filter(|file| !file.ends_with("keyfob-core/tests/house.rs"))
        .filter_map(|file| {
            let text = fs::read_to_string(file).expect("a source file");
            if is_all_tests(file.strip_prefix(root()).expect("a file of ours")) {
                return Some(text);
            }
            text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned())
        })
        .collect();
    let mut unnamed = Vec::new();
    for cause in Cause::samples() {
        let word = cause.word();
        let shown = format!("{cause:?}");
        let variant = shown.split(' ').next().unwrap_or(&shown);
        let forms = [format!("\"{word}\""), format!("Cause::{variant} ")];
        if !texts.iter().any(|text| forms.iter().any(|form| text.contains(form))) {
            unnamed.push(word);
        }
    }
    assert!(unnamed.is_empty(), "no test produces {unnamed:?}");
}

/// Core decides and never acts: without the standard library there is no clock, disk or network to reach.
#[test]
fn core_cannot_reach_the_world() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    assert!(lib.contains("#![no_std]") && !lib.contains("extern crate std"));
}

/// The boundaries between the crates, each of which forbids something.
#[test]
fn crates_depend_only_downwards() {
    let manifest = |name: &str| {
        fs::read_to_string(root().join("crates").join(name).join("Cargo.toml"))
            .expect("a manifest of the workspace")
    };
    let depends = |name: &str, on: &str| {
        manifest(name).lines().any(|line| line.split(['.', ' ', '=']).next() == Some(on))
    };
    for other in ["keyfob", "keyfob-cli", "keyfob-dev", "keyfob-serve"] {
        assert!(!depends("keyfob-core", other), "core may use none of ours");
    }
    for other in ["keyfob-core", "keyfob", "keyfob-cli", "keyfob-serve"] {
        assert!(!depends("keyfob-dev", other), "the provider reads the RFCs by itself");
    }
    // What is served sees access tokens and headers. A record is among what the library keeps to itself.
    for other in ["keyfob-core", "keyfob-cli", "keyfob-dev"] {
        assert!(!depends("keyfob-serve", other), "the agent has the library, and by its public names");
    }
    let mut files = Vec::new();
    sources(&root().join("crates/keyfob-serve/src"), &mut files);
    assert!(files.len() > 5, "the agent has files");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(!text.contains("internals"), "{} reaches behind the library's public names", file.display());
    }
    for below in ["keyfob", "keyfob-core"] {
        assert!(!depends(below, "keyfob-serve"));
    }
    assert!(!depends("keyfob", "keyfob-cli"));
    assert!(depends("keyfob", "keyfob-core") && depends("keyfob-cli", "keyfob"));
}
