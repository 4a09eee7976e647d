//! Adds a user to the text of a kubeconfig, and takes it out: line by line, so that comments, order and spelling of
//! everything else stay as they are. What was meant is checked on the text that results: read as YAML it must differ from the
//! old one by that user and nothing else.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// A user with an exec plugin (Kubernetes: client-go credential plugins, `client.authentication.k8s.io/v1`).
pub(super) struct User {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    /// The plugin is told which cluster it is for.
    pub(super) names_cluster: bool,
}

/// Why a text is left as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// It is not written in the way that kubectl and people write it.
    Form(&'static str),
    /// A user of that name is there, and runs something else.
    Taken,
}

/// Lines are counted by their line feeds here, and by lone carriage returns as well where YAML is read.
const LINES: Odd = Odd::Form("its lines are not where they usually are");
const EMPTY: &str = "apiVersion: v1\nkind: Config\nusers: []\n";
const NOTE: &str = "# Written by `keyfob setup kubernetes`, which takes it out again with `--undo`.";

/// The text with this user.
pub(super) fn with(text: Option<&str>, user: &User) -> Result<Option<String>, Odd> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
    let old = document(text)?;
    let rest = match old.users()?.named(&user.name) {
        Some(there) if there.is(user) => return Ok(Some(text.into())),
        Some(there) if !there.is_ours() => return Err(Odd::Taken),
        Some(_) => cut(text, &old, &user.name)?,
        None => text.into(),
    };
    let new = added(&rest, user)?;
    let read = document(&new)?;
    let fits = read.users()?.named(&user.name).is_some_and(|there| there.is(user));
    if !fits || read.without(&user.name) != old.without(&user.name) {
        return Err(LINES);
    }
    Ok(Some(new))
}

/// What the file says of this user, and nothing of what else is in it: other users have tokens and keys there.
pub(super) fn own(user: &User) -> String {
    block(user, 0)
}

/// The text without the user of this name. `None`: nothing else was in it.
pub(super) fn without(text: Option<&str>, name: &str) -> Result<Option<String>, Odd> {
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() {
        return Ok(Some(text.into()));
    }
    let old = document(text)?;
    match old.users()?.named(name) {
        None => return Ok(Some(text.into())),
        Some(there) if !there.is_ours() => return Err(Odd::Taken),
        Some(_) => {}
    }
    let new = cut(text, &old, name)?;
    if new == EMPTY {
        return Ok(None);
    }
    if document(&new)?.without(name) != old.without(name) {
        return Err(LINES);
    }
    Ok(Some(new))
}

/// A node of the document and the lines it stands on, counted from 0.
#[derive(Clone, Debug)]
struct Node {
    first: usize,
    last: usize,
    column: usize,
    is: Is,
}

#[derive(Clone, Debug)]
enum Is {
    Scalar { text: String, plain: bool },
    List { items: Vec<Node>, inline: bool },
    Map { members: Vec<(Node, Node)>, inline: bool },
}

/// Two nodes are the same if they say the same, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.is, &other.is) {
            (Is::Scalar { text, plain }, Is::Scalar { text: other, plain: is_plain }) => {
                text == other && plain == is_plain
            }
            (Is::List { items, .. }, Is::List { items: others, .. }) => items == others,
            (Is::Map { members, .. }, Is::Map { members: others, .. }) => members == others,
            _ => false,
        }
    }
}

