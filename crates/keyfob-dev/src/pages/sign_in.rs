//! The sign-in and consent pages.

use http::StatusCode;
use maud::html;

use crate::{
    http::call::{Call, Reply},
    pages::{address_field, page, scope_list},
    state::{redirect, transaction::Transaction},
};

/// Their paths, for a request that waits; the forms are sent to the authorization endpoint.
pub(crate) const SIGN_IN_PATH: &str = "/oauth/sign-in";
pub(crate) const CONSENT_PATH: &str = "/oauth/consent";
const FORM_PATH: &str = "/oauth/authorize";

/// Asks for the e-mail address. Invalid earlier input is reported.
pub(crate) fn ask(call: &Call, transaction: &Transaction, id: &str) -> Reply {
    let typed = transaction.typed.as_deref();
    let email = typed.or(transaction.email.as_deref()).unwrap_or_default();
    let body = html! {
        h1 { "Sign in" }
        p { "to continue to " strong { (transaction.client_id) } }
        form method="post" action={ (call.prefix) (FORM_PATH) } {
            input type="hidden" name="transaction" value=(id);
            (address_field(email, typed.is_some(), true))
            div .buttons {
                button .primary type="submit" { "Continue" }
                button type="submit" name="decision" value="deny" formnovalidate { "Cancel" }
            }
        }
        p .hint { "Any address will do: there is no password. The same address is always the same account." }
    };
    let action = redirect::form_action_source(&transaction.redirect_uri);
    page(StatusCode::OK, "Sign in", &action, &body)
}

pub(crate) fn consent(call: &Call, transaction: &Transaction, email: &str, id: &str) -> Reply {
    let host = redirect::host(&transaction.redirect_uri);
    let body = html! {
        h1 { "Allow " strong { (transaction.client_id) } "?" }
        p { "Signed in as " strong { (email) } "." }
        (scope_list(transaction.scope))
        p { "You will be sent to " strong .host { (host) } "." }
        form method="post" action={ (call.prefix) (FORM_PATH) } {
            input type="hidden" name="transaction" value=(id);
            div .buttons {
                button .primary type="submit" name="decision" value="allow" { "Allow" }
                button type="submit" name="decision" value="deny" { "Deny" }
                button .quiet type="submit" name="decision" value="back" { "Use another address" }
            }
        }
    };
    let action = redirect::form_action_source(&transaction.redirect_uri);
    page(StatusCode::OK, "Allow access", &action, &body)
}
