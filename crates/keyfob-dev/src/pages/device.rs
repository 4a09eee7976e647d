//! The pages of the device grant (RFC 8628 §3.3, §5.4). They show the code, so that a person can compare it.

use http::StatusCode;
use maud::html;

use crate::{
    http::call::{Call, Reply},
    pages::{Sign, address_field, outcome, page, problem, scope_list},
    state::codes::{Waiting, WrongCode},
};

/// Where the user types the code, compares it, and sees the result.
pub(crate) const ENTER_PATH: &str = "/device";
pub(crate) const CONSENT_PATH: &str = "/device/consent";
pub(crate) const DONE_PATH: &str = "/device/done";

/// What is wrong with the input, and so at which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    Address,
    Code(WrongCode),
}

impl Problem {
    const ALL: [Self; 3] = [Self::Address, Self::Code(WrongCode::Unknown), Self::Code(WrongCode::TooMany)];

    /// Its form in a URL.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Code(WrongCode::Unknown) => "code",
            Self::Code(WrongCode::TooMany) => "wait",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.word() == word)
    }
}

/// The result for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Approved,
    Declined,
    Cancelled,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Approved, Self::Declined, Self::Cancelled];

    /// Its form in a URL and in the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "denied",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.word() == word)
    }
}

pub(crate) fn enter(call: &Call, user_code: &str, email: &str, wrong: Option<Problem>) -> Reply {
    let told = match wrong {
        Some(Problem::Code(WrongCode::Unknown)) => Some("This code is unknown, used or expired."),
        Some(Problem::Code(WrongCode::TooMany)) => Some("Too many wrong codes. Wait a minute."),
        _ => None,
    };
    let known = !user_code.is_empty() && told.is_none();
    let wrong_address = wrong == Some(Problem::Address);
    let body = html! {
        h1 { "Sign in a device" }
        p {
            @if known { "Is this the code that the device or program shows?" }
            @else { "Type the code that the device or program shows." }
        }
        form method="post" action={ (call.prefix) (ENTER_PATH) } {
            label for="user_code" { "Code" }
            input #user_code type="text" name="user_code" value=(user_code) autocomplete="off"
                autofocus[!known && !wrong_address] required maxlength="16" placeholder="XXXX-XXXX" spellcheck="false"
                autocapitalize="characters" aria-invalid=[told.map(|_| "true")] aria-describedby=[told.map(|_| "problem")];
            @if let Some(told) = told { (problem(told)) }
            (address_field(email, wrong_address, known))
            div .buttons {
                button .primary type="submit" { "Continue" }
                button type="submit" name="decision" value="cancel" formnovalidate { "Cancel" }
            }
        }
        p .hint { "Only go on if you have just started this yourself, on a device you have in front of you." }
    };
    page(StatusCode::OK, "Sign in a device", "", &body)
}

pub(crate) fn consent(call: &Call, waiting: &Waiting, user_code: &str, email: &str) -> Reply {
    let body = html! {
        h1 { "Allow " strong { (waiting.client_id) } "?" }
        p { "Compare this code with the one that is shown there." }
        p .code.large { (user_code) }
        p { "You will sign it in as " strong { (email) } "." }
        (scope_list(waiting.scope))
        form method="post" action={ (call.prefix) (ENTER_PATH) } {
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

pub(crate) fn done(ending: Ending) -> Reply {
    let (sign, title, text) = match ending {
        Ending::Approved => {
            (Sign::Good, "Signed in", "The device goes on by itself. You can close this tab.")
        }
        Ending::Declined => (Sign::Bad, "Declined", "The device gets nothing. You can close this tab."),
        Ending::Cancelled => (
            Sign::Bad,
            "Cancelled",
            "Nothing has changed: the code still waits, until it expires. You can close this tab.",
        ),
    };
    page(StatusCode::OK, title, "", &html! { (outcome(sign, title)) p { (text) } })
}
