//! A manual page, before it is troff or text.

/// One page.
pub(crate) struct Page {
    /// `keyfob-login`.
    pub(crate) name: String,
    /// The section of the manual: 1 for commands, 5 for files, 7 for the rest.
    pub(crate) section: char,
    /// Its subject, in a line.
    pub(crate) about: String,
    pub(super) blocks: Vec<Block>,
}

impl Page {
    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// A piece of a page.
pub(super) enum Block {
    /// The heading of a section.
    Section(String),
    /// A heading below a section's.
    Subsection(String),
    Paragraph(Text),
    /// A term, and its description.
    Item {
        term: Text,
        about: Text,
    },
    /// An entry of a list, behind its bullet or number.
    Entry {
        mark: String,
        text: Text,
    },
    /// Lines that stay as they are.
    Example(String),
}

/// A running text.
pub(super) type Text = Vec<Span>;

/// A piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Plain(String),
    /// Literal text to type.
    Literal(String),
    /// A placeholder.
    Variable(String),
}

pub(super) fn plain(text: impl Into<String>) -> Span {
    Span::Plain(text.into())
}

pub(super) fn literal(text: impl Into<String>) -> Span {
    Span::Literal(text.into())
}

/// A text whose commands and names stand in backquotes.
pub(super) fn marked(text: &str) -> Text {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| if at % 2 == 1 { literal(part) } else { plain(part) }).collect()
}
