use super::*;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

/// Random enough, and the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn of<'a, T>(&mut self, choice: &'a [T]) -> &'a T {
        &choice[self.roll(choice.len())]
    }
}

const TOKEN: &str = "sk-oat01-aB3/x+9_~Q==";
const OTHER: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyIn0.";

fn percent(secret: &str, kept: &str, upper: bool) -> String {
    let encoded = secret.bytes().map(|octet| match char::from(octet) {
        kept_one if kept.contains(kept_one) || (!kept.is_empty() && kept_one.is_ascii_alphanumeric()) => {
            kept_one.into()
        }
        _ if upper => format!("%{octet:02X}"),
        _ => format!("%{octet:02x}"),
    });
    encoded.collect()
}

/// A text with the secret in it, and the same without, in every form that a library writes. Base64 is encoded with the text
/// around it, and of it only the characters that no other text decides are the secret's.
fn forms(secret: &str) -> Vec<(String, String)> {
    let covered = |text: &str| "*".repeat(text.len());
    let mut forms: Vec<(String, String)> = [
        secret.to_owned(),
        percent(secret, "-._~", true),
        percent(secret, "-._~", false),
        percent(secret, "-_.!~*'()", true),
        percent(secret, "*-._", true),
        percent(secret, "/-_.~", true),
        percent(secret, "-_.~$&+:=@", true),
        percent(secret, "", true),
        percent(secret, "", false),
        secret.replace('/', "\\/"),
        secret.replace('+', "\\u002b").replace('=', "\\u003D"),
        secret.bytes().map(|octet| format!("\\u{octet:04x}")).collect(),
        secret.bytes().map(|octet| format!("\\u{octet:04X}")).collect(),
        secret.bytes().map(|octet| format!("\\x{octet:02x}")).collect(),
        secret.bytes().map(|octet| format!("{octet:02x}")).collect(),
        secret.bytes().map(|octet| format!("{octet:02X}")).collect(),
    ]
    .into_iter()
    .map(|text| (text.clone(), covered(&text)))
    .collect();
    for before in ["", "u", "us", "user:", "somebody:"] {
        for after in ["", "a", "ab", "abc"] {
            let whole = format!("{before}{secret}{after}");
            let is_known = |character: usize| {
                character * 6 >= before.len() * 8 && character * 6 + 6 <= (before.len() + secret.len()) * 8
            };
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let text = engine.encode(&whole);
                let without = text.chars().enumerate();
                let without = without.map(|(at, character)| if is_known(at) { '*' } else { character });
                forms.push((text.clone(), without.collect()));
            }
        }
    }
    forms
}

fn whole(scrub: &Scrub, text: &[u8]) -> Vec<u8> {
    in_chunks(scrub, text, usize::MAX, &mut Dice(0))
}

/// In chunks of at most so many octets.
fn in_chunks(scrub: &Scrub, text: &[u8], most: usize, dice: &mut Dice) -> Vec<u8> {
    let mut stream = scrub.stream();
    let (mut rest, mut result) = (text, Vec::new());
    while !rest.is_empty() {
        let length = if most >= rest.len() { rest.len() } else { 1 + dice.roll(most) };
        let (chunk, more) = rest.split_at(length.min(rest.len()));
        result.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk)));
        rest = more;
    }
    result.extend_from_slice(&stream.rest());
    result
}

#[track_caller]
fn assert_same(found: &[u8], expected: &[u8]) {
    assert_eq!(String::from_utf8_lossy(found), String::from_utf8_lossy(expected));
}

#[test]
fn every_form_of_a_secret_is_covered_and_what_is_around_it_stays() {
    for secret in [TOKEN, OTHER] {
        let scrub = Scrub::new([secret]);
        for (with, without) in forms(secret) {
            for (before, after) in
                [("", ""), ("{\"echo\":\"", "\"}\n"), ("%", "%"), ("\\", "\\"), (secret, "\n")]
            {
                let text = format!("{before}{with}{after}");
                let expected = format!("{before}{without}{after}").replace(secret, &"*".repeat(secret.len()));
                for most in [1, 2, usize::MAX] {
                    assert_same(&in_chunks(&scrub, text.as_bytes(), most, &mut Dice(7)), expected.as_bytes());
                }
            }
        }
    }
}

