//! The pages that the loopback callback shows in the browser. They have no script, no frame and no external resource, and
//! every text from outside is escaped.

use std::{io::Write, net::TcpStream};

use keyfob_core::{Error, error::escape, login::identity::Identity};

/// The path of the page that says how a sign-in ended.
pub(super) const SIGNED_IN: &str = "/signed-in";
pub(super) const NOT_SIGNED_IN: &str = "/not-signed-in";
/// The path of the page that says that there is a question to answer elsewhere.
pub(super) const QUESTION: &str = "/question";

/// The style of all pages, shared with the development provider; [`STYLE_HASH`] lets just this one in.
const STYLE: &str = include_str!("page/design.css");
/// SHA-256 of [`STYLE`], base64; a test computes it again.
const STYLE_HASH: &str = "fVrPhenqEqEpY+IE/m4V39w8QvYg8CymiQ7ShPp3DF8=";
/// The mark, in the page and on the tab.
const MARK: &str = include_str!("page/mark.svg");
const TICK: &str =
    "<svg class='sign good' viewBox='0 0 24 24' aria-hidden='true'><path d='m4.5 12.5 5 5 10-11'/></svg>";
const EXCLAMATION: &str =
    "<svg class='sign bad' viewBox='0 0 24 24' aria-hidden='true'><path d='M12 4v9m0 6.5v.01'/></svg>";

/// Answers one request, and says that there will be no other on this connection.
pub(super) fn respond(mut stream: &TcpStream, status: &str, headers: &[(&str, &str)], body: &str) {
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// What a sign-in was for.
#[derive(Clone, Copy)]
pub(super) struct For<'f> {
    /// The profile it was to be saved in. `None`: it is handed over instead.
    pub(super) profile: Option<&'f str>,
    pub(super) issuer: &'f str,
}

/// How a sign-in ended: the page that says so, and its path.
pub(super) struct Closing {
    pub(super) path: &'static str,
    pub(super) page: String,
}

impl Closing {
    /// The login is on the disk.
    pub(super) fn signed_in(identity: &Identity, meant: For<'_>) -> Self {
        let known = [&identity.email, &identity.account_uuid, &identity.subject].into_iter().flatten().next();
        let who = known.map_or("the provider does not tell", String::as_str);
        Self::good("You are signed in", Some(who), meant)
    }

    /// A token was made, and the program that asked for it has it.
    pub(super) fn minted(meant: For<'_>) -> Self {
        Self::good("Your token is ready", None, meant)
    }

    fn good(title: &str, who: Option<&str>, meant: For<'_>) -> Self {
        let next = "<p>You can close this tab. The program that asked you to sign in goes on by itself.</p>";
        let page = ended(title, TICK, &format!("{}{next}", facts(who, meant)));
        Self { path: SIGNED_IN, page }
    }

    /// Another account signed in, and whoever started this is asked about it.
    pub(super) fn asked(error: &Error, meant: For<'_>) -> Self {
        let next = "<p><strong>What to do:</strong> Answer the question in the terminal, which also tells what comes of it. \
                    You can close this tab.</p>";
        let text = format!("<p>{}</p>{next}{}", sentence(error.what()), facts(None, meant));
        Self { path: QUESTION, page: ended("The terminal has a question", EXCLAMATION, &text) }
    }

    /// Nothing came of it.
    pub(super) fn failed(error: &Error, meant: For<'_>) -> Self {
        let advice = error.advice().unwrap_or("go back to the program that opened this tab");
        let text = format!(
            "<p>{}</p><p><strong>What to do:</strong> {}</p>{}<p class=\"hint\">You can close this tab.</p>",
            sentence(&format!("{}: {}", error.what(), error.why())),
            sentence(advice),
            facts(None, meant),
        );
        let title = if meant.profile.is_some() { "You are not signed in" } else { "No token was made" };
        Self { path: NOT_SIGNED_IN, page: ended(title, EXCLAMATION, &text) }
    }
}

/// A page about something else than how it ended, in sentences; what stands between back quotes is code.
pub(super) fn notice(title: &str, texts: &[&str]) -> String {
    let text: String = texts.iter().map(|text| format!("<p>{}</p>", sentence(text))).collect();
    ended(title, EXCLAMATION, &text)
}

fn ended(title: &str, sign: &str, rest: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · keyfob</title>\
         <link rel=\"icon\" href=\"data:image/svg+xml,{MARK}\"><style>{STYLE}</style></head><body><main>\
         <p class=\"brand\">{MARK} keyfob</p><div class=\"outcome\">{sign}<h1>{title}</h1></div>{rest}\
         </main></body></html>"
    )
}

