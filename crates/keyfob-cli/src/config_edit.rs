//! Changes only the intended part of a configuration file: comments, order and spelling of everything else stay as they
//! are.

use keyfob::{Error, internals::core::Id};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// The intended content of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The environment.
    pub(crate) environment: Option<Section>,
    /// The key store for sealing logins.
    pub(crate) seal: Option<&'static str>,
    /// Whether existing, different values are replaced.
    pub(crate) replace: bool,
}

/// The intended content of an environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: String,
    /// Its keys, in the order in which they are written.
    pub(crate) keys: Vec<(&'static str, Holds)>,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
}

/// The keys that say where a provider is asked and how a client authenticates there: those of another issuer are
/// meaningless for this one.
const OF_ANOTHER_ISSUER: [&str; 19] = [
    "grant",
    "client_secret_file",
    "client_secret_command",
    "client_key_file",
    "client_key_command",
    "client_key_id",
    "client_auth",
    "dead_refresh_words",
    "hosts",
    "api_base",
    "apps_base",
    "console_base",
    "authorize_url",
    "token_url",
    "revoke_url",
    "introspect_url",
    "device_url",
    "profile_url",
    "userinfo_url",
];

/// The text with the intended content. If nothing has to change, it is the same, octet by octet.
///
/// # Errors
/// [`Id::ConfigMalformed`] for a text that is not TOML; [`Id::Usage`] for an environment or a key that says something else,
/// unless that is to be replaced.
pub(crate) fn edited(text: &str, wanted: &Wanted) -> Result<String, Error> {
    let malformed = |_| Error::new(Id::ConfigMalformed, "the configuration file", "it is not TOML");
    let mut document: DocumentMut = text.parse().map_err(malformed)?;
    let mut changed = false;
    if let Some(seal) = wanted.seal {
        changed |= set_seal(&mut document, seal, wanted.replace)?;
    }
    if let Some(section) = &wanted.environment {
        if document.get("environment").is_none() {
            set_top(&mut document, "environment", &section.name);
            changed = true;
        }
        changed |= set_section(&mut document, section, wanted.replace)?;
    }
    if !changed {
        return Ok(text.to_owned());
    }
    let new = document.to_string();
    // The parser reads both ends of a line, and writes one.
    Ok(if text.contains("\r\n") { new.replace("\r\n", "\n").replace('\n', "\r\n") } else { new })
}

/// The default environment, if the file names one.
pub(crate) fn default_environment(text: &str) -> Option<String> {
    let document: DocumentMut = text.parse().ok()?;
    document.get("environment")?.as_str().map(str::to_owned)
}

fn set_seal(document: &mut DocumentMut, seal: &str, replace: bool) -> Result<bool, Error> {
    // The earlier name says the same; both at once would be a mistake.
    let is = ["seal", "store"].into_iter().find_map(|key| document.get(key).and_then(Item::as_str));
    match is {
        Some(is) if is == seal => return Ok(false),
        Some(is) if !replace => {
            let why = format!("it says \"{is}\", and you said \"{seal}\"");
            return Err(conflict("the configuration file says something else for `seal`", why)
                .hint("say `--replace` to put it in the other's place"));
        }
        _ => {}
    }
    if let Some((key, _)) = document.remove_entry("store") {
        let key = key.leaf_decor().clone();
        set_top(document, "seal", seal);
        if let Some(mut new) = document.key_mut("seal") {
            *new.leaf_decor_mut() = key;
        }
    } else if let Some(Item::Value(there)) = document.get_mut("seal") {
        put(there, seal.into());
    } else {
        set_top(document, "seal", seal);
    }
    Ok(true)
}

/// A key above the first section. It is added after the existing ones.
fn set_top(document: &mut DocumentMut, key: &str, text: &str) {
    let first = document.iter().all(|(_, item)| !item.is_value() && !is_dotted(item));
    // What a file says about itself stands in front of its first section, or of nothing.
    let heading = if document.is_empty() {
        document.trailing().as_str().unwrap_or("").to_owned()
    } else {
        String::new()
    };
    document.insert(key, Item::Value(text.into()));
    if !heading.is_empty() {
        document.set_trailing("");
        let end = if heading.ends_with('\n') { "" } else { "\n" };
        if let Some(mut key) = document.key_mut(key) {
            key.leaf_decor_mut().set_prefix(format!("{heading}{end}"));
        }
    } else if first {
        // An empty line before the section that was the first until now.
        let sections = document.iter_mut().find_map(|(_, item)| first_header(item));
        if let Some(section) = sections {
            let before = section.decor().prefix().and_then(|raw| raw.as_str()).unwrap_or("").to_owned();
            if !before.starts_with('\n') {
                section.decor_mut().set_prefix(format!("\n{before}"));
            }
        }
    }
}