#[test]
fn escapes_may_be_mixed_and_lines_of_base64_broken() {
    let scrub = Scrub::new([TOKEN]);
    for text in ["%73k-oat01\\u002daB3\\/x%2b9\\x5f~Q=%3D", "s\\u006b-oat01-aB3\\u002Fx+9_~Q=="] {
        assert_same(&whole(&scrub, text.as_bytes()), "*".repeat(text.len()).as_bytes());
    }
    let token = "t0ken/".repeat(40);
    let scrub = Scrub::new([&token]);
    for line_end in ["\n", "\r\n", "\\n", "\\r\\n"] {
        let encoded = STANDARD.encode(&token);
        let lines: Vec<_> = encoded.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        let text = format!("<{}>", lines.join(line_end));
        let covered = format!("<{}>", "*".repeat(text.len() - 2));
        for most in [1, usize::MAX] {
            assert_same(&in_chunks(&scrub, text.as_bytes(), most, &mut Dice(1)), covered.as_bytes());
        }
    }
    // Slashes that a JSON writer has escaped, within base64.
    let text = STANDARD.encode("?>?>?>?>?>?>");
    assert!(text.contains('/'));
    let scrub = Scrub::new(["?>?>?>?>?>?>"]);
    let text = text.replace('/', "\\/");
    assert_same(&whole(&scrub, text.as_bytes()), "*".repeat(text.len()).as_bytes());
}

/// Noise that is made of pieces of secrets and of escapes, with secrets in it in any form: whatever the chunks are, the
/// result is that of the whole, no form is left, and the noise is as it was.
#[test]
fn any_chunks_give_what_the_whole_gives() {
    let scrub = Scrub::new([TOKEN, OTHER]);
    let forms: Vec<_> = [TOKEN, OTHER].into_iter().flat_map(forms).collect();
    let noise = [
        "%", "\\", "%7", "%73", "\\u", "\\u00", "\\u0073", "\n", "\r\n", " ", "s", "sk-", "73", "736b", "&",
        "é",
    ];
    let mut dice = Dice(2026);
    for _ in 0..400 {
        let (mut text, mut expected) = (String::new(), String::new());
        for _ in 0..=dice.roll(12) {
            if dice.roll(3) == 0 {
                let (with, without) = dice.of(&forms);
                text += with;
                expected += without;
            } else if dice.roll(2) == 0 {
                // The beginning of a form, which does not go on.
                let (with, _) = dice.of(&forms);
                let piece = &with[..dice.roll(with.len() / 2)];
                text += piece;
                expected += piece;
            } else {
                let piece = dice.of(&noise);
                text += piece;
                expected += piece;
            }
            // Base64 goes on over what follows it, and two texts would be one; this ends it.
            text.push('|');
            expected.push('|');
        }
        assert_same(&whole(&scrub, text.as_bytes()), expected.as_bytes());
        for most in [1, 3, 17, 64] {
            assert_same(&in_chunks(&scrub, text.as_bytes(), most, &mut dice), expected.as_bytes());
        }
    }
}

/// Texts of which nothing is known beforehand, over few letters so that much of them agrees with a secret that repeats itself.
#[test]
fn what_is_covered_is_exactly_what_a_slow_search_finds() {
    let mut dice = Dice(99);
    for secret in
        ["abaababa", "aaaaaaaa", "%%%%%%%%", "\\\\\\\\\\\\\\\\", "a%61a%61", "61616161", "u00610061"]
    {
        let scrub = Scrub::new([secret]);
        for _ in 0..200 {
            let letters = [b'a', b'b', b'%', b'\\', b'6', b'1', b'u', b'0'];
            let text: Vec<u8> = (0..80).map(|_| *dice.of(&letters)).collect();
            let text = [&text[..dice.roll(80)], secret.as_bytes(), &text[..dice.roll(80)]].concat();
            let result = whole(&scrub, &text);
            assert!(!result.windows(secret.len()).any(|window| window == secret.as_bytes()));
            let mut plain = text.clone();
            for at in 0..=text.len() - secret.len() {
                if &text[at..at + secret.len()] == secret.as_bytes() {
                    plain[at..at + secret.len()].fill(b'*');
                }
            }
            for (at, octet) in result.iter().enumerate() {
                assert!(*octet == b'*' || *octet == text[at], "nothing else is written");
                assert!(plain[at] != b'*' || *octet == b'*', "every occurrence is covered");
            }
            for most in [1, 5] {
                assert_same(&in_chunks(&scrub, &text, most, &mut dice), &result);
            }
        }
    }
}

