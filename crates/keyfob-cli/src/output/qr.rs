//! QR codes for a terminal.

use std::io;

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// A text as a QR code of half blocks, dark on light whatever the terminal's colours. One that the terminal would
/// break into pieces is not shown: it is said how much room it takes.
pub(crate) fn qr(text: &str) -> String {
    // The least redundancy: a screen has no scratches, and the code stays as small as it can be.
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else {
        return "The address is too long for a QR code.".into();
    };
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let (width, height) = (picture.lines().map(|line| line.chars().count()).max(), picture.lines().count());
    let (width, height) = (width.unwrap_or(0), height + 1);
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && usize::from(size.ws_col) < width => format!(
            "The QR code needs {width} columns and {height} lines, and this terminal has {}: make it wider, or its \
             letters smaller, and start again.",
            size.ws_col
        ),
        _ => picture,
    }
}
