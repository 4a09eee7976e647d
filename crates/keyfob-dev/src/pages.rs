//! The pages a person sees. No script, no inline style, no outside resource; maud escapes every value.

use crate::authorize::Transaction;
use crate::call::{Call, Reply, status_only};
use crate::form::Form;
use crate::redirect;
use crate::scope::Scopes;
use crate::shared::Shared;
use http::StatusCode;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_FRAME_OPTIONS,
};
use maud::{DOCTYPE, Markup, html};

pub(crate) const STYLE_PATH: &str = "/assets/keyfob-dev.css";

pub(crate) fn style(_: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let mut reply = status_only(StatusCode::OK);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    *reply.body_mut() = include_str!("style.css").into();
    reply
}

/// Reads a form that one of our own pages sent. Browsers name the page a form came from; a program sends neither
/// header and must know the unguessable id. `Origin: null` is what `Referrer-Policy: no-referrer` makes of our own.
pub(crate) fn own_form(call: &Call) -> Result<Form, &'static str> {
    let site = call.header("sec-fetch-site").unwrap_or("same-origin");
    let origin = call.header(ORIGIN).unwrap_or("null");
    if site != "same-origin" || (origin != "null" && origin != call.base.as_str()) {
        return Err("This form did not come from a page of this server.");
    }
    call.form().map_err(|refusal| refusal.description)
}

pub(crate) fn sign_in(call: &Call, transaction: &Transaction, id: &str, problem: Option<&str>) -> Reply {
    let email = transaction.email.as_deref().unwrap_or_default();
    let body = html! {
        h1 { "Sign in" }
        p { "to continue to " strong { (transaction.client_id) } }
        form method="post" action={ (call.prefix) (call.path) } {
            input type="hidden" name="transaction" value=(id);
            (address_field(email, problem, true))
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

pub(crate) fn address_field(email: &str, problem: Option<&str>, focus: bool) -> Markup {
    html! {
        label for="email" { "E-mail address" }
        input #email type="email" name="email" value=(email) autocomplete="email" autofocus[focus] required maxlength="254"
            aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")];
        @if let Some(problem) = problem { p #problem .problem role="alert" { (problem) } }
    }
}

pub(crate) fn consent(call: &Call, transaction: &Transaction, id: &str) -> Reply {
    let host = redirect::host(&transaction.redirect_uri);
    let email = transaction.email.as_deref().unwrap_or_default();
    let body = html! {
        h1 { "Allow " strong { (transaction.client_id) } "?" }
        p { "Signed in as " strong { (email) } "." }
        (scope_list(transaction.scope))
        p { "You will be sent to " strong .host { (host) } "." }
        form method="post" action={ (call.prefix) (call.path) } {
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

pub(crate) fn scope_list(scope: Scopes) -> Markup {
    html! {
        p { "It will be able to:" }
        ul .scopes {
            @for name in scope.names() { li { (meaning(name)) " " code { (name) } } }
        }
    }
}

/// The page that shows the code to copy, for clients that no redirect reaches. A browser's address bar and history
/// must not keep the code (RFC 9700 §4.3.1): it is sent on to the same page without a query, which finds in a cookie
/// what to show.
pub(crate) fn paste(_: &Shared, call: &mut Call) -> Reply {
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
            let body = html! {
                h1 { "Almost there" }
                p #what { "Copy this code and paste it into the program that asked for it." }
                output .code tabindex="0" aria-labelledby="what" { (shown) }
                p .hint { "It works once, for a few minutes. Then close this page." }
            };
            ("Copy the code", body)
        }
        (_, _, error) => {
            call.note.outcome = "error-shown";
            let text = form.optional("error_description").unwrap_or("There is no code in this address.");
            let body = html! {
                h1 { "Not signed in" }
                p { (text) @if let Some(error) = error { " " code { (error) } } }
            };
            ("Not signed in", body)
        }
    };
    page(StatusCode::OK, title, "", &body)
}

/// A browser keeps no larger cookie.
const LARGEST_COOKIE: usize = 3800;
const COOKIE: &str = "shown";

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

/// The front page: what this is.
pub(crate) fn front(_: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let metadata = "/.well-known/oauth-authorization-server";
    let body = html! {
        h1 { "keyfob development provider" }
        p { "An OAuth 2.0 authorization server for development and tests, at " code { (call.base.as_str()) } "." }
        p { a href=(metadata) { "What it can do" } " · " a href="/device" { "Enter a device code" } }
    };
    page(StatusCode::OK, "keyfob-dev", "", &body)
}

pub(crate) fn error(status: StatusCode, text: &str) -> Reply {
    page(status, "Cannot continue", "", &html! { h1 { "Cannot continue" } p role="alert" { (text) } })
}

pub(crate) fn page(status: StatusCode, title: &str, form_action: &str, body: &Markup) -> Reply {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · keyfob-dev" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                header role="banner" { p { "Development provider - not for production" } }
                main { (body) }
            }
        }
    };
    let mut reply = status_only(status);
    harden(&mut reply, form_action);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    *reply.body_mut() = document.into_string().into();
    reply
}

/// No framing (RFC 9700 §4.16), no referrer, nothing from elsewhere. `form_action` is the redirect's origin, because
/// browsers apply that directive to the redirect which answers a form.
pub(crate) fn harden(reply: &mut Reply, form_action: &str) {
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {form_action}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = reply.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "user:profile" => "see your profile",
        "user:inference" => "make requests for you",
        "org:create_api_key" => "create API keys for your organisation",
        "openid" => "know who you are",
        "profile" => "see your name",
        "email" => "see your e-mail address",
        "offline_access" => "stay signed in",
        _ => "use",
    }
}