/// A text is looked at in steps and rows: no place is between two of them.
#[test]
fn a_secret_is_found_at_each_place_of_a_long_text() {
    let scrub = Scrub::new([TOKEN]);
    for (written, expected) in forms(TOKEN) {
        for before in 0..20 {
            for after in [0, 2, 40] {
                let around = |middle: &str| format!("{}{middle}{}", "x.".repeat(before), "y ".repeat(after));
                assert_same(&whole(&scrub, around(&written).as_bytes()), around(&expected).as_bytes());
                let odd = |middle: &str| format!("-{}", around(middle));
                assert_same(&whole(&scrub, odd(&written).as_bytes()), odd(&expected).as_bytes());
            }
        }
    }
}

#[test]
fn a_form_begins_as_each_octet_tried_in_turn_says() {
    fn tried(form: &Form, place: Place, text: &[u8], found: &mut Vec<Vec<u8>>) {
        for octet in 0..=u8::MAX {
            for step in form.step(place, octet).into_iter().flatten() {
                let text = [text, &[octet]].concat();
                match step {
                    Step::Further(place) if text.len() < 4 => tried(form, place, &text, found),
                    _ => found.push(text),
                }
            }
        }
    }
    for secret in [TOKEN, OTHER, "%%\\rn\r\nux09afAF"] {
        for form in Form::all(secret.as_bytes()) {
            let (mut slowly, mut quickly) = (Vec::new(), Vec::new());
            tried(&form, Place::BEGINNING, &[], &mut slowly);
            form.beginnings(4, &mut quickly);
            slowly.sort();
            quickly.sort();
            assert_eq!(slowly, quickly, "{secret}");
        }
    }
}

#[test]
fn an_event_goes_on_at_once_unless_it_ends_like_a_secret_begins() {
    let mut stream = Scrub::new([TOKEN]).stream();
    for event in ["data: {\"a\":1}\n\n", "event: x\ndata: sk-oat01\n\n", "data: \\u\n\n", "data: 100%\n\n"] {
        assert_same(&stream.push(event.into()), event.as_bytes());
    }
    assert_same(&stream.push("a sk-oat".into()), b"a ");
    assert_same(&stream.push("ion sk-oat01-aB3/x+9_~Q==".into()), b"sk-oation *********************");
    // What is covered does not wait for what comes after it, although a secret may begin in it.
    assert_same(&stream.push(" \\".into()), b" ");
    assert_same(&stream.push("u00".into()), b"");
    assert_same(&stream.push("41".into()), b"\\u0041");
    assert_same(&stream.push("the end: %7".into()), b"the end: ");
    assert_same(&stream.rest(), b"%7");
    assert_same(&stream.rest(), b"");
}

#[test]
fn what_is_held_is_bounded_by_the_longest_form() {
    let secret = "a".repeat(64);
    let mut stream = Scrub::new([&secret]).stream();
    let endless = "\\u0061".repeat(63) + "\\u0062";
    for _ in 0..100 {
        stream.push(Bytes::copy_from_slice(endless.as_bytes()));
        assert!(stream.held.len() <= 6 * 64, "{}", stream.held.len());
    }
}

#[test]
fn a_text_without_secrets_is_passed_on_without_a_copy() {
    let text = Bytes::from(vec![b' '; 4096]);
    let passed = Scrub::new([TOKEN]).stream().push(text.clone());
    assert_eq!(passed.as_ptr(), text.as_ptr());
}

#[test]
fn a_header_is_replaced_only_where_it_has_a_secret() {
    let scrub = Scrub::new([TOKEN]);
    assert_eq!(scrub.header(&HeaderValue::from_static("text/event-stream")), None);
    let mut told = HeaderValue::from_str(&format!("Bearer {TOKEN}, again {TOKEN}")).unwrap();
    told.set_sensitive(true);
    let new = scrub.header(&told).unwrap();
    assert_eq!(new, "Bearer *********************, again *********************");
    assert!(new.is_sensitive());
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{TOKEN}")));
    let new = scrub.header(&HeaderValue::from_str(&basic).unwrap()).unwrap();
    assert!(!new.to_str().unwrap().contains(&STANDARD.encode(TOKEN)[8..16]));
}

#[test]
fn short_and_no_secrets_are_not_looked_for() {
    for scrub in [Scrub::new(["", "a", "1234567"]), Scrub::new::<&str>([])] {
        assert_same(&whole(&scrub, b"1234567 %31%32 a"), b"1234567 %31%32 a");
    }
}

#[test]
fn a_cover_is_in_no_secret() {
    let scrub = Scrub::new(["**secret**", "another#secret"]);
    assert_same(&whole(&scrub, b"<**secret**>"), b"<!!!!!!!!!!>");
}
