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

/// A text as a QR code of half blocks, dark on light whatever the terminal's colours; nothing when it is too long.
pub(crate) fn qr(text: &str) -> String {
    use qrcode::{QrCode, render::unicode::Dense1x2};
    QrCode::new(text).map_or(String::new(), |code| {
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
    })
}
