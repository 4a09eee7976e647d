//! QR codes for a terminal.

use std::io::{self, IsTerminal};

use qrcode::{Color, EcLevel, QrCode};

use crate::output::manner::Manner;

/// The margin that ISO/IEC 18004 requires, and one that readers still accept where the screen has no room for it.
const MARGINS: [usize; 2] = [4, 2];

/// A picture that fits the terminal, or why none does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Qr {
    /// Lines without line ends.
    Picture(String),
    /// A sentence for the person.
    NoRoom(String),
}

/// A text as a QR code, where so many lines below it have to stay visible.
pub(crate) fn qr(text: &str, below: usize) -> Qr {
    // A terminal that does not know how large it is says 0, and a file has no size at all.
    let size =
        rustix::termios::tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let room =
        size.map_or((usize::MAX, usize::MAX), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    drawn(text, Manner::of_messages(), room, below)
}

/// What has to be said below a picture at a terminal without colours.
pub(crate) fn qr_note(manner: Manner) -> Option<&'static str> {
    let needed = manner.on_paper("").is_none() && io::stderr().is_terminal();
    needed.then_some("It is drawn for a dark background, as NO_COLOR or TERM asks for no colours.")
}

fn drawn(text: &str, manner: Manner, (columns, lines): (usize, usize), below: usize) -> Qr {
    // The least redundancy: a screen has no scratches, and the code stays as small as it can be.
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else {
        return Qr::NoRoom("The address is too long for a QR code.".into());
    };
    let size = |margin: usize| {
        let side = code.width() + 2 * margin;
        (side, side.div_ceil(2))
    };
    let fits = |margin: &usize| {
        let (wide, high) = size(*margin);
        wide <= columns && high.saturating_add(below) <= lines
    };
    match MARGINS.into_iter().find(fits) {
        Some(margin) => Qr::Picture(picture(&code, margin, manner)),
        None => {
            let (wide, high) = size(MARGINS[1]);
            Qr::NoRoom(format!(
                "The QR code needs {wide} columns and {} lines, and this terminal has {columns} and {lines}: make it \
                 larger, or its letters smaller, and start again.",
                high + below
            ))
        }
    }
}

/// Two rows of modules in a line of half blocks. If the terminal has colours, black on white, whatever its own are;
/// otherwise for light letters on a dark background, as most have them.
fn picture(code: &QrCode, margin: usize, manner: Manner) -> String {
    let (modules, width) = (code.to_colors(), code.width());
    let side = width + 2 * margin;
    let dark = |x: usize, y: usize| {
        let within = |at: usize| at.checked_sub(margin).filter(|at| *at < width);
        within(x).zip(within(y)).is_some_and(|(x, y)| modules[y * width + x] == Color::Dark)
    };
    let on_paper = manner.on_paper("").is_some();
    let line = |y: usize| -> String {
        // What is beyond the last row is no module: neither ink nor light.
        let ink = |x, y| y < side && dark(x, y) == on_paper;
        let half = |x| match (ink(x, y), ink(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        let line: String = (0..side).map(half).collect();
        manner.on_paper(&line).unwrap_or(line)
    };
    (0..side).step_by(2).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "http://localhost:3000/device?user_code=BCDF-GHJK";

    fn colours() -> Manner {
        Manner::for_tests(80, &[("TERM", "xterm-256color")])
    }

    /// The modules of a drawing, row by row: which of them look dark.
    fn seen(drawing: &str, on_paper: bool) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in drawing.lines() {
            let blocks = || line.chars().filter(|c| "█▀▄ ".contains(*c));
            rows.push(blocks().map(|c| matches!(c, '█' | '▀') == on_paper).collect());
            rows.push(blocks().map(|c| matches!(c, '█' | '▄') == on_paper).collect());
        }
        rows
    }

    /// Both ways of drawing show the same code, with its margin.
    #[test]
    fn the_drawing_is_the_code() {
        let code = QrCode::with_error_correction_level(ADDRESS, EcLevel::L).expect("short");
        for (manner, on_paper) in [(colours(), true), (Manner::default(), false)] {
            let Qr::Picture(drawing) = drawn(ADDRESS, manner, (usize::MAX, usize::MAX), 0) else {
                panic!("there is room")
            };
            assert_eq!(drawing.contains("\x1b[38;5;16m\x1b[48;5;231m"), on_paper, "{drawing:?}");
            let rows = seen(&drawing, on_paper);
            let side = code.width() + 8;
            assert!(rows.len() == side + side % 2 && rows.iter().all(|row| row.len() == side));
            for (y, row) in rows.iter().take(side).enumerate() {
                for (x, dark) in row.iter().enumerate() {
                    let inside = (4..side - 4).contains(&x) && (4..side - 4).contains(&y);
                    let meant = inside && code[(x - 4, y - 4)] == Color::Dark;
                    assert_eq!(*dark, meant, "{x} {y}");
                }
            }
        }
    }

    /// Too narrow and too low are both reported, with the required and the actual size; a smaller margin is tried
    /// first.
    #[test]
    fn a_code_that_does_not_fit_says_so_in_both_directions() {
        let at = |columns, lines, below| drawn(ADDRESS, colours(), (columns, lines), below);
        let Qr::Picture(whole) = at(37, 23, 4) else { panic!("37 columns, 19 lines and 4 below them") };
        assert_eq!(whole.lines().count(), 19);
        for (columns, lines) in [(36, 23), (37, 22), (33, 21)] {
            let Qr::Picture(smaller) = at(columns, lines, 4) else { panic!("{columns} {lines}") };
            assert_eq!(smaller.lines().count(), 17);
        }
        for (columns, lines) in [(32, 60), (200, 20)] {
            let Qr::NoRoom(told) = at(columns, lines, 4) else { panic!("{columns} {lines}") };
            let wanted =
                format!("needs 33 columns and 21 lines, and this terminal has {columns} and {lines}");
            assert!(told.contains(&wanted), "{told}");
        }
        assert!(matches!(drawn(&"x".repeat(5000), colours(), (9999, 9999), 0), Qr::NoRoom(_)));
    }

    #[test]
    fn few_colours_are_enough() {
        let manner = Manner::for_tests(80, &[("TERM", "xterm")]);
        assert_eq!(manner.on_paper("x").as_deref(), Some("\x1b[30m\x1b[47mx\x1b[0m"));
        assert_eq!(Manner::for_tests(80, &[("TERM", "xterm"), ("NO_COLOR", "1")]).on_paper("x"), None);
    }
}
