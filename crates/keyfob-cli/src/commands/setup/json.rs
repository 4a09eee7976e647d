//! Puts a member into the text of a JSON file, and takes it out again: order, spelling and blanks of everything else stay as
//! they are. What was meant is checked on the text that results.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Map, Value};

/// Why a text is left as it is, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd {
    pub(super) line: usize,
    pub(super) why: String,
}

/// What stands at this path. `None`: nothing.
pub(super) fn get(text: Option<&str>, path: &[&str]) -> Result<Option<Value>, Odd> {
    let mut value = parsed(text.unwrap_or_default())?;
    for name in path {
        match value.get_mut(*name) {
            Some(member) => value = member.take(),
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The text with this value at this path.
pub(super) fn set(text: Option<&str>, path: &[&str], value: &str) -> Result<String, Odd> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}\n");
    let mut wanted = parsed(text)?;
    put_value(&mut wanted, path, value);
    let unit = unit(text);
    let new = put(text, start(text), path, &Value::from(value).to_string(), &unit)?;
    if parsed(&new)? != wanted {
        return Err(odd(text, 0, "a name stands in it twice"));
    }
    Ok(new)
}

/// The text without what stands at this path. An object that held nothing else goes with it.
pub(super) fn remove(text: &str, path: &[&str]) -> Result<String, Odd> {
    let mut wanted = parsed(text)?;
    take_value(&mut wanted, path);
    let new = take(text, start(text), path)?.unwrap_or_else(|| text.into());
    if parsed(&new)? != wanted {
        return Err(odd(text, 0, "a name stands in it twice"));
    }
    Ok(new)
}

/// Whether it is an object without members.
pub(super) fn is_bare(text: &str) -> bool {
    parsed(text).is_ok_and(|value| value.as_object().is_some_and(Map::is_empty))
}

fn parsed(text: &str) -> Result<Value, Odd> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| Odd {
        line: error.line(),
        why: if error.is_eof() { "it ends too early" } else { "it is not JSON" }.into(),
    })?;
    if value.is_object() { Ok(value) } else { Err(odd(text, start(text), "it is no object")) }
}

fn put_value(at: &mut Value, path: &[&str], value: &str) {
    match path {
        [] => *at = value.into(),
        [name, rest @ ..] => {
            if let Value::Object(members) = at {
                let below = members.entry(*name).or_insert_with(|| Value::Object(Map::new()));
                put_value(below, rest, value);
            }
        }
    }
}

fn take_value(at: &mut Value, path: &[&str]) {
    let (Some(members), [name, rest @ ..]) = (at.as_object_mut(), path) else { return };
    if let Some(below) = members.get_mut(*name).filter(|_| !rest.is_empty()) {
        let is_bare = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        let was_bare = is_bare(below);
        take_value(below, rest);
        if was_bare || !is_bare(below) {
            return;
        }
    }
    members.remove(*name);
}

/// A member of an object, by the octets it stands on.
struct Member {
    name: String,
    first: usize,
    value: Range<usize>,
}

/// The members of the object that begins here, and where its bracket closes.
fn members(text: &str, object: usize) -> Result<(Vec<Member>, usize), Odd> {
    let broken = |at| odd(text, at, "it is not JSON");
    if text.as_bytes().get(object) != Some(&b'{') {
        return Err(odd(text, object, "it is no object"));
    }
    let (mut found, mut at) = (Vec::new(), blanks(text, object + 1));
    while text.as_bytes().get(at) != Some(&b'}') {
        let first = at;
        let mut names = Deserializer::from_str(&text[at..]).into_iter::<String>();
        let name = names.next().and_then(Result::ok).ok_or_else(|| broken(first))?;
        at = blanks(text, at + names.byte_offset());
        if text.as_bytes().get(at) != Some(&b':') {
            return Err(broken(at));
        }
        at = blanks(text, at + 1);
        let mut values = Deserializer::from_str(&text[at..]).into_iter::<IgnoredAny>();
        values.next().and_then(Result::ok).ok_or_else(|| broken(first))?;
        let value = at..at + values.byte_offset();
        at = blanks(text, value.end);
        found.push(Member { name, first, value });
        match text.as_bytes().get(at) {
            Some(b',') => at = blanks(text, at + 1),
            Some(b'}') => {}
            _ => return Err(broken(at)),
        }
    }
    Ok((found, at))
}

