//! The shape of the configuration file: where its keys are, what they may hold, and which one was meant.

use std::ops::Range;

use keyfob_core::config::keys::{Holds, KEYS, Section};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The line of an octet, as editors count them.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count()
}

/// The line of a key, with the tables it is in; in a list they are named by their number. Where the key is missed, the line of
/// the innermost of them that is there.
pub(super) fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let whole = DeTable::parse(text).ok()?;
    Some(line(text, span_of(whole.get_ref(), path)?.start))
}

/// Where the innermost of these keys is that is there.
pub(super) fn span_of(top: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let mut table = Some(top);
    let mut list: Option<&[Spanned<DeValue<'_>>]> = None;
    let mut at = None;
    for name in path {
        let (span, value) = if let Some(items) = list {
            let Some(item) = name.parse().ok().and_then(|number: usize| items.get(number)) else { break };
            (item.span(), item)
        } else {
            let found = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name));
            let Some((key, value)) = found else { break };
            (key.span(), value)
        };
        at = Some(span);
        table = value.get_ref().as_table();
        list = value.get_ref().as_array().map(|items| &**items);
    }
    at
}

/// Whether a key may hold this, by its kind.
pub(super) fn fits(holds: Holds, value: &DeValue<'_>) -> bool {
    match holds {
        Holds::Text => value.is_str(),
        Holds::Texts => value.as_array().is_some_and(|list| list.iter().all(|one| one.get_ref().is_str())),
        Holds::Numbers => {
            value.as_array().is_some_and(|list| list.iter().all(|one| fits(Holds::Port, one.get_ref())))
        }
        Holds::Boolean => value.is_bool(),
        Holds::Table => is_table_of_texts(value, true),
        // One that is too large for the reader is reported with its limits.
        Holds::Port => {
            let number = value.as_integer();
            number.is_some_and(|number| i64::from_str_radix(number.as_str(), number.radix()).is_ok())
        }
    }
}

/// Whether each of its names has a text, several, or, once, such a table of its own.
fn is_table_of_texts(value: &DeValue<'_>, nests: bool) -> bool {
    value.as_table().is_some_and(|table| {
        table.values().map(Spanned::get_ref).all(|value| {
            fits(Holds::Text, value) || fits(Holds::Texts, value) || nests && is_table_of_texts(value, false)
        })
    })
}

/// The key that was probably meant: one of this section's, with two letters of another at most.
pub(super) fn nearest(name: &str, here: Section) -> Option<&'static str> {
    let keys = KEYS.iter().filter(|key| key.section == here).map(|key| key.name);
    let by_distance = keys.map(|key| (distance(name, key), key));
    by_distance.filter(|(distance, _)| *distance <= 2).min().map(|(_, key)| key)
}

/// So many letters have to be put in, taken out or changed (Levenshtein).
fn distance(one: &str, two: &str) -> usize {
    if one.len() > 64 {
        return usize::MAX;
    }
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in two.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_table_is_found_again() {
        let text = "seal = \"file\"\n[agent.doors.ci]\nprofile = \"ci\"\n[[agent.sink]]\npath = \"/a\"\n[[agent.sink]]\npath = \"/b\"\n";
        let at =
            |path: &[&str]| line_of(text, &path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(at(&["agent", "doors", "ci"]), Some(2));
        assert_eq!(at(&["agent", "doors", "ci", "profile"]), Some(3));
        assert_eq!(at(&["agent", "doors", "ci", "socket"]), Some(2), "that it is missed there");
        assert_eq!(at(&["agent", "sink", "1", "path"]), Some(7));
        assert_eq!(at(&["nothing"]), None);
    }

    #[test]
    fn the_key_that_was_meant_is_two_letters_away_at_most() {
        assert_eq!(nearest("client_di", Section::Environment), Some("client_id"));
        assert_eq!(nearest("x", Section::Environment), None);
        assert_eq!(nearest(&"x".repeat(100_000), Section::Top), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "abc")), (3, 3, 0));
    }
}