impl Node {
    fn text(&self) -> Option<&str> {
        match &self.is {
            Is::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(&self.is, Is::Scalar { text, plain: true } if ["", "~", "null", "Null", "NULL"].contains(&&**text))
    }

    fn member(&self, name: &str) -> Option<&(Node, Node)> {
        match &self.is {
            Is::Map { members, .. } => members.iter().find(|(key, _)| key.text() == Some(name)),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Node> {
        self.member(name).map(|(_, value)| value)
    }

    fn items(&self) -> &[Node] {
        match &self.is {
            Is::List { items, .. } => items,
            _ => &[],
        }
    }

    fn named(&self, name: &str) -> Option<&Node> {
        self.items().iter().find(|item| item.get("name").and_then(Node::text) == Some(name))
    }

    /// The list of users, which may be empty or missing.
    fn users(&self) -> Result<&Node, Odd> {
        const NONE: &Node =
            &Node { first: 0, last: 0, column: 0, is: Is::List { items: Vec::new(), inline: false } };
        match self.get("users") {
            None => Ok(NONE),
            Some(users) if users.is_null() || matches!(users.is, Is::List { .. }) => Ok(users),
            Some(_) => Err(Odd::Form("its `users` are no list")),
        }
    }

    /// Everything but the user of this name; that there are no users can be said in several ways.
    fn without(&self, name: &str) -> Vec<(Node, Node)> {
        let Is::Map { members, .. } = &self.is else { return Vec::new() };
        let mut members = members.clone();
        for (key, value) in &mut members {
            if key.text() == Some("users")
                && let Is::List { items, .. } = &mut value.is
            {
                items.retain(|item| item.get("name").and_then(Node::text) != Some(name));
            }
        }
        members.retain(|(key, value)| {
            key.text() != Some("users") || !(value.is_null() || value.items().is_empty())
        });
        members
    }

    fn exec(&self) -> Option<(&str, Vec<&str>)> {
        let exec = self.get("user")?.get("exec")?;
        let args = exec.get("args")?.items().iter().filter_map(Node::text).collect();
        Some((exec.get("command")?.text()?, args))
    }

    /// Whether it runs keyfob for kubectl: kubectl drops comments, so only this tells.
    fn is_ours(&self) -> bool {
        self.exec().is_some_and(|(command, args)| {
            let name = command.rsplit('/').next().unwrap_or_default();
            name.starts_with("keyfob")
                && args.windows(3).any(|words| words == ["token", "--format", "kubernetes"])
        })
    }

    /// Whether it says exactly what would be written.
    fn is(&self, user: &User) -> bool {
        let exec = self.get("user").and_then(|user| user.get("exec"));
        let says =
            |key: &str, wanted: &str| exec.and_then(|e| e.get(key)).and_then(Node::text) == Some(wanted);
        says("apiVersion", VERSION)
            && says("interactiveMode", "Never")
            && says("provideClusterInfo", "true") == user.names_cluster
            && self.exec().is_some_and(|(command, args)| command == user.command && args == user.args)
    }
}

const VERSION: &str = "client.authentication.k8s.io/v1";

/// The one mapping of the text, whose keys stand at the beginning of lines.
fn document(text: &str) -> Result<Node, Odd> {
    let mut open: Vec<(Span, Is)> = Vec::new();
    let mut values: Vec<Vec<Node>> = vec![Vec::new()];
    let mut documents = 0;
    let letters: Vec<char> = text.chars().collect();
    let bracket = |span: &Span| letters.get(span.start.index()).is_some_and(|c| "[{".contains(*c));
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|_| Odd::Form("it is not YAML"))?;
        let line = |marker: &saphyr_parser::Marker| marker.line().saturating_sub(1);
        let node = |is: Is, first: usize, last: usize, column: usize| Node { first, last, column, is };
        let done = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                None
            }
            Event::Scalar(text, style, anchor, _) => {
                if anchor != 0 {
                    return Err(Odd::Form("it has anchors or aliases"));
                }
                let is = Is::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                // The end of a block's text is the beginning of the line behind it.
                let end = line(&span.end);
                let last = if span.end.col() == 0 && end > line(&span.start) { end - 1 } else { end };
                Some(node(is, line(&span.start), last, span.start.col()))
            }
            Event::Alias(_) => return Err(Odd::Form("it has anchors or aliases")),
            Event::SequenceStart(..) => {
                open.push((span, Is::List { items: Vec::new(), inline: bracket(&span) }));
                values.push(Vec::new());
                None
            }
            Event::MappingStart(..) => {
                open.push((span, Is::Map { members: Vec::new(), inline: bracket(&span) }));
                values.push(Vec::new());
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let held = values.pop().unwrap_or_default();
                let (begin, mut is) = open.pop().ok_or(Odd::Form("it is not YAML"))?;
                let first =
                    held.first().map_or(line(&begin.start), |node| node.first.min(line(&begin.start)));
                let last = held.last().map_or(line(&span.end), |node| node.last);
                let inline = matches!(is, Is::List { inline: true, .. } | Is::Map { inline: true, .. });
                let last = if inline { line(&span.end) } else { last };
                match &mut is {
                    Is::List { items, .. } => *items = held,
                    Is::Map { members, .. } => {
                        let mut held = held.into_iter();
                        while let (Some(key), Some(value)) = (held.next(), held.next()) {
                            members.push((key, value));
                        }
                    }
                    Is::Scalar { .. } => {}
                }
                Some(node(is, first, last, begin.start.col()))
            }
            _ => None,
        };
        if let (Some(done), Some(around)) = (done, values.last_mut()) {
            around.push(done);
        }
    }
    let root = values.pop().and_then(|mut held| held.pop());
    match root {
        Some(root)
            if documents == 1 && matches!(root.is, Is::Map { inline: false, .. }) && root.column == 0 =>
        {
            Ok(root)
        }
        _ if documents > 1 => Err(Odd::Form("it holds several documents")),
        _ => Err(Odd::Form("it is not written as YAML in lines (`key: value`)")),
    }
}

