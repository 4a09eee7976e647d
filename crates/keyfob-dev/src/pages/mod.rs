//! The web pages. No script, no inline style, no external resource; maud escapes every value.

pub(crate) mod device;
pub(crate) mod paste;
pub(crate) mod sign_in;

use http::{
    StatusCode,
    header::{
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, ORIGIN, REFERRER_POLICY,
        X_FRAME_OPTIONS,
    },
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    http::{
        call::{Call, Reply, status_only},
        form::Form,
    },
    state::{scope::Scopes, shared::Shared},
};

pub(crate) const STYLE_PATH: &str = "/assets/keyfob-dev.css";
/// The design and the mark are keyfob's own: links to its files, because this crate depends on none of ours.
const STYLE: &str = concat!(include_str!("design.css"), include_str!("style.css"));
const MARK: &str = include_str!("mark.svg");

/// A result.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    Good,
    Bad,
}

pub(crate) fn style(_: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let mut reply = status_only(StatusCode::OK);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    *reply.body_mut() = STYLE.into();
    reply
}

/// Reads a form that one of our own pages sent. Browsers name the page a form came from; a program sends neither header
/// and must know the unguessable id. `Origin: null` is the effect of our `Referrer-Policy: no-referrer`.
pub(crate) fn own_form(call: &Call) -> Result<Form, &'static str> {
    let site = call.header("sec-fetch-site").unwrap_or("same-origin");
    let origin = call.header(ORIGIN).unwrap_or("null");
    if site != "same-origin" || (origin != "null" && origin != call.base.as_str()) {
        return Err("This form did not come from a page of this server.");
    }
    call.form().map_err(|refusal| refusal.description)
}

/// Invalid input is reported at its field, which gets the focus.
pub(crate) fn address_field(email: &str, wrong: bool, focus: bool) -> Markup {
    html! {
        label for="email" { "E-mail address" }
        input #email type="email" name="email" value=(email) autocomplete="email" autofocus[focus || wrong] required
            maxlength="254" aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then_some("problem")];
        @if wrong { (problem("Type an e-mail address such as dev@example.com.")) }
    }
}

pub(crate) fn problem(text: &str) -> Markup {
    html! { p #problem .problem role="alert" { (text) } }
}

/// A heading that states the result.
pub(crate) fn outcome(sign: Sign, title: &str) -> Markup {
    let (class, path) = match sign {
        Sign::Good => ("sign good", "m4.5 12.5 5 5 10-11"),
        Sign::Bad => ("sign bad", "M12 4v9m0 6.5v.01"),
    };
    html! {
        div .outcome {
            svg class=(class) viewBox="0 0 24 24" aria-hidden="true" { path d=(path); }
            h1 { (title) }
        }
    }
}

/// Redirects a browser that has sent a form to one of our pages, so that Back and Reload never send it again.
pub(crate) fn see_other(call: &Call, path: &str, parameters: &[(&str, &str)]) -> Reply {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let mut reply = status_only(StatusCode::SEE_OTHER);
    harden(&mut reply, "");
    if let Ok(to) = HeaderValue::from_str(&format!("{}{path}?{query}", call.prefix)) {
        reply.headers_mut().insert(LOCATION, to);
    }
    reply
}

pub(crate) fn scope_list(scope: Scopes) -> Markup {
    html! {
        p { "It will be able to:" }
        ul .scopes {
            @for name in scope.names() { li { span { (meaning(name)) } " " code { (name) } } }
        }
    }
}

/// The front page.
pub(crate) fn front(_: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let metadata = "/.well-known/oauth-authorization-server";
    let body = html! {
        h1 { "keyfob development provider" }
        p { "An OAuth 2.0 authorization server for development and tests, at " code { (call.base.as_str()) } "." }
        p { a href="/device" { "Enter a device code" } }
        p { a href=(metadata) { "What it can do" } " (its metadata)" }
    };
    page(StatusCode::OK, "keyfob-dev", "", &body)
}

pub(crate) fn error(status: StatusCode, text: &str) -> Reply {
    let title = "Cannot continue";
    page(status, title, "", &html! { (outcome(Sign::Bad, title)) p role="alert" { (text) } })
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
                link rel="icon" href={ "data:image/svg+xml," (MARK) };
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                header role="banner" { p { "Development provider - not for production" } }
                main {
                    p .brand { (PreEscaped(MARK)) " keyfob" }
                    (body)
                }
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
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self' {form_action}; base-uri 'none'; \
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

/// An error that is shown to the user and not reported to the client (RFC 6749 §4.1.2.1).
pub(crate) fn untrusted(call: &mut Call, text: &str) -> Reply {
    call.note.outcome = "error-page";
    error(StatusCode::BAD_REQUEST, text)
}
