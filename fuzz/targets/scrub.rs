//! A body that is scrubbed. The first octets choose a secret, the chunks and where the secret stands in the rest, in which `S`
//! stands for it in one of its forms.
#![no_main]
#![expect(dead_code, reason = "only bodies are scrubbed here")]

#[path = "../../crates/keyfob-serve/src/proxy/scrub/mod.rs"]
mod scrub;
mod proxy {
    pub(crate) use crate::scrub;
}

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::body::Bytes;
use libfuzzer_sys::fuzz_target;
use scrub::Scrub;

const SECRETS: [&str; 4] = ["sk-oat01-aB3/x+9_~Q==", "eyJhbGciOiJub25lIn0.eyJzIjoidSJ9.", "aaaaaaaaaaaa", "%61a%61a%61\\"];

fuzz_target!(|input: &[u8]| {
    let [secret, form, most, rest @ ..] = input else { return };
    let secret = SECRETS[usize::from(*secret) % SECRETS.len()];
    let hex = |before: &str| secret.bytes().map(|octet| format!("{before}{octet:02x}")).collect::<String>();
    let form = match form % 6 {
        0 => secret.to_owned(),
        1 => hex("%"),
        2 => hex("\\u00"),
        3 => hex("").to_ascii_uppercase(),
        4 => STANDARD.encode(secret),
        _ => STANDARD.encode(format!("user:{secret}")),
    };
    let text: Vec<u8> = rest
        .iter()
        .flat_map(|octet| if *octet == b'S' { form.clone().into_bytes() } else { vec![*octet] })
        .collect();
    let scrub = Scrub::new([secret]);
    let run = |most: usize| {
        let mut stream = scrub.stream();
        let mut result = Vec::new();
        for chunk in text.chunks(most) {
            result.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk)));
        }
        result.extend_from_slice(&stream.rest());
        result
    };
    let whole = run(usize::MAX);
    assert_eq!(run(usize::from(*most).max(1)), whole, "chunks change the result");
    assert_eq!(run(1), whole, "octets change the result");
    assert_eq!(whole.len(), text.len(), "the length changes");
    assert!(whole.iter().zip(&text).all(|(new, old)| new == old || *new == b'*'), "something else is written");
    let has = |text: &[u8], part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(!has(&whole, secret), "the secret is left");
    // Base64 that goes on is another text, of which only a part is known.
    if !form.ends_with('=') && form.len() >= 16 && form != STANDARD.encode(secret) {
        assert!(!has(&whole, &form) || form.starts_with("dXNlcj"), "a form is left");
    }
});