/// The text with this user as the first of its list.
fn added(text: &str, user: &User) -> Result<String, Odd> {
    let document = document(text)?;
    let Some((key, users)) = document.member("users") else {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{text}{end}users:\n{}", block(user, 0)));
    };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let indent = match &users.is {
        Is::List { items, inline: false } if !items.is_empty() => {
            let first = items.first().map_or(0, |item| item.first);
            let line = lines.get(first).map_or("", String::as_str);
            let indent = line.len() - line.trim_start_matches(' ').len();
            if !line[indent..].starts_with("- ") || first == key.first {
                return Err(Odd::Form("its list of users is not written as kubectl writes it"));
            }
            indent
        }
        // `users: []`, `users: null`, `users:`
        _ if users.items().is_empty() && users.last == key.first => {
            let line = lines.get_mut(key.first).ok_or(LINES)?;
            let end = if line.ends_with('\n') { "\n" } else { "" };
            let said = line.trim_end();
            let bare = ["[]", "null", "Null", "NULL", "~"].iter().find_map(|none| said.strip_suffix(none));
            let bare = bare.unwrap_or(said).trim_end().to_owned();
            if bare != "users:" {
                return Err(Odd::Form("its empty list of users is not written as kubectl writes it"));
            }
            *line = format!("users:{end}");
            0
        }
        _ if users.is_null() && users.first != key.first => 0,
        _ => return Err(Odd::Form("its list of users is written in brackets")),
    };
    if let Some(line) = lines.get_mut(key.first).filter(|line| !line.ends_with('\n')) {
        line.push('\n');
    }
    let mut rest = lines.split_off(lines.len().min(key.first + 1));
    lines.push(block(user, indent));
    lines.append(&mut rest);
    Ok(lines.concat())
}

/// The text without the lines of that user.
fn cut(text: &str, document: &Node, name: &str) -> Result<String, Odd> {
    let odd = Odd::Form("its list of users is not written as kubectl writes it");
    let Some((key, users)) = document.member("users") else { return Err(odd) };
    let Some(user) = users.named(name).filter(|_| matches!(users.is, Is::List { inline: false, .. })) else {
        return Err(odd);
    };
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_note = |line: &&str| line.trim() == NOTE;
    let first =
        if lines.get(user.first.wrapping_sub(1)).is_some_and(is_note) { user.first - 1 } else { user.first };
    let is_item = lines.get(user.first).is_some_and(|line| line.trim_start().starts_with("- "));
    if first <= key.first || user.last < user.first || user.last >= lines.len() || !is_item {
        return Err(odd);
    }
    lines.drain(first..=user.last);
    if users.items().len() == 1 {
        *lines.get_mut(key.first).ok_or(odd)? = "users: []\n";
    }
    Ok(lines.concat())
}

