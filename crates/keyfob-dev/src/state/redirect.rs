//! Registered redirect URIs.
//!
//! They are compared as strings (RFC 9700 §2.1), except for the port of a loopback redirect (RFC 8252 §7.3). Nothing
//! is parsed leniently, so that this server and a browser cannot read the same string differently.

use crate::state::addresses::{PREFIXES, is_loopback, split_authority};

/// The path of the page that shows `code#state`.
pub(crate) const PASTE_PATH: &str = "/oauth/code/callback";

/// Whether a client that registered these URIs may be sent to this one; `ports` are our own, for the page that shows the code.
pub(crate) fn allowed(registered: &[String], uri: &str, ports: &[u16]) -> bool {
    loopback_callback(uri) || paste_page(uri, ports) || registered.iter().any(|known| known == uri)
}

/// The source expression for `form-action`: browsers apply it to the redirect that answers the form.
pub(crate) fn form_action_source(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return String::new() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    // CSP's host-source has no form for IPv6 literals; the scheme is the narrowest that works.
    if authority.starts_with('[') { format!("{scheme}:") } else { format!("{scheme}://{authority}") }
}

/// What the consent page shows: where the browser is about to be sent.
pub(crate) fn host(uri: &str) -> &str {
    uri.split_once("://").map_or(uri, |(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest))
}

/// Appends parameters and keeps an existing query (RFC 6749 §4.1.2).
pub(crate) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{query}")
}

/// Whether a URI may be registered at all.
pub(crate) fn acceptable(uri: &str) -> bool {
    let clean = uri.bytes().all(|b| b.is_ascii_graphic() && !b"#\\<>\"{}|^`".contains(&b));
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some((host, _)) = split_authority(authority) else { return false };
    // The authority goes into a header of ours: nothing may stand in it that means something there.
    let plain = authority.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    clean && plain && (scheme == "https" || scheme == "http" && is_loopback(host))
}

fn loopback_callback(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let Some((authority, "callback")) = rest.split_once('/') else { return false };
    matches!(split_authority(authority), Some(("127.0.0.1" | "[::1]" | "localhost", _)))
}

fn paste_page(uri: &str, ports: &[u16]) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let Some(at) = rest.find('/') else { return false };
    let (authority, path) = rest.split_at(at);
    let ours = split_authority(authority)
        .is_some_and(|(host, given)| is_loopback(host) && ports.contains(&given.unwrap_or(80)));
    ours && PREFIXES.iter().any(|prefix| path.strip_prefix(prefix) == Some(PASTE_PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_redirect_may_choose_its_port_and_nothing_else() {
        for good in
            ["http://127.0.0.1:1/callback", "http://[::1]:65535/callback", "http://localhost/callback"]
        {
            assert!(loopback_callback(good), "{good}");
        }
        for bad in [
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:1/callback/",
            "http://127.0.0.1:1/callback?x",
            "http://127.0.0.1:1/Callback",
            "http://127.0.0.2:1/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://evil.example/callback",
            "http://127.0.0.1:1/../callback",
            "http://127.0.0.1:1#/callback",
            "http://localhost.evil.example/callback",
            "HTTP://127.0.0.1:1/callback",
            " http://127.0.0.1:1/callback",
            "http://127.0.0.1:/callback",
        ] {
            assert!(!loopback_callback(bad), "{bad}");
        }
    }

    #[test]
    fn the_paste_page_is_ours_only_on_our_port() {
        assert!(paste_page("http://localhost:3000/apps/oauth/code/callback", &[3000]));
        assert!(paste_page("http://[::1]:3000/oauth/code/callback", &[3000]));
        assert!(!paste_page("http://localhost:3001/oauth/code/callback", &[3000]));
        assert!(!paste_page("http://localhost:3000/x/oauth/code/callback", &[3000]));
    }

    #[test]
    fn a_registered_redirect_is_https_or_loopback() {
        assert!(acceptable("https://app.example/cb?x=1") && acceptable("http://127.0.0.1:9/x"));
        for bad in [
            "http://app.example/cb",
            "https://a@b/cb",
            "https://b/cb#f",
            "javascript:alert(1)",
            "https:///x",
            "https://a;b/cb",
        ] {
            assert!(!acceptable(bad), "{bad}");
        }
    }
}
