//! The style of a stream: plain for programs; with bold, colours, marks and line breaks between words for a user at a
//! terminal.

use std::{
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use anstyle::{Ansi256Color, AnsiColor, Style};
use keyfob::internals::{core::contract::Variables, world::system::env};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Longer lines are hard to read, however wide the terminal is: the help has the same limit.
const WIDEST: usize = 100;
/// On a narrower screen words are too long for the line anyway.
const NARROWEST: usize = 20;

/// The capabilities of a stream's reader.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Lines are broken at this width; `None`: the output is not shown on a terminal.
    columns: Option<usize>,
    /// Whether escape sequences for bold and colours are understood and wanted.
    styled: bool,
    /// Whether there are more colours than the first sixteen, which users choose themselves.
    palette: bool,
    /// Whether signs beyond ASCII are understood.
    signs: bool,
}

impl Manner {
    /// That of standard output.
    pub(crate) fn of_answers() -> Self {
        Self::of(&io::stdout())
    }

    /// That of standard error.
    pub(crate) fn of_messages() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &(impl AsFd + IsTerminal)) -> Self {
        if !stream.is_terminal() {
            return Self::default();
        }
        // A terminal that does not know how wide it is says 0.
        let columns = rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
        Self::of_terminal(columns, env::variables())
    }

    fn of_terminal(columns: usize, variables: &Variables) -> Self {
        let capable = variables.text("TERM").is_some_and(|term| term != "dumb");
        // <https://no-color.org>: set and not empty.
        let plain = variables.text("NO_COLOR").is_some();
        // The order of locale(7); the text behind the dot is the encoding.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variables.text(name));
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.ends_with("utf-8") || locale.ends_with("utf8")
        });
        let columns = (columns > 0).then(|| columns.clamp(NARROWEST, WIDEST));
        let palette = variables.text("COLORTERM").is_some()
            || variables
                .text("TERM")
                .is_some_and(|term| term.contains("256color") || term.contains("direct"));
        Self { columns, styled: capable && !plain, palette, signs: capable && utf8 }
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.styled { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The important part of a line.
    pub(crate) fn bold(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// Something in order.
    pub(crate) fn good(self, text: &str) -> String {
        self.styled(AnsiColor::Green.on_default().bold(), text)
    }

    /// Something that needs attention.
    pub(crate) fn doubtful(self, text: &str) -> String {
        self.styled(AnsiColor::Yellow.on_default().bold(), text)
    }

    /// Something that failed.
    pub(crate) fn bad(self, text: &str) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    /// Black on white, whatever the terminal's own colours are. `None`: colours are not available.
    pub(crate) fn on_paper(self, text: &str) -> Option<String> {
        // The corners of the colour cube, which nobody redefines.
        let style = if self.palette {
            Ansi256Color(16).on(Ansi256Color(231))
        } else {
            AnsiColor::Black.on(AnsiColor::White)
        };
        self.styled.then(|| format!("{style}{text}{style:#}"))
    }

    /// ✓ and a blank before something that is in order, ✗ before something that is not; nothing where marks could not
    /// be read.
    pub(crate) fn mark(self, good: bool) -> String {
        match (self.signs, good) {
            (false, _) => String::new(),
            (true, true) => format!("{} ", self.good("✓")),
            (true, false) => format!("{} ", self.bad("✗")),
        }
    }

    /// Breaks lines between words. Continuation lines keep the indentation of the first.
    pub(crate) fn prose(self, text: &str) -> String {
        self.hanging(text, 0)
    }

    /// The same, with continuation lines indented further: below the text that follows a label.
    pub(crate) fn hanging(self, text: &str, further: usize) -> String {
        let Some(columns) = self.columns else { return text.to_owned() };
        text.split('\n').map(|line| broken(line, columns, further)).collect::<Vec<_>>().join("\n")
    }
}

/// One line, in as many as it needs. A URL stays whole, and so does a command in backquotes: both are copied.
fn broken(line: &str, columns: usize, further: usize) -> String {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    let rest = " ".repeat((indent + further).min(columns / 2));
    let first = " ".repeat(indent);
    let options = Options::new(columns)
        .initial_indent(&first)
        .subsequent_indent(&rest)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false);
    // No-break spaces hold a command together, and are blanks again afterwards.
    let held: String = text
        .split('`')
        .enumerate()
        .map(|(at, part)| if at % 2 == 1 { format!("`{}`", part.replace(' ', HELD)) } else { part.into() })
        .collect();
    // An unpaired one is an apostrophe of somebody's.
    let held = if text.matches('`').count().is_multiple_of(2) { held } else { text.to_owned() };
    textwrap::fill(&held, options).replace(HELD, " ")
}

/// Stands for a blank of a command while lines are broken.
const HELD: &str = "\u{a0}";

#[cfg(test)]
impl Manner {
    /// The style for a terminal with these variables.
    pub(crate) fn for_tests(columns: usize, variables: &[(&str, &str)]) -> Self {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        Self::of_terminal(columns, &pairs.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn a_capable_terminal_gets_colours_and_signs_and_others_do_not() {
        let all = [("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")];
        let with = |more: &[(&str, &str)]| Manner::of_terminal(80, &variables(&[&all, more].concat()));
        assert_eq!(with(&[]).bold("a"), "\x1b[1ma\x1b[0m");
        assert!(with(&[]).mark(true).contains('✓'));
        assert_eq!(with(&[("NO_COLOR", "1")]).bold("a"), "a");
        assert_eq!(with(&[("NO_COLOR", "1")]).mark(true), "✓ ", "a sign is no colour");
        assert_eq!(with(&[("NO_COLOR", "")]).bold("a"), "\x1b[1ma\x1b[0m", "empty is unset");
        assert_eq!(with(&[("TERM", "dumb")]).bold("a"), "a");
        assert_eq!(with(&[("LC_ALL", "C")]).mark(true), "");
        assert_eq!(
            Manner::of_terminal(80, &variables(&[])).bold("a"),
            "a",
            "nobody says which terminal it is"
        );
        assert_eq!((Manner::default().bold("a"), Manner::default().mark(false)), ("a".into(), String::new()));
    }

    #[test]
    fn lines_break_between_words_and_nowhere_else() {
        let manner = Manner::of_terminal(30, &variables(&[]));
        assert_eq!(manner.prose("needs neither callback nor paste"), "needs neither callback nor\npaste");
        assert_eq!(
            manner.prose("  two blanks stay where a line is broken"),
            "  two blanks stay where a line\n  is broken"
        );
        assert_eq!(
            manner.hanging("hint:  run that and then the other", 7),
            "hint:  run that and then the\n       other"
        );
        let command = "sign in again with `keyfob login --profile work` now";
        assert_eq!(manner.prose(command), "sign in again with\n`keyfob login --profile work`\nnow");
        let address = "https://id.example/authorize?a-very=long-one&that=must-not-be-broken";
        assert_eq!(manner.prose(address), address);
        assert_eq!(manner.prose("one\n\ntwo"), "one\n\ntwo");
        assert_eq!(Manner::default().prose(command), command, "a pipe has no width");
        let styled = Manner { styled: true, ..manner };
        let text = format!("{} neither callback nor paste", styled.bold("needs"));
        assert_eq!(styled.prose(&text).lines().count(), 2, "what is not seen has no width");
    }
}