/// The text in which the object that begins at `object` has this.
fn put(text: &str, object: usize, path: &[&str], value: &str, unit: &str) -> Result<String, Odd> {
    let [name, rest @ ..] = path else { return Ok(text.into()) };
    let (members, end) = members(text, object)?;
    if let Some(member) = members.iter().find(|member| member.name == *name) {
        if !rest.is_empty() {
            return put(text, member.value.start, rest, value, unit);
        }
        return Ok(format!("{}{value}{}", &text[..member.value.start], &text[member.value.end..]));
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let outer = margin(text, object);
    let head = &text[..=object];
    match members.first() {
        Some(first) if !text[object..first.first].contains('\n') => {
            let member = rendered(name, rest, value, None);
            Ok(format!("{head}{}{member},{}", &text[object + 1..first.first], &text[object + 1..]))
        }
        Some(first) => {
            let margin = margin(text, first.first);
            let member = rendered(name, rest, value, Some((newline, &margin, unit)));
            Ok(format!("{head}{newline}{margin}{member},{}", &text[object + 1..]))
        }
        None => {
            let margin = format!("{outer}{unit}");
            let member = rendered(name, rest, value, Some((newline, &margin, unit)));
            Ok(format!("{head}{newline}{margin}{member}{newline}{outer}{}", &text[end..]))
        }
    }
}

/// A member that holds the value, in objects of its own where the path goes on.
fn rendered(name: &str, rest: &[&str], value: &str, lines: Option<(&str, &str, &str)>) -> String {
    let key = Value::from(name).to_string();
    let [next, rest @ ..] = rest else { return format!("{key}: {value}") };
    match lines {
        Some((newline, margin, unit)) => {
            let inner = format!("{margin}{unit}");
            let below = rendered(next, rest, value, Some((newline, &inner, unit)));
            format!("{key}: {{{newline}{inner}{below}{newline}{margin}}}")
        }
        None => format!("{key}: {{{}}}", rendered(next, rest, value, None)),
    }
}

/// The text in which the object that begins at `object` has that no longer. `None`: it has not.
fn take(text: &str, object: usize, path: &[&str]) -> Result<Option<String>, Odd> {
    let [name, rest @ ..] = path else { return Ok(None) };
    let (all, end) = members(text, object)?;
    let Some(at) = all.iter().position(|member| member.name == *name) else { return Ok(None) };
    let member = &all[at];
    if !rest.is_empty() {
        let Some(without) = take(text, member.value.start, rest)? else { return Ok(None) };
        if !members(&without, member.value.start)?.0.is_empty() {
            return Ok(Some(without));
        }
    }
    let goes = match (at.checked_sub(1), all.get(at + 1)) {
        (Some(before), _) => all[before].value.end..member.value.end,
        (None, Some(_)) => {
            let comma = blanks(text, member.value.end);
            // What stands between the bracket and the first member comes once more behind the comma.
            object + 1..comma + 1
        }
        (None, None) => object + 1..end,
    };
    Ok(Some(format!("{}{}", &text[..goes.start], &text[goes.end..])))
}

fn blanks(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + (rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len())
}

fn start(text: &str) -> usize {
    blanks(text, 0)
}

/// The blanks that the line of this octet begins with.
fn margin(text: &str, at: usize) -> String {
    let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[begin..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
}

/// By what the file indents.
fn unit(text: &str) -> String {
    let first = members(text, start(text)).ok().and_then(|(members, _)| members.into_iter().next());
    first.map(|first| margin(text, first.first)).filter(|unit| !unit.is_empty()).unwrap_or("  ".into())
}

fn odd(text: &str, at: usize, why: &str) -> Odd {
    Odd { line: text[..at.min(text.len())].matches('\n').count() + 1, why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &[&str] = &["credHelpers", "registry.example"];

    /// What comes of the text, and that it comes back.
    #[track_caller]
    fn becomes(before: &str, path: &[&str], after: &str) {
        let new = set(Some(before), path, "keyfob").expect("it is set");
        assert_eq!(new, after);
        assert_eq!(set(Some(&new), path, "keyfob").as_deref(), Ok(after), "twice is once");
        assert_eq!(remove(&new, path).as_deref(), Ok(before), "it is taken out again");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        becomes("{}\n", &["a"], "{\n  \"a\": \"keyfob\"\n}\n");
        becomes(
            "{\n\t\"auths\": {\"x\":   {}},\n\t\"z\":1e3\n}",
            PATH,
            "{\n\t\"credHelpers\": {\n\t\t\"registry.example\": \"keyfob\"\n\t},\n\t\"auths\": {\"x\":   {}},\n\t\"z\":1e3\n}",
        );
        becomes(
            "{\"credHelpers\": {\"other\": \"else\"}, \"a\": [1, \"}\"]}\n",
            PATH,
            "{\"credHelpers\": {\"registry.example\": \"keyfob\",\"other\": \"else\"}, \"a\": [1, \"}\"]}\n",
        );
        becomes(
            "{ \"a\": \"\\\"{\" }",
            PATH,
            "{ \"credHelpers\": {\"registry.example\": \"keyfob\"}, \"a\": \"\\\"{\" }",
        );
        becomes("{\r\n    \"a\": 1\r\n}\r\n", &["b"], "{\r\n    \"b\": \"keyfob\",\r\n    \"a\": 1\r\n}\r\n");
    }

    #[test]
    fn one_that_was_moved_is_found() {
        let moved = "{\"a\": 1, \"credHelpers\": {\"x\": \"y\", \"registry.example\": \"keyfob\"}}";
        assert_eq!(remove(moved, PATH).as_deref(), Ok("{\"a\": 1, \"credHelpers\": {\"x\": \"y\"}}"));
        let alone = "{\"a\": 1,\n \"credHelpers\": {\"registry.example\": \"keyfob\"}}";
        assert_eq!(remove(alone, PATH).as_deref(), Ok("{\"a\": 1}"));
        assert_eq!(remove("{\"a\": {}}", &["a", "b"]).as_deref(), Ok("{\"a\": {}}"), "it is not there");
        assert_eq!(get(Some(moved), PATH), Ok(Some("keyfob".into())));
        assert_eq!(get(None, PATH), Ok(None));
    }

    #[test]
    fn what_is_broken_is_named_by_its_line() {
        for (text, line) in [("{\n  \"a\": 1,\n}", 3), ("{\"a\":", 1), ("\n[]", 2), ("{\n// c\n}", 2)] {
            assert_eq!(set(Some(text), &["b"], "keyfob").map_err(|odd| odd.line), Err(line), "{text}");
        }
        assert!(set(Some("{\"credHelpers\": 7}"), PATH, "keyfob").is_err());
        assert!(set(Some("{\"b\": \"x\", \"b\": \"y\"}"), &["b"], "keyfob").is_err(), "which one counts?");
    }
}
