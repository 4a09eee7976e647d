//! The one hint to give: chosen from the failure, its cause and the caller's situation.
//!
//! The library says what failed and why ([`Error`] with its [`Cause`]); it knows nothing of commands and flags. Only
//! this module suggests what to type. So it also repeats the `--home`, `--profile` and `--environment` that were given,
//! and knows which logins exist.

mod by_id;
mod choice;
mod configuration;
mod doors;
mod federation;
mod given;
mod keys;
mod network;
mod people;
mod places;
mod situation;
pub(crate) mod usage;
mod words;

use keyfob::{Error, internals::core::Cause};

use self::choice::Choice;
pub(crate) use self::{
    given::Given,
    situation::Situation,
    words::{nearest, quoted},
};

/// The lines of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// What failed.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// The one thing to do.
    pub(crate) hint: String,
}

/// The lines of this failure, in the situation of this run.
pub(crate) fn told(error: &Error) -> Told {
    choose(error, situation::of_this_run())
}

/// The same as an error, for the page that ends a sign-in, which displays it itself.
pub(crate) fn told_error(error: &Error) -> Error {
    let Told { what, why, hint } = told(error);
    Error::new(error.id(), what, why).hint(hint)
}

/// The same in a given situation.
fn choose(error: &Error, situation: &Situation) -> Told {
    let choice = match (error.advice(), error.cause()) {
        // Whoever made this error is this command itself, and said what to do.
        (Some(hint), _) => hint.into(),
        (None, Some(cause)) => {
            by_cause(error, cause, situation).unwrap_or_else(|| by_id::hint(error.id(), situation))
        }
        (None, None) => by_id::hint(error.id(), situation),
    };
    let line = |chosen: Option<String>, own: &str| {
        chosen.map_or_else(|| own.to_owned(), |text| keyfob::internals::core::error::escape_whole(&text))
    };
    Told {
        what: line(choice.what, error.what()),
        why: line(choice.why, error.why()),
        hint: line(Some(situation.repeat(&choice.hint)), ""),
    }
}

/// The advice for a cause. `None`: there is none here, and that of the id applies.
fn by_cause(error: &Error, cause: &Cause, situation: &Situation) -> Option<Choice> {
    people::choose(cause, situation)
        .or_else(|| network::choose(cause, situation))
        .or_else(|| places::choose(error, cause, situation))
        .or_else(|| keys::choose(cause, situation))
        .or_else(|| configuration::choose(cause, situation))
        .or_else(|| federation::choose(cause))
        .or_else(|| doors::choose(cause))
}

/// The text of the errors page about an id, or about one of its causes, independent of any situation.
pub(crate) fn in_general(id: keyfob::ErrorId, cause: Option<&Cause>) -> String {
    let error = Error::new(id, "", "").maybe_because(cause.cloned());
    choose(&error, &Situation::default()).hint
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob::ErrorId as Id;

    /// The page is generated from this: a cause that is added to the library needs its own advice here.
    #[test]
    fn every_cause_has_advice_of_its_own() {
        for cause in Cause::samples() {
            let choice = by_cause(&Error::new(Id::Bug, "", ""), &cause, &Situation::default());
            assert!(choice.is_some_and(|choice| !choice.hint.is_empty()), "{}", cause.word());
        }
    }

    /// The library reports a cause and never suggests a command. Its documentation and tests are exempt.
    #[test]
    fn the_library_gives_no_advice_of_its_own() {
        fn walk(dir: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    walk(&entry, found);
                    continue;
                }
                let text = std::fs::read_to_string(&entry).unwrap_or_default();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let gives = |line: &&str| line.contains(".hint(\"") || line.contains(".hint(format!");
                found.extend(lines.filter(gives).map(|line| format!("{}: {line}", entry.display())));
            }
        }
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        for name in ["keyfob", "keyfob-core"] {
            walk(&crates.join(name).join("src"), &mut found);
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    /// A hint is one sentence that continues "hint:", and names no page that an installed command lacks.
    #[test]
    fn a_hint_is_one_sentence_and_names_no_file_of_the_source_tree() {
        let ids = Id::ALL.iter().map(|id| (id.word(), in_general(*id, None)));
        let causes = Cause::samples().into_iter().map(|c| (c.word(), in_general(Id::Bug, Some(&c))));
        for (word, hint) in ids.chain(causes) {
            assert!(!hint.is_empty() && !hint.ends_with('.') && !hint.contains("docs/"), "{word}: {hint}");
            assert!(hint.matches('`').count() % 2 == 0, "{word}: {hint}");
        }
    }
}
