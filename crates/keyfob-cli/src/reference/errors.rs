//! `docs/errors.md`, generated from the table of error ids.

use keyfob::internals::{core::Id, core::Kind};

/// The page of all errors: a heading for each id, so that a link can name it.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n<!-- Made from the table in crates/keyfob-core/src/error.rs:\n     \
         cargo run -p keyfob-cli -- man --errors > docs/errors.md -->\n\n\
         Every error is reported in three lines on stderr: what failed, why, and one thing to do about it. With `--json`,\n\
         its id is also on stdout. Ids and exit codes are stable; the wording is not.\n",
    );
    for kind in Kind::ALL {
        page.push_str(&format!("\n## Exit code {}: {}\n", kind.exit_code(), kind.title()));
        for id in Id::ALL.iter().filter(|id| id.kind() == *kind) {
            page.push_str(&format!("\n### {}\n\nWhat to do: {}.\n", id.word(), id.advice()));
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
}
