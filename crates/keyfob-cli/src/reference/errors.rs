//! `docs/errors.md` and the manual page keyfob-errors, generated from the tables of ids and causes and from the advice.

use keyfob::internals::core::{Cause, Id, Kind};

use crate::{advice, reference::causes::ids_of};

/// One error, as the documents present it.
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: Id,
    /// When it happens.
    pub(crate) when: &'static str,
    /// The advice if no more is known.
    pub(crate) hint: String,
    /// Its causes: their word, when each applies, and what to do about it.
    pub(crate) causes: Vec<(&'static str, &'static str, String)>,
}

/// All of them, in the order of the documents.
pub(crate) fn entries(kind: Kind) -> impl Iterator<Item = Entry> {
    Id::ALL.iter().copied().filter(move |id| id.kind() == kind).map(|id| Entry {
        id,
        when: id.when(),
        hint: advice::in_general(id, None),
        causes: Cause::samples()
            .iter()
            .filter(|cause| ids_of(cause).contains(&id))
            .map(|cause| (cause.word(), cause.when(), advice::in_general(id, Some(cause))))
            .collect(),
    })
}

/// A text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The page of all errors: a heading for each id, so that a link can name it.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n<!-- Made from the tables in crates/keyfob-core/src/error.rs and cause.rs and from the advice of the command:\n     \
         cargo run -p keyfob-cli -- man --errors > docs/errors.md -->\n\n\
         Every error is reported in three lines on stderr: what failed, why, and one thing to do about it. With `--json`,\n\
         its id and the word of its cause are also on stdout. Ids, causes and exit codes are stable; the wording is not.\n\
         Where a hint repeats what was typed or names what is there, this page says it in general. Names in capitals stand\n\
         for what the error is about.\n",
    );
    for kind in Kind::ALL {
        page.push_str(&format!("\n## Exit code {}: {}\n", kind.exit_code(), kind.title()));
        for Entry { id, when, hint, causes } in entries(*kind) {
            page.push_str(&format!("\n### {}\n\n{} What to do: {hint}.\n", id.word(), sentence(when)));
            if !causes.is_empty() {
                page.push_str("\n| cause | when | what to do |\n|---|---|---|\n");
            }
            for (word, when, hint) in causes {
                page.push_str(&format!("| `{word}` | {when} | {} |\n", hint.replace('|', "\\|")));
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_page_is_current() {
        assert!(
            super::super::committed("errors.md") == page(),
            "make it again: cargo run -p keyfob-cli -- man --errors > docs/errors.md"
        );
    }

    #[test]
    fn every_id_has_its_place_on_the_page() {
        let page = page();
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        assert_eq!(headings.len(), Id::ALL.len(), "an id of a kind that is not in Kind::ALL");
        for id in Id::ALL {
            assert!(headings.contains(&id.word()), "{}", id.word());
        }
    }

    #[test]
    fn every_cause_has_its_place_on_the_page() {
        let page = page();
        for cause in Cause::samples() {
            let row = format!("| `{}` | {} |", cause.word(), cause.when());
            assert!(page.contains(&row), "{}: no id is said to have it", cause.word());
        }
    }
}
