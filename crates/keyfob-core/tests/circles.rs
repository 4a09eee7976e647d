//! No circle of files: a file that uses another is used by it neither directly nor by way of others.
//!
//! Read from the code itself: `use` and every path that begins with `crate`, `super`, `self` or a child module. A name
//! that is only passed on (`use`, `pub use`) leads to the file that defines it, so a `mod.rs` that lists what is in its
//! folder is part of no circle. What stands under `#[cfg(test)]` does not count.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::Path,
};

/// The crates without a circle. None leaves this list.
const WITHOUT: &[&str] = &["keyfob", "keyfob-cli", "keyfob-dev", "keyfob-core", "keyfob-serve"];

type Module = Vec<String>;

#[test]
fn no_crate_has_a_circle_of_files() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in WITHOUT {
        let mut files = BTreeMap::new();
        read(&crates.join(name).join("src"), &[], &mut files);
        assert!(files.len() > 1, "{name} has no files");
        let circle = shortest_circle(&arrows(&files));
        assert!(
            circle.is_none(),
            "{name} has a circle of files: {}",
            circle.unwrap_or_default().join(" -> ")
        );
    }
}

/// The reader finds each way in which one file can name another, or the law above would hold of anything.
#[test]
fn every_way_to_name_another_file_is_an_arrow() {
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b;", "fn f() { let a = crate::a::A; }"),
        ("use crate::{b::{self, B}, c};", "fn f(a: super::a::A) {}"),
        ("use crate::b::B;", "fn f() -> impl T + use<> { { g(); } crate::a::A }"),
        ("use crate::B;", "use crate::a;"),
        ("use crate::c::B;", "use super::{a::A};"),
        ("fn f() { let x = '\"'; crate::b::f() } // \"", "use crate::a::A;"),
        ("#[cfg(test)] mod tests { }\nuse crate::b::B;", "use crate::a::A;"),
    ] {
        let found = circle_of(&[
            ("", "mod a; mod b; mod c; pub use b::B;"),
            ("a", a),
            ("b", b),
            ("c", "pub use super::b::*;"),
        ]);
        assert!(found.is_some(), "not seen: {a} / {b}");
    }
    for (a, b) in [
        ("use crate::b::B;", "/// [`crate::a::A`]\nconst A: &str = \"crate::a::A\"; // crate::a::A"),
        ("use crate::b::B;", "#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ("use crate::b::B;", "use crate::c::C; use std::{a, a::A};"),
        ("use crate::B;", "use crate::C;"),
    ] {
        let root = "mod a; mod b; mod c; pub use {b::B, c::C};";
        let found = circle_of(&[("", root), ("a", a), ("b", b), ("c", "struct C;")]);
        assert!(found.is_none(), "no circle: {a} / {b}: {found:?}");
    }
}

fn circle_of(files: &[(&str, &str)]) -> Option<Vec<String>> {
    let module = |name: &str| if name.is_empty() { Vec::new() } else { vec![name.to_owned()] };
    let read = |(name, text): &(&str, &str)| (module(name), File::parse(&format!("{name}.rs"), text));
    shortest_circle(&arrows(&files.iter().map(read).collect()))
}

struct File {
    name: String,
    /// Modules declared here whose text is another file's.
    children: BTreeSet<String>,
    /// Names brought in by `use`, for whoever reaches them through this file; `*` for everything of a module.
    passed_on: Vec<(String, Module)>,
    defined: BTreeSet<String>,
    /// Every path in the code, as it stands.
    paths: Vec<Module>,
}

impl File {
    fn parse(name: &str, text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let mut file = Self {
            name: name.to_owned(),
            children: BTreeSet::new(),
            passed_on: Vec::new(),
            defined: BTreeSet::new(),
            paths: Vec::new(),
        };
        let word = |at: usize| tokens.get(at).map_or("", String::as_str);
        let mut at = 0;
        while at < tokens.len() {
            match word(at) {
                "mod" if word(at + 2) == ";" => drop(file.children.insert(word(at + 1).to_owned())),
                "fn" | "struct" | "enum" | "trait" | "const" | "static" | "type" | "mod" | "union" => {
                    file.defined.insert(word(at + 1).to_owned());
                }
                // `impl Trait + use<>` names what a type captures.
                "use" if word(at + 1) != "<" => {
                    at += 1;
                    use_tree(&tokens, &mut at, &[], &mut file.passed_on);
                }
                _ if is_name(word(at)) && word(at + 1) == "::" && word(at.wrapping_sub(1)) != "::" => {
                    let mut path = vec![word(at).to_owned()];
                    while word(at + 1) == "::" && is_name(word(at + 2)) {
                        path.push(word(at + 2).to_owned());
                        at += 2;
                    }
                    file.paths.push(path);
                }
                _ => {}
            }
            at += 1;
        }
        file.paths.extend(file.passed_on.iter().map(|(_, path)| path.clone()));
        file
    }
}

