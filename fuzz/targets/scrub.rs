//! What an upstream answers, with a secret in it. The first three octets choose the secret, the form in which it comes back and the
//! pieces; in the rest `S` stands for it in that form.
//!
//! What comes out is what a slow search covers, which tries every place by itself, and it is the same in any pieces.
#![no_main]

#[path = "../../crates/keyfob-serve/src/proxy/scrub/mod.rs"]
mod scrub;
mod proxy {
    pub(crate) use crate::scrub;
}

use std::{collections::BTreeSet, sync::LazyLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use http::HeaderValue;
use hyper::body::Bytes;
use libfuzzer_sys::fuzz_target;
use scrub::Scrub;

const SECRETS: [&str; 5] = [
    "sk-oat01-aB3/x+9_~Q==",
    "eyJhbGciOiJub25lIn0.eyJzIjoidSJ9.",
    "aaaaaaaaaaaa",
    "%61a%61a%61\\",
    "?>?>?>\\u003f%3E",
];

/// Making one takes longer than everything else here.
static SCRUBS: LazyLock<[Scrub; SECRETS.len()]> = LazyLock::new(|| SECRETS.map(|secret| Scrub::new([secret])));

/// The longest text.
const LONGEST: usize = 1024;

fuzz_target!(|input: &[u8]| {
    let [secret, form, most, rest @ ..] = input else { return };
    let which = usize::from(*secret) % SECRETS.len();
    let secret = SECRETS[which];
    let text: Vec<u8> = rest
        .iter()
        .flat_map(|octet| if *octet == b'S' { in_form(secret, *form) } else { vec![*octet] })
        .collect();
    // What is longer shows nothing else, and the slow search is slow.
    if text.len() > LONGEST {
        return;
    }
    let scrub = &SCRUBS[which];
    let run = |most: usize| {
        let mut stream = scrub.stream();
        let mut result = Vec::new();
        for chunk in text.chunks(most) {
            result.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk)));
        }
        result.extend_from_slice(&stream.rest());
        result
    };
    let expected = slowly(secret, &text);
    let has = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
    for octets in [usize::MAX, usize::from(*most).max(1), 1] {
        let result = run(octets);
        assert_eq!(String::from_utf8_lossy(&result), String::from_utf8_lossy(&expected), "in pieces of {octets}");
        assert_eq!(result, expected);
        assert!(!has(&result, secret.as_bytes()), "the secret is left");
    }
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        let covered = scrub.header(&value);
        assert_eq!(covered.as_ref().unwrap_or(&value).as_bytes(), expected);
        assert_eq!(covered.is_some(), expected != text, "a header is replaced where something is covered");
    }
});

fn in_form(secret: &str, form: u8) -> Vec<u8> {
    let each = |before: &str| secret.bytes().map(|octet| format!("{before}{octet:02x}")).collect::<String>();
    let lines = |text: String, end: &str| {
        let lines: Vec<_> = text.as_bytes().chunks(19).map(String::from_utf8_lossy).collect();
        lines.join(end)
    };
    let text = match form % 12 {
        0 => secret.to_owned(),
        1 => each("%"),
        2 => each("\\u00"),
        3 => each("\\x").to_ascii_uppercase().replace("\\X", "\\x"),
        4 => each("").to_ascii_uppercase(),
        5 => lines(each(""), "\r\n"),
        6 => STANDARD.encode(secret),
        7 => URL_SAFE_NO_PAD.encode(format!("u{secret}")),
        8 => lines(STANDARD.encode(format!("user:{secret}")), "\\n"),
        9 => secret.chars().flat_map(|c| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c])).collect(),
        10 => STANDARD.encode(secret).replace('/', "\\/").replace('+', "%2b"),
        _ => return Vec::new(),
    };
    text.into_bytes()
}

/// A character of a form, and the other one that says the same.
type Characters = Vec<[u8; 2]>;

/// The forms by what they are, not as the product makes them: base64 of three alignments is what stays the same whatever stands
/// around the secret.
fn forms(secret: &str) -> Vec<(Characters, bool)> {
    let both = |text: &str| text.bytes().map(|octet| [octet.to_ascii_lowercase(), octet.to_ascii_uppercase()]).collect();
    let mut forms = vec![
        (secret.bytes().map(|octet| [octet; 2]).collect(), false),
        (both(&secret.bytes().map(|octet| format!("{octet:02x}")).collect::<String>()), true),
    ];
    for before in 0..3 {
        let encoded = |fill: u8| {
            let text = [&vec![fill; before][..], secret.as_bytes(), &[fill; 3]].concat();
            STANDARD_NO_PAD.encode(text).into_bytes()
        };
        let (low, high) = (encoded(0), encoded(0xff));
        let known = low.iter().zip(&high).filter(|(a, b)| a == b).map(|(a, _)| match a {
            b'+' => *b"+-",
            b'/' => *b"/_",
            other => [*other; 2],
        });
        forms.push((known.collect(), true));
    }
    forms
}

/// What may be read at a place: a value, and where it ends.
fn readings(text: &[u8], at: usize) -> Vec<(u8, usize)> {
    let hex = |from: usize| {
        let digits = str::from_utf8(text.get(from..from + 2)?).ok()?;
        let is_hex = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
        u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    let rest = &text[at..];
    let mut found = vec![(rest[0], at + 1)];
    let escape = match rest {
        [b'%', ..] => hex(at + 1).map(|value| (value, at + 3)),
        [b'\\', b'x', ..] => hex(at + 2).map(|value| (value, at + 4)),
        [b'\\', b'u', b'0', b'0', ..] => hex(at + 4).map(|value| (value, at + 6)),
        [b'\\', other, ..] if other.is_ascii_punctuation() => Some((*other, at + 2)),
        _ => None,
    };
    found.extend(escape);
    found
}

/// Where a line may end at a place.
fn line_end(text: &[u8], at: usize) -> Option<usize> {
    match text[at..] {
        [b'\r' | b'\n', ..] => Some(at + 1),
        [b'\\', b'r' | b'n', ..] => Some(at + 2),
        _ => None,
    }
}

fn slowly(secret: &str, text: &[u8]) -> Vec<u8> {
    let mut result = text.to_vec();
    let cover = if secret.contains('*') { b'#' } else { b'*' };
    for (characters, may_break) in forms(secret) {
        let may_begin = |begin: &usize| {
            readings(text, *begin).iter().any(|(value, _)| characters[0].contains(value))
        };
        for begin in (0..text.len()).filter(may_begin) {
            // How many characters have been read, how many line ends behind them, and up to where.
            let mut open = BTreeSet::from([(0, 0, begin)]);
            while let Some((read, breaks, at)) = open.pop_first() {
                if read == characters.len() {
                    result[begin..at].fill(cover);
                    continue;
                }
                if at == text.len() {
                    continue;
                }
                for (value, end) in readings(text, at) {
                    if characters[read].contains(&value) {
                        open.insert((read + 1, 0, end));
                    }
                }
                if may_break && read >= 16 && breaks < 2 {
                    open.extend(line_end(text, at).map(|end| (read, breaks + 1, end)));
                }
            }
        }
    }
    result
}