fn is_dotted(item: &Item) -> bool {
    item.as_table().is_some_and(Table::is_dotted)
}

/// The first table with a `[header]`.
fn first_header(item: &mut Item) -> Option<&mut Table> {
    let table = item.as_table_mut()?;
    if !table.is_implicit() {
        return Some(table);
    }
    table.iter_mut().find_map(|(_, below)| first_header(below))
}

fn set_section(document: &mut DocumentMut, section: &Section, replace: bool) -> Result<bool, Error> {
    let there = document.get("environments").and_then(|all| all.get(&section.name));
    if there.is_none() {
        add_section(document, section);
        return Ok(true);
    }
    let table = document.get_mut("environments").and_then(|all| all.get_mut(&section.name));
    let Some(table) = table.and_then(Item::as_table_like_mut) else { return Ok(false) };
    let differing: Vec<_> = section.keys.iter().filter(|(key, holds)| !says(table, key, holds)).collect();
    if differing.is_empty() {
        return Ok(false);
    }
    if !replace {
        let (key, holds) = differing[0];
        let why = match table.get(key) {
            Some(is) => format!("its `{key}` is {}, and you said {}", shown(is), holds.shown()),
            None => format!("it says nothing of `{key}`, and you said {}", holds.shown()),
        };
        let what = format!("there is an environment `{}` already, and it is another one", section.name);
        return Err(conflict(&what, why)
            .hint("choose another name: `keyfob init NAME`, or say `--replace` to change this one"));
    }
    if differing.iter().any(|(key, _)| *key == "issuer") {
        for key in OF_ANOTHER_ISSUER {
            if !section.keys.iter().any(|(ours, _)| *ours == key) {
                table.remove(key);
            }
        }
    }
    for (key, holds) in differing {
        match table.get_mut(key) {
            Some(Item::Value(there)) => put(there, holds.value()),
            _ => drop(table.insert(key, Item::Value(holds.value()))),
        }
    }
    Ok(true)
}

fn add_section(document: &mut DocumentMut, section: &Section) {
    if let Some(Item::Value(Value::InlineTable(all))) = document.get_mut("environments") {
        let mut table = InlineTable::new();
        for (key, holds) in &section.keys {
            table.insert(*key, holds.value());
        }
        all.insert(&section.name, Value::InlineTable(table));
        return;
    }
    let mut table = Table::new();
    for (key, holds) in &section.keys {
        table.insert(key, Item::Value(holds.value()));
    }
    let is_first = document.is_empty();
    let heading = document.trailing().as_str().unwrap_or("").to_owned();
    let all = document.entry("environments").or_insert_with(|| {
        let mut all = Table::new();
        all.set_implicit(true);
        Item::Table(all)
    });
    let Some(all) = all.as_table_mut() else { return };
    if all.is_dotted() {
        table.set_dotted(true);
        all.insert(&section.name, Item::Table(table));
        return;
    }
    let header = if is_first && heading.trim().is_empty() { "" } else { "\n" };
    table.decor_mut().set_prefix(header);
    all.insert(&section.name, Item::Table(table));
    // What is said behind the last section stays behind that, and does not slip behind the new one.
    let rendered = document.to_string();
    let last = rendered.lines().rfind(|line| line.trim_start().starts_with('['));
    let is_last = last.is_some_and(|line| line.contains(&section.name));
    if is_last && !is_first && !heading.trim().is_empty() {
        document.set_trailing("");
        let end = if heading.ends_with('\n') { "" } else { "\n" };
        if let Some(Item::Table(table)) = document["environments"].get_mut(&section.name) {
            table.decor_mut().set_prefix(format!("{heading}{end}\n"));
        }
    }
}

/// Replaces a value. The comment behind it stays.
fn put(there: &mut Value, mut new: Value) {
    *new.decor_mut() = there.decor().clone();
    *there = new;
}

fn says(table: &dyn TableLike, key: &str, holds: &Holds) -> bool {
    let Some(is) = table.get(key) else { return false };
    match holds {
        Holds::Text(text) => is.as_str() == Some(text),
        Holds::Number(number) => is.as_integer() == Some(*number),
        Holds::Texts(texts) => is.as_array().is_some_and(|list| {
            list.iter().map(Value::as_str).eq(texts.iter().map(|text| Some(text.as_str())))
        }),
    }
}

