//! Phrases that several hints share.

use std::{borrow::Cow, path::Path};

use keyfob::internals::world::system::env;

/// A word as a shell reads it back.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// A path as a person writes it: with `~` for the home directory.
pub(super) fn homely(path: &Path) -> String {
    let home = env::path(env::variables(), "HOME").filter(|home| home.as_os_str().len() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_path_buf)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

/// The most similar of some names, if one is similar enough to be a likely correction.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = name.chars().count().div_ceil(3);
    let near = |known: &&str| distance(name, known) <= allowed;
    names.into_iter().filter(near).min_by_key(|known| distance(name, known))
}

/// How many letters have to be put in, left out, changed or swapped with the next one to make one word of another.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // From nothing, and to nothing, it takes as many as there are letters.
    let mut rows: Vec<Vec<usize>> = (0..=one.len()).map(|i| (i..=i + other.len()).collect()).collect();
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let changed = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[one.len()][other.len()]
}

/// A list for a sentence.
pub(super) fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_only_where_it_needs_that() {
        assert_eq!(quoted("/tmp/a-b_c.d"), "/tmp/a-b_c.d");
        assert_eq!(quoted("my home"), "'my home'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(id)"), "'$(id)'");
    }

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        assert_eq!(nearest("wrok", ["default", "work"]), Some("work"));
        assert_eq!(nearest("stagign", ["production", "staging"]), Some("staging"));
        assert_eq!(nearest("nope", ["default", "work"]), None);
        assert_eq!(nearest("work", ["work-2", "work"]), Some("work"));
    }
}