/// The user, as an item of a list.
fn block(user: &User, indent: usize) -> String {
    let mut lines = vec![NOTE.to_owned(), format!("- name: {}", scalar(&user.name))];
    lines.extend(["  user:", "    exec:"].map(str::to_owned));
    lines.push(format!("      apiVersion: {VERSION}"));
    lines.push(format!("      command: {}", scalar(&user.command)));
    lines.push("      args:".into());
    lines.extend(user.args.iter().map(|word| format!("      - {}", scalar(word))));
    lines.push("      interactiveMode: Never".into());
    lines.extend(user.names_cluster.then(|| "      provideClusterInfo: true".to_owned()));
    let margin = " ".repeat(indent);
    lines.iter().map(|line| format!("{margin}{line}\n")).collect()
}

/// A text as it is where every reader of YAML takes it for one, else in quotes, which are those of JSON.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || "/-".contains(c))
        && !text.starts_with("- ")
        && text.len() > 1
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.@+".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&&*text.to_ascii_lowercase())
        && !text.starts_with("---");
    if plain { text.into() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(args: &[&str]) -> User {
        User {
            name: "keyfob".into(),
            command: "keyfob".into(),
            args: args.iter().map(|word| (*word).to_owned()).collect(),
            names_cluster: false,
        }
    }

    fn ours() -> User {
        user(&["token", "--format", "kubernetes"])
    }

    const BLOCK: &str = "\
# Written by `keyfob setup kubernetes`, which takes it out again with `--undo`.
- name: keyfob
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: keyfob
      args:
      - token
      - --format
      - kubernetes
      interactiveMode: Never
";

    fn round(text: &str) -> String {
        let new = with(Some(text), &ours()).expect("it is given the user").expect("a file");
        assert_eq!(with(Some(&new), &ours()), Ok(Some(new.clone())), "a second time changes nothing");
        let back = without(Some(&new), "keyfob").expect("it is taken out").expect("a file");
        assert_eq!(document(&back).unwrap().without(""), document(text).unwrap().without(""), "{back}");
        new
    }

    #[test]
    fn a_file_that_was_made_is_removed_again() {
        let new = with(None, &ours()).unwrap().unwrap();
        assert_eq!(new, format!("apiVersion: v1\nkind: Config\nusers:\n{BLOCK}"));
        assert_eq!(without(Some(&new), "keyfob"), Ok(None));
        assert_eq!(with(Some("\n"), &ours()).unwrap().unwrap(), new);
        assert_eq!(without(None, "keyfob"), Ok(None));
    }

    /// As kubectl writes it, as people do, and with whatever stands around.
    #[test]
    fn everything_else_stays_as_it_is() {
        let head =
            "apiVersion: v1\nclusters:\n- cluster:\n    server: https://c.example\n  name: c\nkind: Config\n";
        let others = "- name: admin # mine\n  user:\n    token: \"x: - y\"\n";
        for (users, kept) in [
            ("users: null\n", ""),
            ("users: []\n", ""),
            ("users:\n", ""),
            ("users: []", ""),
            (&*format!("users:\n{others}"), others),
            (&format!("users: # people\n{others}preferences: {{}}\n"), others),
        ] {
            let new = round(&format!("{head}{users}"));
            assert!(new.starts_with(head) && new.contains(BLOCK) && new.contains(kept), "{new}");
        }
        let deep = "users:\n  # of the company\n  - user: {token: a}\n    name: admin\n";
        let new = round(&format!("{head}{deep}"));
        let block: String = BLOCK.lines().map(|line| format!("  {line}\n")).collect();
        assert_eq!(new, format!("{head}users:\n{block}{}", &deep["users:\n".len()..]));
        assert_eq!(
            without(Some(&new), "keyfob").unwrap().unwrap(),
            format!("{head}{deep}"),
            "octet by octet"
        );
        assert_eq!(round(head), format!("{head}users:\n{BLOCK}"));
        let long =
            "users:\n- name: a\n  user:\n    client-key-data: |\n      line\n      line\nkind: Config\n";
        assert!(round(long).ends_with(&long["users:\n".len()..]));
    }

    #[test]
    fn one_of_ours_is_brought_up_to_date() {
        let old =
            with(None, &user(&["--profile", "work", "token", "--format", "kubernetes"])).unwrap().unwrap();
        let new = with(Some(&old), &ours()).unwrap().unwrap();
        assert_eq!(new, format!("apiVersion: v1\nkind: Config\nusers:\n{BLOCK}"));
        // kubectl has written the file since, and dropped the comment.
        let bare: String =
            old.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        assert_eq!(with(Some(&bare), &ours()).unwrap().unwrap(), new);
        assert_eq!(without(Some(&bare), "keyfob"), Ok(None));
    }

    #[test]
    fn a_user_of_somebody_elses_is_left() {
        for exec in ["token: x", "exec: {command: aws, args: [token]}", "exec: {command: keyfob}"] {
            let text = format!("users:\n- name: keyfob\n  user:\n    {exec}\n");
            assert_eq!(with(Some(&text), &ours()), Err(Odd::Taken), "{exec}");
            assert_eq!(without(Some(&text), "keyfob"), Err(Odd::Taken), "{exec}");
        }
        let text = "users:\n- name: a\n  user: {}\n";
        assert_eq!(without(Some(text), "keyfob"), Ok(Some(text.into())));
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        for text in [
            "{\"users\": []}",
            "users: [{name: a, user: {}}]\n",
            "users:\n-\n  name: a\n",
            "users: &u []\nx: *u\n",
            "a: 1\n---\nb: 2\n",
            "users: text\n",
            "users: [\n]\n",
            "- a\n",
            "a: [\n",
            "users: {}\n",
        ] {
            assert!(matches!(with(Some(text), &ours()), Err(Odd::Form(_))), "{text}");
        }
    }

    /// YAML ends a line at a lone carriage return too: what stands elsewhere than it seems is refused, and nothing breaks.
    #[test]
    fn other_line_ends_are_refused_or_kept() {
        let ours = with(None, &ours()).unwrap().unwrap();
        let mut refused = 0;
        for text in [
            "apiVersion: v1\rkind: Config\rusers: []\r",
            "apiVersion: v1\rusers:\r- name: a\r  user: {}\r",
            "apiVersion: v1\r\r\nkind: Config\r\r\nusers: []\r\r\n",
            "apiVersion: v1\r\r\nusers:\r\r\n- name: a\r\r\n  user: {}\r\r\n",
            "a: 1\r\rusers:\n",
            "\r\r\rusers: null",
            "a: |\n  x\r\r\r\nusers: []",
            "a: \u{85}\u{2028}b\nusers: []\n",
            &*ours.replace('\n', "\r"),
            &ours.replace('\n', "\r\r\n"),
            &ours.replacen('\n', "\r", 3),
            &format!("\r\r\r{ours}"),
        ] {
            for changed in [with(Some(text), &super::tests::ours()), without(Some(text), "keyfob")] {
                match changed {
                    Err(odd) => {
                        assert!(matches!(odd, Odd::Form(_)), "{text:?}");
                        refused += 1;
                    }
                    Ok(Some(new)) => assert_eq!(
                        document(&new).unwrap().without("keyfob"),
                        document(text).unwrap().without("keyfob"),
                        "{text:?}"
                    ),
                    Ok(None) => {
                        assert_eq!(text.replace(['\r', '\n'], ""), ours.replace('\n', ""), "{text:?}");
                    }
                }
            }
        }
        assert!(refused >= 6, "{refused}");
    }

    #[test]
    fn words_are_quoted_where_yaml_would_read_something_else() {
        for (text, written) in [
            ("keyfob", "keyfob"),
            ("/usr/bin/keyfob", "/usr/bin/keyfob"),
            ("--format", "--format"),
            ("/a b/keyfob", "\"/a b/keyfob\""),
            ("yes", "\"yes\""),
            ("12", "\"12\""),
            ("a: b", "\"a: b\""),
            ("ä", "\"ä\""),
            ("-", "\"-\""),
            ("---", "\"---\""),
        ] {
            assert_eq!(scalar(text), written);
            let read = document(&format!("k: {}\n", scalar(text))).unwrap();
            assert_eq!(read.get("k").and_then(Node::text), Some(text));
        }
    }
}
