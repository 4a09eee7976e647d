//! The words of a command line, in the format that each shell sends.

/// How a shell splits a line into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// At blanks, and at `=` and `:` too; it expects only the part after the last split, and only matching candidates.
    Bash,
    /// Splits at blanks. It selects candidates by its own rules.
    Plain,
}

impl Dialect {
    /// The one of this shell.
    pub(crate) fn of(shell: &str) -> Option<Self> {
        match shell {
            "bash" => Some(Self::Bash),
            "zsh" | "fish" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// A line up to the cursor.
#[derive(Debug)]
pub(crate) struct Line {
    dialect: Dialect,
    /// The words before the current one, the command's name first.
    pub(super) words: Vec<String>,
    /// The beginning of the current word.
    pub(super) current: String,
    /// The shell's number for each word, and for the current one.
    numbers: Vec<usize>,
    /// How much of the current word the shell keeps by itself.
    kept: usize,
}

impl Line {
    /// The line from what a script sends: for bash the text up to the cursor, then every word, the current one last.
    pub(crate) fn of(dialect: Dialect, mut sent: Vec<String>) -> Option<Self> {
        let mut line = match dialect {
            Dialect::Bash => {
                let text = if sent.is_empty() { return None } else { sent.remove(0) };
                joined(&text, &sent)
            }
            Dialect::Plain => Self {
                dialect,
                numbers: (0..sent.len()).collect(),
                words: sent,
                current: String::new(),
                kept: 0,
            },
        };
        line.current = line.words.pop()?;
        (!line.words.is_empty()).then_some(line)
    }

    /// The shell's number of the word at this place.
    pub(super) fn number_of(&self, at: usize) -> usize {
        self.numbers.get(at).copied().unwrap_or(at)
    }

    /// A candidate in the form the shell expects; `None` if it does not match.
    pub(super) fn shown<'w>(&self, word: &'w str) -> Option<&'w str> {
        match self.dialect {
            Dialect::Plain => Some(word),
            Dialect::Bash if word.starts_with(&self.current) => word.get(self.kept..),
            Dialect::Bash => None,
        }
    }
}

/// Rejoins words that bash split at `=` and `:`, where no blank separates the pieces.
fn joined(text: &str, pieces: &[String]) -> Line {
    let is_break = |piece: &str| !piece.is_empty() && piece.chars().all(|c| "=:".contains(c));
    let mut line = Line {
        dialect: Dialect::Bash,
        words: Vec::new(),
        current: String::new(),
        numbers: Vec::new(),
        kept: 0,
    };
    let (mut rest, mut after_break) = (text, false);
    for (number, piece) in pieces.iter().enumerate() {
        let found = rest.find(piece.as_str()).unwrap_or(0);
        rest = rest.get(found + piece.len()..).unwrap_or("");
        let belongs = found == 0 && !piece.is_empty() && (after_break || is_break(piece));
        let word = unquoted(piece);
        match line.words.last_mut() {
            Some(last) if belongs => {
                line.kept = if is_break(piece) { last.len() + word.len() } else { last.len() };
                last.push_str(&word);
            }
            _ => {
                line.kept = 0;
                line.words.push(word);
                line.numbers.push(number);
            }
        }
        after_break = is_break(piece);
    }
    line
}

/// A word without the quotes and backslashes that the shell would remove. A quote may still be open.
fn unquoted(word: &str) -> String {
    let (mut plain, mut quote, mut letters) = (String::new(), None, word.chars());
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => plain.extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('\'' | '"', None) => quote = Some(letter),
            (letter, _) => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_the_shells() {
        for (word, plain) in [
            ("a", "a"),
            ("'a b'", "a b"),
            ("\"a\\\"b", "a\"b"),
            ("a\\ b", "a b"),
            ("'a\\b", "a\\b"),
            ("\\", ""),
        ] {
            assert_eq!(unquoted(word), plain, "{word}");
        }
    }

    #[test]
    fn a_blank_before_an_equals_sign_ends_a_word() {
        let pieces = ["keyfob", "--only", "=", "x"].map(str::to_owned);
        assert_eq!(joined("keyfob --only=x", &pieces).words, ["keyfob", "--only=x"]);
        assert_eq!(joined("keyfob --only = x", &pieces).words, ["keyfob", "--only", "=", "x"]);
    }
}
