//! What may reach a terminal, and what comes from one.

use std::{
    io::{self, BufRead},
    sync::mpsc::{self, Receiver},
};

/// Lines of stdin, as they come. The thread ends with the process: a read from a terminal cannot be called off.
pub(crate) fn lines() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Text from outside, made harmless.
pub(crate) fn plain(text: &str) -> String {
    keyfob::core::error::escape(text)
}

/// Text of any length from outside, made harmless.
pub(crate) fn plain_whole(text: &str) -> String {
    keyfob::core::error::escape_whole(text)
}
