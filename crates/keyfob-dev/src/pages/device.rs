//! The pages of the device grant (RFC 8628 §3.3, §5.4). They show the code, so that a person can compare it.

use http::StatusCode;
use maud::{Markup, html};

use crate::{
    http::call::{Call, Reply},
    pages::{address_field, page, scope_list},
    state::codes::Waiting,
};

pub(crate) fn enter(call: &Call, user_code: &str, email: &str, problem: Option<&str>) -> Reply {
    let body = html! {
        h1 { "Sign in a device" }
        p { "Type the code that the device or program shows." }
        form method="post" action={ (call.prefix) (call.path) } {
            label for="user_code" { "Code" }
            input #user_code type="text" name="user_code" value=(user_code) autocomplete="off" autofocus[user_code.is_empty()]
                required maxlength="16" placeholder="XXXX-XXXX" spellcheck="false" autocapitalize="characters";
            (address_field(email, problem, !user_code.is_empty()))
            div .buttons { button .primary type="submit" { "Continue" } }
        }
        p .hint { "Only go on if you have just started this yourself, on a device you have in front of you." }
    };
    page(StatusCode::OK, "Sign in a device", "", &body)
}

pub(crate) fn consent(call: &Call, waiting: &Waiting, user_code: &str, email: &str) -> Reply {
    let body: Markup = html! {
        h1 { "Allow " strong { (waiting.client_id) } "?" }
        p { "Its code is " strong .host { (user_code) } ". Compare it with the one that is shown there." }
        p { "You will sign it in as " strong { (email) } "." }
        (scope_list(waiting.scope))
        form method="post" action={ (call.prefix) (call.path) } {
            input type="hidden" name="user_code" value=(user_code);
            input type="hidden" name="email" value=(email);
            div .buttons {
                button .primary type="submit" name="decision" value="allow" { "Allow" }
                button type="submit" name="decision" value="deny" { "Deny" }
            }
        }
    };
    page(StatusCode::OK, "Allow access", "", &body)
}

pub(crate) fn done(approved: bool) -> Reply {
    let (title, text) = if approved {
        ("Signed in", "The device goes on by itself. You may close this page.")
    } else {
        ("Declined", "The device gets nothing. You may close this page.")
    };
    page(StatusCode::OK, title, "", &html! { h1 { (title) } p { (text) } })
}
