//! The forms in which a secret comes back, and how a text is compared with one of them, octet by octet.
//!
//! A form is a row of characters (the secret itself, its base64, its hexadecimal digits), and each of them may be written
//! plainly or escaped, whatever the others are. So the percent encodings of all libraries, which differ in what they leave
//! alone, are one form, and so is base64 in which a JSON writer has escaped the slashes.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Base64 and hexadecimal digits are broken into lines only by writers whose lines are longer than this.
const BEFORE_A_BREAK: usize = 16;
/// A line ends with at most this many characters (CR and LF).
const LONGEST_BREAK: u8 = 2;

/// Every octet that a text may have beside the characters of a form: those of escapes and of line ends.
const OF_ESCAPES: &[u8] = b"%\\ux0123456789abcdefABCDEFrn\r\n";

/// One row of characters that is looked for.
pub(crate) struct Form {
    /// Each with the other character that says the same: upper and lower case of a digit, base64's two alphabets.
    characters: Vec<[u8; 2]>,
    may_break: bool,
    /// It has a character that also begins an escape, so that one text can be read in two ways.
    pub(crate) is_ambiguous: bool,
}

/// How far a text has agreed with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    at: usize,
    part: Part,
    breaks: u8,
}

impl Place {
    pub(crate) const BEGINNING: Self = Self::after(0);

    const fn after(characters: usize) -> Self {
        Self { at: characters, part: Part::None, breaks: 0 }
    }
}

/// The part of one escaped character that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    None,
    /// `\` (RFC 8259 §7)
    Backslash,
    /// `%`, `\x` or `\u`, and so many hexadecimal digits to come.
    Digits {
        left: u8,
        value: u8,
    },
}

/// What one more octet makes of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Further(Place),
    Complete,
}

impl Form {
    /// All forms of a secret.
    pub(crate) fn all(secret: &[u8]) -> impl Iterator<Item = Self> {
        let plain = Self::new(secret.iter().map(|octet| [*octet; 2]), false);
        let digits = secret.iter().flat_map(|octet| [octet >> 4, octet & 15]).map(|digit| {
            let lower = char::from_digit(digit.into(), 16).map_or(b'0', |digit| digit as u8);
            [lower, lower.to_ascii_uppercase()]
        });
        // Of what is encoded together with other text only those characters are known that six bits of the secret make,
        // and where they begin depends on how much text stands before it (RFC 4648 §4: three octets are four characters).
        let base64 = (0..3).map(|before| {
            let text = STANDARD_NO_PAD.encode([&[0; 3][..before], secret].concat());
            let known = (before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6;
            let characters = text.as_bytes()[known].iter().map(|character| match character {
                b'+' => [b'+', b'-'],
                b'/' => [b'/', b'_'],
                other => [*other; 2],
            });
            Self::new(characters, true)
        });
        let base64: Vec<_> = base64.collect();
        [plain, Self::new(digits, true)].into_iter().chain(base64)
    }

    fn new(characters: impl Iterator<Item = [u8; 2]>, may_break: bool) -> Self {
        let characters: Vec<_> = characters.collect();
        let is_ambiguous = characters.iter().any(|character| matches!(character[0], b'%' | b'\\'));
        Self { characters, may_break, is_ambiguous }
    }

    /// Where one more octet leads: for a character that also begins an escape, to two places.
    pub(crate) fn step(&self, place: Place, octet: u8) -> [Option<Step>; 2] {
        let Place { at, part, breaks } = place;
        let expected = self.characters[at];
        let read = |value: u8| {
            expected.contains(&value).then(|| {
                if at + 1 == self.characters.len() {
                    Step::Complete
                } else {
                    Step::Further(Place::after(at + 1))
                }
            })
        };
        let then = |part| Some(Step::Further(Place { at, part, breaks }));
        let line_end = || {
            let may_break = self.may_break && at >= BEFORE_A_BREAK && breaks < LONGEST_BREAK;
            may_break.then_some(Step::Further(Place { at, part: Part::None, breaks: breaks + 1 }))
        };
        match part {
            Part::None => {
                let escape = match octet {
                    b'%' => then(Part::Digits { left: 2, value: 0 }),
                    b'\\' => then(Part::Backslash),
                    b'\r' | b'\n' => line_end(),
                    _ => None,
                };
                [read(octet), escape]
            }
            Part::Backslash => {
                let escape = match octet {
                    b'u' => then(Part::Digits { left: 4, value: 0 }),
                    b'x' => then(Part::Digits { left: 2, value: 0 }),
                    b'r' | b'n' => line_end(),
                    _ if octet.is_ascii_punctuation() => read(octet),
                    _ => None,
                };
                [escape, None]
            }
            Part::Digits { left, value } => {
                let digit = char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let step = digit.and_then(|digit| match left {
                    1 => read(value << 4 | digit),
                    // Only as far as it can still become the character: what cannot is not held back.
                    2 if expected.iter().any(|character| character >> 4 == digit) => {
                        then(Part::Digits { left: 1, value: digit })
                    }
                    3 | 4 if digit == 0 => then(Part::Digits { left: left - 1, value: 0 }),
                    _ => None,
                });
                [step, None]
            }
        }
    }

    /// Adds the ways in which a text may begin that agrees with this form, cut to so many octets.
    pub(crate) fn beginnings(&self, length: usize, found: &mut Vec<Vec<u8>>) {
        let mut unfinished = vec![(Vec::new(), Place::BEGINNING)];
        while let Some((text, place)) = unfinished.pop() {
            let [one, other] = self.characters[place.at];
            let own = [Some(one), (other != one).then_some(other)].into_iter().flatten();
            for octet in own.filter(|own| !OF_ESCAPES.contains(own)).chain(OF_ESCAPES.iter().copied()) {
                for step in self.step(place, octet).into_iter().flatten() {
                    let text = [&text[..], &[octet]].concat();
                    match step {
                        Step::Further(place) if text.len() < length => unfinished.push((text, place)),
                        _ => found.push(text),
                    }
                }
            }
        }
    }
}