/// One branch of a `use`, from the token at `at` to the one that ends it.
fn use_tree(tokens: &[String], at: &mut usize, before: &[String], found: &mut Vec<(String, Module)>) {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(*at).map(String::as_str) {
        match token {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    use_tree(tokens, at, &path, found);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ","));
                }
                *at += 1;
                return;
            }
            "," | ";" | "}" => break,
            "::" => {}
            "as" => {
                *at += 1;
                let name = tokens.get(*at).cloned().unwrap_or_default();
                *at += 1;
                found.push((name, path));
                return;
            }
            "self" if !before.is_empty() => {}
            _ => path.push(token.to_owned()),
        }
        *at += 1;
    }
    if let Some(last) = path.last().cloned() {
        if last == "*" {
            path.pop();
        }
        found.push((last, path));
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single signs; no comments, no literals.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let here = get(at);
        if here.is_alphanumeric() || here == '_' {
            let start = at;
            while get(at).is_alphanumeric() || get(at) == '_' {
                at += 1;
            }
            let word: String = chars[start..at].iter().collect();
            let hashes = (at..chars.len()).take_while(|at| get(*at) == '#').count();
            if matches!(word.as_str(), "r" | "br") && get(at + hashes) == '"' {
                at += hashes + 1;
                let end = |at: usize| get(at) == '"' && (1..=hashes).all(|more| get(at + more) == '#');
                while at < chars.len() && !end(at) {
                    at += 1;
                }
                at += hashes + 1;
            } else {
                tokens.push(word);
            }
        } else if here == '/' && get(at + 1) == '/' {
            while at < chars.len() && get(at) != '\n' {
                at += 1;
            }
        } else if here == '"' {
            at += 1;
            while at < chars.len() && get(at) != '"' {
                at += 1 + usize::from(get(at) == '\\');
            }
            at += 1;
        } else if here == '\'' && get(at + 1) == '\\' {
            at += 3;
            while at < chars.len() && get(at) != '\'' {
                at += 1;
            }
            at += 1;
        } else if here == '\'' && get(at + 2) == '\'' {
            at += 3;
        } else if here == ':' && get(at + 1) == ':' {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !here.is_whitespace() {
                tokens.push(here.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Leaves out the item after each `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().map(String::as_str).take(MARK.len()).eq(MARK) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(at).map(String::as_str) {
            at += 1;
            match token {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(token, "}" | ";") {
                break;
            }
        }
    }
    kept
}

fn read(dir: &Path, module: &[String], files: &mut BTreeMap<Module, File>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let below = |name: &str| [module, &[name.to_owned()]].concat();
        if path.is_dir() {
            read(&path, &below(&stem), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
            let own = if matches!(&*stem, "mod" | "lib" | "main") { module.to_vec() } else { below(&stem) };
            let text = fs::read_to_string(&path).expect("a source file");
            files.insert(own, File::parse(&[module, &[name]].concat().join("/"), &text));
        }
    }
}

/// From each file to those it uses.
fn arrows(files: &BTreeMap<Module, File>) -> BTreeMap<&str, BTreeSet<&str>> {
    let of = |(module, file): (&Module, &'_ File)| {
        let absolute = file.paths.iter().filter_map(|path| absolute(files, module, path));
        absolute
            .filter_map(|path| definer(files, &path, 0))
            .filter(|other| *other != module)
            .cloned()
            .collect()
    };
    let named = |module: &Module| files[module].name.as_str();
    files
        .iter()
        .map(|(module, file)| {
            let others: BTreeSet<Module> = of((module, file));
            let others = others.iter().filter_map(|other| files.get(other)).map(|file| file.name.as_str());
            (named(module), others.collect())
        })
        .collect()
}

/// A path from the root of the crate; `None` = it leads into another crate.
fn absolute(files: &BTreeMap<Module, File>, module: &[String], path: &[String]) -> Option<Module> {
    let mut rest = path.iter().peekable();
    let mut base = module.to_vec();
    match rest.peek()?.as_str() {
        "crate" => {
            base.clear();
            rest.next();
        }
        "self" => drop(rest.next()),
        "super" => {
            while rest.next_if(|word| *word == "super").is_some() {
                base.pop()?;
            }
        }
        word if files[module].children.contains(word) => {}
        _ => return None,
    }
    base.extend(rest.cloned());
    Some(base)
}

/// The module that defines what a path names, through whatever passes it on.
fn definer<'a>(files: &'a BTreeMap<Module, File>, path: &[String], depth: usize) -> Option<&'a Module> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (module, file) = files.get_key_value(&path[..length])?;
    let Some(name) = path.get(length).filter(|name| !file.defined.contains(*name) && depth < 8) else {
        return Some(module);
    };
    let by_name = file.passed_on.iter().filter(|(known, _)| known == name).map(|(_, to)| to.clone());
    let all = file.passed_on.iter().filter(|(known, _)| known == "*");
    let by_star = all.map(|(_, to)| [to, std::slice::from_ref(name)].concat());
    let found = by_name.chain(by_star).find_map(|to| {
        let to = [absolute(files, module, &to)?, path[length + 1..].to_vec()].concat();
        definer(files, &to, depth + 1)
    });
    Some(found.unwrap_or(module))
}

fn shortest_circle(arrows: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    let circle = arrows.keys().filter_map(|start| way_back(arrows, start)).min_by_key(Vec::len)?;
    Some(circle.into_iter().map(str::to_owned).collect())
}

fn way_back<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in arrows.get(way.last()?)? {
            let longer = [&way[..], &[*next]].concat();
            if *next == start {
                return Some(longer);
            }
            if seen.insert(*next) {
                ways.push_back(longer);
            }
        }
    }
    None
}
