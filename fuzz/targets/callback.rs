//! The query of a callback. The first byte selects what is known about the issuer; `STATE` stands for the state.
#![no_main]

use keyfob_fuzz::{assert_harmless, code_of, flow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (mode, text) = input;
    let issuer = (mode % 3 > 0).then_some("https://id.example");
    let (flow, state) = flow(issuer, mode % 3 == 2);
    let query = text.replace("STATE", &state);
    let ours = flow.is_ours(&query);
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let all = |name: &str| pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| &**v).collect::<Vec<_>>();
    match flow.callback(&query) {
        Ok(code) => {
            assert!(ours);
            assert_eq!(all("state"), [&*state]);
            assert_eq!(all("code"), [code_of(&flow, &code)]);
            assert!(all("error").is_empty());
            match (mode % 3, all("iss").as_slice()) {
                (0, _) | (1, []) => {}
                (_, [iss]) => assert_eq!(*iss, "https://id.example"),
                (mode, iss) => panic!("{mode}: {iss:?} was accepted"),
            }
        }
        Err(error) => {
            for part in [error.what(), error.why()] {
                assert_harmless(part);
                assert!(
                    !part.contains(&state)
                        || all("error").join("").contains(&state)
                        || all("error_description").join("").contains(&state),
                    "the state is told"
                );
            }
        }
    }
    if all("state") != [&*state] {
        assert!(!ours, "somebody else's answer ends the wait");
    }
});
