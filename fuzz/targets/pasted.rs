//! Text that users paste. `STATE` stands for the state.
#![no_main]

use keyfob_fuzz::{assert_tellable, code_of, flow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (flow, state) = flow(Some("https://id.example"), true);
    let pasted = text.replace("STATE", &state);
    match flow.pasted(&pasted) {
        Ok(code) => {
            let code = code_of(&flow, &code);
            assert!(!code.is_empty() && code.bytes().all(|b| (0x21..=0x7e).contains(&b)));
            // Whatever names a state must have named ours; only a bare code rests on PKCE alone.
            // A terminal's marks may stand in the middle of a paste: they go first, as blanks do.
            let words = pasted.replace("\u{1b}[200~", "").replace("\u{1b}[201~", "");
            let words: String = words.chars().filter(|c| !c.is_whitespace()).collect();
            if words.contains(['?', '#']) {
                // The state may be percent-encoded; then it is found by decoding.
                let decoded: String = url::form_urlencoded::parse(words.as_bytes())
                    .flat_map(|(name, value)| [name.into_owned(), value.into_owned()])
                    .collect::<Vec<_>>()
                    .join(" ");
                assert!(words.contains(&state) || decoded.contains(&state), "{words:?}");
            } else {
                assert!(words.contains(&code) || words.contains('%') || words.contains('+'), "{words:?}");
            }
        }
        Err(error) => {
            if !pasted.contains(keyfob_fuzz::CANARY) {
                assert_tellable(&error);
            }
        }
    }
});