/// Who, to which profile, where: as far as there is something to say.
fn facts(who: Option<&str>, meant: For<'_>) -> String {
    let rows = [("Account", who), ("Profile", meant.profile), ("Provider", Some(meant.issuer))];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let rows: String =
        rows.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", markup(&escape(value)))).collect();
    format!("<dl class=\"facts\">{rows}</dl>")
}

/// A text as a sentence of a page: a capital first, a full stop last, and what stands between back quotes as code. A first
/// word that is a name or an address stays as it is spelled.
fn sentence(text: &str) -> String {
    let mut whole = text.trim().to_owned();
    let first = whole.split(' ').next().unwrap_or_default();
    if first.trim_end_matches(|c: char| c.is_ascii_punctuation()).bytes().all(|b| b.is_ascii_lowercase())
        && let Some(letter) = whole.get_mut(..1)
    {
        letter.make_ascii_uppercase();
    }
    if !whole.ends_with(['.', '!', '?']) {
        whole.push('.');
    }
    // One back quote alone is no code.
    if whole.matches('`').count() % 2 == 1 {
        return markup(&whole);
    }
    let parts = whole.split('`').map(markup).enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { part } else { format!("<code>{part}</code>") }).collect()
}

/// Text that means nothing to a browser.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob_core::Id;

    const MEANT: For<'static> = For { profile: Some("default"), issuer: "https://id.example" };

    #[test]
    fn the_style_is_the_one_the_policy_lets_in() {
        use base64::{Engine, prelude::BASE64_STANDARD};
        use sha2::{Digest, Sha256};
        assert_eq!(BASE64_STANDARD.encode(Sha256::digest(STYLE)), STYLE_HASH);
        assert!(!STYLE.contains("</"), "it would end its element");
    }

    /// The mark stands in an attribute as well, where some characters would end it or begin a fragment.
    #[test]
    fn the_mark_fits_into_an_address() {
        assert!(!MARK.contains(['"', '#', '%', '\n']), "{MARK}");
    }

    /// Whatever a provider or a profile is called, it stays text.
    #[test]
    fn the_closing_page_escapes_every_text() {
        let evil = "<script>alert('\"&`</style>`<img src=x>";
        let identity = Identity { email: Some(evil.into()), ..Identity::default() };
        let meant = For { profile: Some(evil), issuer: evil };
        let error = Error::new(Id::LoginDenied, "signing in was refused", evil).hint(evil);
        let ours = notice("title", &["text"]).matches('<').count();
        for page in [
            Closing::signed_in(&identity, meant).page,
            Closing::minted(meant).page,
            Closing::failed(&error, meant).page,
        ] {
            assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
            assert!(page.contains("&lt;script&gt;alert(&#39;&quot;&amp;"), "{page}");
            assert_eq!(page.matches("</style>").count(), 1);
            assert!(page.matches('<').count() < ours + 40);
        }
    }

    /// Who, with which profile, at whom, and what now; or why not, and what to do.
    #[test]
    fn the_closing_page_tells_who_where_and_why() {
        let identity = Identity { email: Some("ada@example.com".into()), ..Identity::default() };
        let page = Closing::signed_in(&identity, MEANT).page;
        for told in
            ["You are signed in", "ada@example.com", "default", "https://id.example", "close this tab"]
        {
            assert!(page.contains(told), "{told}: {page}");
        }
        let nobody = Closing::signed_in(&Identity::default(), MEANT).page;
        assert!(nobody.contains("the provider does not tell"), "{nobody}");
        let error = Error::new(Id::LoginDenied, "signing in was refused", "the provider said access_denied");
        let closing = Closing::failed(&error.hint("start again with `keyfob login`"), MEANT);
        assert_eq!(closing.path, NOT_SIGNED_IN);
        for told in [
            "<h1>You are not signed in</h1>",
            "<p>Signing in was refused: the provider said access_denied.</p>",
            "Start again with <code>keyfob login</code>.",
            "https://id.example",
        ] {
            assert!(closing.page.contains(told), "{told}: {}", closing.page);
        }
        let token = Closing::minted(For { profile: None, ..MEANT }).page;
        assert!(token.contains("Your token is ready") && !token.contains("Profile"), "{token}");
    }

    #[test]
    fn sentences_have_an_end_and_code() {
        assert_eq!(sentence("run `a <b>` now"), "Run <code>a &lt;b&gt;</code> now.");
        assert_eq!(sentence(" done? "), "Done?");
        assert_eq!(sentence("bob@example.com signed in"), "bob@example.com signed in.");
        assert_eq!(sentence("a ` b"), "A ` b.");
        assert_eq!(sentence(""), ".");
    }
}
