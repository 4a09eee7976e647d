//! The page that shows a code, for clients that cannot receive a redirect.

use http::{
    StatusCode,
    header::{HeaderValue, LOCATION, SET_COOKIE},
};
use maud::html;

use crate::{
    http::{
        call::{Call, Reply, status_only},
        form::Form,
    },
    pages::{Sign, harden, outcome, page},
    state::{credential::Digest, shared::Shared},
};

/// Browsers store no larger cookie.
const LARGEST_COOKIE: usize = 3800;
const COOKIE: &str = "shown";

/// The page that shows the code to copy, for clients that cannot receive a redirect. A browser's address bar and
/// history must not keep the code (RFC 9700 §4.3.1): the browser is redirected to the same page without a query, which
/// reads the code from a cookie.
pub(crate) fn show(shared: &Shared, call: &mut Call) -> Reply {
    let query = call.parts.uri.query().unwrap_or_default();
    if !query.is_empty() && query.len() <= LARGEST_COOKIE && call.header("sec-fetch-dest") == Some("document")
    {
        call.note.outcome = "code-hidden";
        return without_query(call, query);
    }
    let kept = if query.is_empty() { kept_query(call) } else { None };
    let form =
        Form::parse(kept.unwrap_or(query).as_bytes()).filter(|form| !form.repeats()).unwrap_or_default();
    let (title, body) = match (form.optional("code"), form.optional("state"), form.optional("error")) {
        (Some(code), state, None) => {
            call.note.outcome = "code-shown";
            let shown = format!("{code}#{}", state.unwrap_or_default());
            let digest = Digest::of(code);
            let client =
                shared.read(|tables, _| tables.codes.get(&digest).map(|code| code.client_id.clone()));
            let body = html! {
                h1 { "Almost there" }
                p #what {
                    "Copy this code and paste it where "
                    @if let Some(client) = client { strong { (client) } } @else { "the program" }
                    " waits for it, most likely a terminal."
                }
                output .code tabindex="0" aria-labelledby="what" { (shown) }
                p .hint { "One click selects all of it. It works once, for a few minutes; then close this tab." }
            };
            ("Copy the code", body)
        }
        (_, _, error) => {
            call.note.outcome = "error-shown";
            let text = form.optional("error_description").unwrap_or("There is no code in this address.");
            let body = html! {
                (outcome(Sign::Bad, "Not signed in"))
                p { (text) @if let Some(error) = error { " " code { (error) } } }
            };
            ("Not signed in", body)
        }
    };
    page(StatusCode::OK, title, "", &body)
}

fn without_query(call: &Call, query: &str) -> Reply {
    let path = format!("{}{}", call.prefix, call.path);
    // The query as it came is percent-encoded, which a cookie may hold (RFC 6265 §4.1.1); what else a program may
    // have put there is dropped.
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"%&=+-_.~*!/:".contains(b);
    let value: String = query.bytes().filter(plain).map(char::from).collect();
    let cookie = format!("{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Lax");
    let mut reply = status_only(StatusCode::SEE_OTHER);
    harden(&mut reply, "");
    for (name, value) in [(LOCATION, path), (SET_COOKIE, cookie)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

fn kept_query(call: &Call) -> Option<&str> {
    let cookies = call.header("cookie")?.split("; ");
    cookies
        .filter_map(|cookie| cookie.split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}
