//! The manual: a page for each command, from the parser, and one for each reference page of `docs/`.

mod commands;
mod descriptions;
mod markdown;
mod page;
mod roff;
mod text;

use clap::CommandFactory;

pub(crate) use self::{page::Page, roff::render as troff, text::render as text};
use crate::{args::Arguments, reference};

/// Every page.
pub(crate) fn pages() -> Vec<Page> {
    let mut pages = commands::pages(Arguments::command());
    let reference = [
        ("config", '5', "the configuration file of keyfob", include_str!("../configuration.md").to_owned()),
        ("environment", '7', "the environment variables of keyfob", reference::environment::page()),
        ("errors", '7', "the errors of keyfob: their ids, causes and what to do", reference::errors::page()),
    ];
    let reference = reference.iter().map(|(name, section, about, markdown)| {
        markdown::page(&format!("keyfob-{name}"), *section, about, markdown)
    });
    pages.extend(reference);
    pages
}

/// The page requested by these words: `login`, `profiles use`, `keyfob-config`. None: the first.
pub(crate) fn find(words: &[String]) -> Option<Page> {
    let asked = words.join("-");
    let asked = asked.strip_prefix("keyfob-").unwrap_or(&asked);
    let is_it = |page: &Page| match asked {
        "" | "keyfob" => page.name == "keyfob",
        asked => page.name.strip_prefix("keyfob-") == Some(asked),
    };
    pages().into_iter().find(is_it)
}

/// The names of the pages that can be requested, and their subjects.
pub(crate) fn names() -> impl Iterator<Item = (String, String)> {
    pages()
        .into_iter()
        .map(|page| (page.name.strip_prefix("keyfob-").unwrap_or(&page.name).to_owned(), page.about))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_what_a_reader_looks_for() {
        let pages = pages();
        for page in &pages {
            let troff = troff(page);
            assert!(
                troff.contains(&format!(".TH {} {} ", page.name.to_uppercase(), page.section)),
                "{}",
                page.name
            );
            let sections: &[&str] = match page.section {
                '1' => &[
                    "SYNOPSIS",
                    "DESCRIPTION",
                    "OPTIONS",
                    "EXIT STATUS",
                    "ENVIRONMENT",
                    "FILES",
                    "EXAMPLES",
                    "SEE ALSO",
                ],
                _ => &["DESCRIPTION", "SEE ALSO"],
            };
            for section in ["NAME"].iter().chain(sections) {
                let heading = if section.contains(' ') {
                    format!(".SH \"{section}\"")
                } else {
                    format!(".SH {section}\n")
                };
                assert!(troff.contains(&heading), "{} has no {section}: {troff}", page.name);
            }
        }
    }

    /// Every page that another one refers to exists.
    #[test]
    fn pages_refer_to_pages_that_exist() {
        let pages = pages();
        let names: Vec<_> = pages.iter().map(|page| format!("{}({})", page.name, page.section)).collect();
        for page in &pages {
            let text = text(page, crate::output::manner::Manner::default());
            let words = text.split([' ', ',', '\n', '.']);
            let is_page = |word: &&str| {
                word.starts_with("keyfob") && ["(1)", "(5)", "(7)"].iter().any(|end| word.ends_with(end))
            };
            for word in words.filter(is_page) {
                assert!(names.iter().any(|name| name == word), "{} refers to {word}", page.name);
            }
        }
    }

    #[test]
    fn pages_are_found_by_what_people_call_them() {
        let find = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            find(&words).map(|page| page.file())
        };
        assert_eq!(find(&[]).as_deref(), Some("keyfob.1"));
        assert_eq!(find(&["login"]).as_deref(), Some("keyfob-login.1"));
        assert_eq!(find(&["keyfob-config"]).as_deref(), Some("keyfob-config.5"));
        assert_eq!(find(&["profiles", "use"]).as_deref(), Some("keyfob-profiles-use.1"));
        assert_eq!(find(&["nothing"]), None);
    }
}
