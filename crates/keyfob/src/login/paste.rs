//! Reads pasted text until it is complete.

use std::sync::mpsc::{Receiver, TryRecvError};

/// How many looks without another line end a paste. A wrapped one arrives in several, over a slow connection one by
/// one, and the first of them alone could be taken for a whole code.
const SETTLED: u32 = 6;
/// The longest text anybody pastes; somebody's endless output is cut here.
const LARGEST: usize = 16 * 1024;

/// Pasted text, on its way.
pub(crate) struct Paste<'r> {
    lines: Option<&'r Receiver<String>>,
    text: String,
    quiet: u32,
}

impl<'r> Paste<'r> {
    pub(crate) fn new(lines: Option<&'r Receiver<String>>) -> Self {
        Self { lines, text: String::new(), quiet: 0 }
    }

    /// One look. All of it, once no more has come for a moment.
    pub(crate) fn look(&mut self) -> Option<String> {
        let before = self.text.len();
        while let Some(lines) = self.lines
            && self.text.len() < LARGEST
        {
            match lines.try_recv() {
                Ok(line) => {
                    self.text.push_str(&line);
                    self.text.push('\n');
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.lines = None,
            }
        }
        self.quiet = if self.text.len() == before { self.quiet + 1 } else { 0 };
        let whole = self.quiet >= SETTLED || self.is_over() || self.text.len() >= LARGEST;
        if !whole || self.text.trim().is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.text))
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.lines.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_wrapped_paste_is_one() {
        let (sender, lines) = channel();
        let mut paste = Paste::new(Some(&lines));
        for part in ["one", "two", "three"] {
            sender.send(part.into()).unwrap();
            for _ in 0..SETTLED {
                assert_eq!(paste.look(), None, "{part}");
            }
        }
        assert_eq!(paste.look().as_deref(), Some("one\ntwo\nthree\n"));
        assert!(paste.look().is_none() && !paste.is_over());
        sender.send("the last".into()).unwrap();
        drop(sender);
        assert_eq!(paste.look().as_deref(), Some("the last\n"), "nothing more can come");
        assert!(paste.is_over());
    }

    #[test]
    fn endless_output_is_cut() {
        let (sender, lines) = channel();
        for _ in 0..LARGEST {
            sender.send("yes".into()).unwrap();
        }
        let mut paste = Paste::new(Some(&lines));
        assert!(paste.look().is_some_and(|text| text.len() <= LARGEST + 4));
    }
}