fn shown(item: &Item) -> String {
    let mut bare = item.clone();
    if let Some(value) = bare.as_value_mut() {
        value.decor_mut().clear();
    }
    bare.to_string().trim().to_owned()
}

fn conflict(what: &str, why: String) -> Error {
    Error::new(Id::Usage, what, why)
}

impl Holds {
    fn value(&self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => (*number).into(),
            Self::Texts(texts) => Value::Array(texts.iter().collect::<Array>()),
        }
    }

    fn shown(&self) -> String {
        self.value().to_string().trim().to_owned()
    }
}

/// The lines that a change removes (`- `) and adds (`+ `), in order. What only moves to another place is no change, and is
/// not shown: it may be somebody else's secret.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let mut lines = lines_of_difference(old, new);
    let mut at = 0;
    while at < lines.len() {
        let (sign, text) = lines[at].split_at(1);
        let other = format!("{}{text}", if sign == "-" { "+" } else { "-" });
        match lines[at + 1..].iter().position(|line| *line == other) {
            Some(further) => {
                lines.remove(at + 1 + further);
                lines.remove(at);
            }
            None => at += 1,
        }
    }
    lines
}

fn lines_of_difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(one, two)| one == two).count();
    let (old, new) = (&old[same..], &new[same..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(one, two)| one == two).count();
    let (old, new) = (&old[..old.len() - same], &new[..new.len() - same]);
    // The longest common part of what is left (there are few lines: what is alike at both ends is gone).
    let mut longest = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && longest[i + 1][j] >= longest[i][j + 1] {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_only_moves_is_not_shown() {
        let old = "users:\n- theirs: secret\n- ours: old\n";
        let mut shown = difference(old, "users:\n- ours: new\n- theirs: secret\n");
        shown.sort();
        assert_eq!(shown, ["+ - ours: new", "- - ours: old"]);
        assert!(difference("a\nb\n", "b\na\n").is_empty());
        assert_eq!(difference("a\n", "a\na\n"), ["+ a"]);
    }

    fn work(keys: &[(&'static str, Holds)]) -> Wanted {
        let section = Section { name: "work".into(), keys: keys.to_vec() };
        Wanted { environment: Some(section), ..Wanted::default() }
    }

    fn text(text: &str) -> Holds {
        Holds::Text(text.into())
    }

    fn usual() -> Wanted {
        work(&[
            ("issuer", text("https://id.example")),
            ("client_id", text("agents")),
            ("scopes", Holds::Texts(vec!["openid".into(), "email".into()])),
        ])
    }

    const SECTION: &str = "[environments.work]\nissuer = \"https://id.example\"\nclient_id = \"agents\"\n\
                           scopes = [\"openid\", \"email\"]\n";

    #[track_caller]
    fn becomes(before: &str, wanted: &Wanted, after: &str) {
        let new = edited(before, wanted).unwrap();
        assert_eq!(new, after, "from:\n{before}");
        assert_eq!(edited(&new, wanted).unwrap(), new, "twice is once");
    }

    #[test]
    fn a_file_that_is_not_there_gets_all_of_it() {
        becomes("", &usual(), &format!("environment = \"work\"\n\n{SECTION}"));
    }

    /// Comments, blank lines, odd spelling and order of everything else stay.
    #[test]
    fn what_is_there_stays_as_it_is() {
        let before = "# Ours.\n\nprefer   = 'oauth'  # because\n\n# The machine.\n[environments.ci]\n\
                      issuer=\"https://ci.example\" # exactly\n\n[telemetry]\nemail = false\n# the end\n";
        let after = format!(
            "# Ours.\n\nprefer   = 'oauth'  # because\nenvironment = \"work\"\n\n# The machine.\n[environments.ci]\n\
             issuer=\"https://ci.example\" # exactly\n\n{SECTION}\n[telemetry]\nemail = false\n# the end\n"
        );
        becomes(before, &usual(), &after);
    }

    #[test]
    fn comments_alone_stay_in_front() {
        becomes("# Mine.\n", &usual(), &format!("# Mine.\nenvironment = \"work\"\n\n{SECTION}"));
        becomes(
            "# Mine.\n[environments.ci]\nissuer = \"https://ci.example\"\n",
            &usual(),
            &format!(
                "environment = \"work\"\n\n# Mine.\n[environments.ci]\nissuer = \"https://ci.example\"\n\n{SECTION}"
            ),
        );
        becomes(
            "environment = \"ci\"\n[environments.ci]\nissuer = \"https://ci.example\"\n# of ci\n",
            &usual(),
            &format!(
                "environment = \"ci\"\n[environments.ci]\nissuer = \"https://ci.example\"\n# of ci\n\n{SECTION}"
            ),
        );
    }

    #[test]
    fn tables_in_other_forms_are_understood() {
        becomes(
            "environments = { ci = { issuer = \"https://ci.example\" } }\n",
            &work(&[("issuer", text("https://id.example"))]),
            "environments = { ci = { issuer = \"https://ci.example\" } , work = { issuer = \"https://id.example\" } }\n\
             environment = \"work\"\n",
        );
        becomes(
            "environments.ci.issuer = \"https://ci.example\"\n",
            &work(&[("issuer", text("https://id.example"))]),
            "environments.ci.issuer = \"https://ci.example\"\nenvironments.work.issuer = \"https://id.example\"\n\
             environment = \"work\"\n",
        );
        let said = work(&[("issuer", text("https://id.example"))]);
        becomes(
            "environment = \"work\"\nenvironments.work.issuer = \"https://id.example\"\n",
            &said,
            "environment = \"work\"\nenvironments.work.issuer = \"https://id.example\"\n",
        );
    }

    #[test]
    fn ends_of_lines_stay_what_they_are() {
        let after = format!("prefer = \"oauth\"\nenvironment = \"work\"\n\n{SECTION}").replace('\n', "\r\n");
        becomes("prefer = \"oauth\"\r\n", &usual(), &after);
        becomes(
            "prefer = \"oauth\"",
            &usual(),
            &format!("prefer = \"oauth\"\nenvironment = \"work\"\n\n{SECTION}"),
        );
    }

    #[test]
    fn an_environment_that_says_the_same_is_left_alone() {
        let odd = "environment='work'\n[environments.work]\nscopes = [ 'openid',\n 'email' ]\nissuer='https://id.example'\n\
                   client_id = \"agents\"\nport = 8000\n";
        becomes(odd, &usual(), odd);
    }

    #[test]
    fn one_that_says_something_else_is_refused_unless_that_is_wanted() {
        let before = "environment = \"work\"\n\n[environments.work]\nissuer = \"https://old.example\" # the old one\n\
                      client_id = \"agents\"\ntoken_url = \"https://old.example/t\"\nport = 8000\n";
        let error = edited(before, &usual()).expect_err("another one");
        assert_eq!(error.id(), Id::Usage);
        assert_eq!(
            error.why(),
            "its `issuer` is \"https://old.example\", and you said \"https://id.example\""
        );
        let replaced = edited(before, &Wanted { replace: true, ..usual() }).unwrap();
        assert_eq!(
            replaced,
            "environment = \"work\"\n\n[environments.work]\nissuer = \"https://id.example\" # the old one\n\
             client_id = \"agents\"\nport = 8000\nscopes = [\"openid\", \"email\"]\n",
            "endpoints of the other issuer are gone, what has nothing to do with it stays"
        );
        let same_issuer = edited(
            "[environments.work]\nissuer = \"https://id.example\"\ntoken_url = \"https://id.example/t\"\n",
            &Wanted { replace: true, ..usual() },
        );
        assert!(same_issuer.unwrap().contains("token_url"));
        let missing = edited("[environments.work]\nissuer = \"https://id.example\"\n", &usual())
            .expect_err("no client");
        assert_eq!(missing.why(), "it says nothing of `client_id`, and you said \"agents\"");
    }

    #[test]
    fn the_seal_is_set_above_the_sections() {
        let seal = |replace| Wanted { seal: Some("secret-service"), replace, ..Wanted::default() };
        let section = "[environments.work]\nissuer = \"https://id.example\"\n";
        becomes("", &seal(false), "seal = \"secret-service\"\n");
        becomes(section, &seal(false), &format!("seal = \"secret-service\"\n\n{section}"));
        becomes("store = \"secret-service\"\n", &seal(false), "store = \"secret-service\"\n");
        assert!(edited("seal = \"kernel\"\n", &seal(false)).is_err());
        becomes("seal = \"kernel\" # mine\n", &seal(true), "seal = \"secret-service\" # mine\n");
        becomes(
            "# key\nstore = \"kernel\"\nprefer = \"oauth\"\n",
            &seal(true),
            "prefer = \"oauth\"\n# key\nseal = \"secret-service\"\n",
        );
    }

    #[test]
    fn a_difference_is_what_goes_and_what_comes() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nb\nc\ny\n"), ["+ x", "+ y"]);
        assert_eq!(difference("a\nb\n", "a\nc\n"), ["- b", "+ c"]);
        assert_eq!(difference("", "a\n"), ["+ a"]);
        assert_eq!(difference("a\n", ""), ["- a"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
