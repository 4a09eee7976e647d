//! The web pages. No script, no inline style, no external resource; maud escapes every value.

pub(crate) mod device;
pub(crate) mod paste;
pub(crate) mod sign_in;

use http::{
    StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, ORIGIN, REFERRER_POLICY, X_FRAME_OPTIONS},
};
use maud::{DOCTYPE, Markup, html};

use crate::{
    http::{
        call::{Call, Reply, status_only},
        form::Form,
    },
    state::{scope::Scopes, shared::Shared},
};

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

pub(crate) fn address_field(email: &str, problem: Option<&str>, focus: bool) -> Markup {
    html! {
        label for="email" { "E-mail address" }
        input #email type="email" name="email" value=(email) autocomplete="email" autofocus[focus] required maxlength="254"
            aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")];
        @if let Some(problem) = problem { p #problem .problem role="alert" { (problem) } }
    }
}

pub(crate) fn scope_list(scope: Scopes) -> Markup {
    html! {
        p { "It will be able to:" }
        ul .scopes {
            @for name in scope.names() { li { (meaning(name)) " " code { (name) } } }
        }
    }
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

/// An error that is shown to the person and told to nobody (RFC 6749 §4.1.2.1).
pub(crate) fn untrusted(call: &mut Call, text: &str) -> Reply {
    call.note.outcome = "error-page";
    error(StatusCode::BAD_REQUEST, text)
}
