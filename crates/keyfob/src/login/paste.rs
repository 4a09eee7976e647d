//! Reads pasted text until it is complete.

use std::sync::mpsc::{Receiver, TryRecvError};

use keyfob_core::{Cause, Error, Id, Result};

/// How many looks without another line end a paste. A wrapped one arrives in several, over a slow connection one by
/// one, and the first of them alone could be taken for a whole code.
const SETTLED: u32 = 6;
/// The longest text that is accepted. A longer one is no answer, and no piece of it is taken for one.
const LARGEST: usize = 64 * 1024;

/// What a look at pasted text shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pasted {
    /// Nothing that is complete.
    Nothing,
    /// All of it.
    Text(String),
    /// It cannot be accepted as a whole, for this reason.
    Cut(Error),
}

/// Pasted text that is still arriving.
pub(crate) struct Paste<'r> {
    lines: Option<&'r Receiver<Result<String>>>,
    text: String,
    /// Why it is incomplete, if it is.
    cut: Option<Error>,
    /// That has been reported: the rest of it is discarded.
    told: bool,
    quiet: u32,
}

impl<'r> Paste<'r> {
    pub(crate) fn new(lines: Option<&'r Receiver<Result<String>>>) -> Self {
        Self { lines, text: String::new(), cut: None, told: false, quiet: 0 }
    }

    /// One poll. The whole text, once no more has come for a moment; or why it could not be accepted as a whole.
    pub(crate) fn look(&mut self) -> Pasted {
        let mut came = false;
        // So much at one look, and no more: the callback is waited for as well.
        for _ in 0..LARGEST {
            let Some(lines) = self.lines else { break };
            match lines.try_recv() {
                Ok(Ok(line)) if self.cut.is_none() && self.text.len() + line.len() <= LARGEST => {
                    self.text.push_str(&line);
                    self.text.push('\n');
                }
                Ok(Ok(_)) => drop(self.cut.get_or_insert_with(too_long)),
                Ok(Err(error)) => drop(self.cut.get_or_insert(error)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.lines = None;
                    break;
                }
            }
            came = true;
        }
        self.quiet = if came { 0 } else { self.quiet + 1 };
        if let Some(error) = &self.cut {
            self.text.clear();
            if !self.told {
                self.told = true;
                return Pasted::Cut(error.clone());
            }
            if self.quiet >= SETTLED {
                (self.cut, self.told) = (None, false);
            }
            return Pasted::Nothing;
        }
        let whole = self.quiet >= SETTLED || self.is_over();
        if !whole || self.text.trim().is_empty() {
            return Pasted::Nothing;
        }
        Pasted::Text(std::mem::take(&mut self.text))
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.lines.is_none()
    }
}

fn too_long() -> Error {
    let why = "it is longer than 64 KiB, and no answer is";
    Error::new(Id::CallbackInvalid, "the pasted text is not an answer of the sign-in page", why)
        .because(Cause::NotAnAnswer {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn text(text: &str) -> Pasted {
        Pasted::Text(text.to_owned())
    }

    #[test]
    fn a_wrapped_paste_is_one() {
        let (sender, lines) = channel();
        let mut paste = Paste::new(Some(&lines));
        for part in ["one", "two", "three"] {
            sender.send(Ok(part.into())).unwrap();
            for _ in 0..SETTLED {
                assert_eq!(paste.look(), Pasted::Nothing, "{part}");
            }
        }
        assert_eq!(paste.look(), text("one\ntwo\nthree\n"));
        assert!(paste.look() == Pasted::Nothing && !paste.is_over());
        sender.send(Ok("the last".into())).unwrap();
        drop(sender);
        assert_eq!(paste.look(), text("the last\n"), "nothing more can come");
        assert!(paste.is_over());
    }

    /// No piece of a text that is too long, or was cut on the way, is taken for an answer; that is reported once, and
    /// what is pasted afterwards counts.
    #[test]
    fn a_piece_is_no_answer() {
        for cut in [false, true] {
            let (sender, lines) = channel();
            let mut paste = Paste::new(Some(&lines));
            if cut {
                sender.send(Ok("the first part".into())).unwrap();
                sender.send(Err(too_long())).unwrap();
            } else {
                for _ in 0..100 {
                    sender.send(Ok("y".repeat(1024))).unwrap();
                }
            }
            sender.send(Ok("its last line".into())).unwrap();
            assert_eq!(paste.look(), Pasted::Cut(too_long()));
            for _ in 0..2 * SETTLED {
                assert_eq!(paste.look(), Pasted::Nothing);
            }
            sender.send(Ok("the right one".into())).unwrap();
            let looked = (0..2 * SETTLED).map(|_| paste.look()).find(|look| *look != Pasted::Nothing);
            assert_eq!(looked, Some(text("the right one\n")));
        }
    }
}
