//! Shared by the targets: the properties of every text that leaves the product.

use keyfob_core::{
    Error,
    contract::settings::{ClientId, Scopes},
    oauth::{
        authorization_code::{Flow, Request},
        dialect::Dialect,
    },
};

/// A part of a secret that no text of ours contains by chance.
pub const CANARY: &str = "kfz7Qx9Canary";

/// No character of this text moves a cursor, turns the reading direction or hides.
pub fn assert_harmless(text: &str) {
    let bad = |c: &char| {
        c.is_control()
            || matches!(*c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let found = text.chars().find(bad);
    assert!(found.is_none(), "{found:?} in {text:?}");
}

/// Every part of an error is harmless, short, and reveals no secret.
pub fn assert_tellable(error: &Error) {
    for part in [error.what(), error.why()] {
        assert_harmless(part);
        assert!(part.chars().count() < 5000, "nobody reads this: {part:?}");
        assert!(!part.contains(CANARY), "a secret is told: {part:?}");
    }
    assert!(!format!("{error:?}").contains(CANARY));
    error.also().iter().for_each(assert_tellable);
}

/// An attempt to sign in, and its state, which no input can guess: inputs say `STATE` for it.
pub fn flow(issuer: Option<&str>, iss_promised: bool) -> (Flow, String) {
    let request = Request {
        authorize_url: "https://id.example/authorize".into(),
        client_id: ClientId::parse("client").expect("a client id"),
        redirect_uri: "http://127.0.0.1:1/callback".into(),
        scopes: Scopes::parse("openid").expect("a scope"),
        issuer: issuer.map(Into::into),
        iss_promised,
        extra: Vec::new(),
    };
    let flow = Flow::begin(request, &[0xa7; 64]);
    let url = url::Url::parse(&flow.url().expect("a URL")).expect("a URL");
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    (flow, state)
}

/// The code in the request a flow makes of it.
#[expect(clippy::disallowed_methods, reason = "the request is compared with what it was made of")]
pub fn code_of(flow: &Flow, code: &keyfob_core::oauth::authorization_code::Code) -> String {
    let (_, form) = flow.exchange(code, None).encode(None, &Dialect::default()).body;
    let pairs: Vec<_> = url::form_urlencoded::parse(form.expose().as_bytes()).collect();
    let codes: Vec<_> = pairs.iter().filter(|(name, _)| name == "code").collect();
    assert_eq!((codes.len(), pairs.len()), (1, 5), "a code added parameters to the request");
    codes[0].1.clone().into_owned()
}
