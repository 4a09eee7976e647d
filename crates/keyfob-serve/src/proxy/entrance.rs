//! Who may come in: by the user at the other end of a unix socket, or by the token of this run.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use keyfob::Secret;

/// How clients prove that they may ask.
pub(crate) enum Pass {
    /// The system has said who they are.
    User,
    /// They know the token of this run.
    Token(Secret),
}

impl Pass {
    /// Whether whoever comes in has shown already that they may ask.
    pub(crate) fn is_known_beforehand(&self) -> bool {
        matches!(self, Self::User)
    }

    /// Whether a request has what it takes. It may be in whichever header the client's usual variable leads to: `Authorization:
    /// Bearer`, `x-api-key`, or for a client that takes us for its proxy `Proxy-Authorization`, as Bearer or as the password
    /// of Basic.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Self::Token(token) = self else { return true };
        let named =
            [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), header::PROXY_AUTHORIZATION];
        let values = named.iter().flat_map(|name| headers.get_all(name));
        // All are looked at, whichever it is.
        values.fold(false, |found, value| found | is(token, value))
    }
}

fn is(token: &Secret, value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let given = match text.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => return is_password(token, rest),
        Some(_) => return false,
        None => text,
    };
    token.same_as(given)
}

/// RFC 7617 §2: what follows the first colon is the password.
fn is_password(token: &Secret, encoded: &str) -> bool {
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|octets| String::from_utf8(octets).ok());
    decoded
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .is_some_and(|(_, password)| token.same_as(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_this_run_opens_and_nothing_else() {
        let pass = Pass::Token(Secret::new("phantom"));
        let admits = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            pass.admits(&headers)
        };
        let basic = STANDARD.encode("any:phantom");
        for (name, value) in [
            ("authorization", "Bearer phantom"),
            ("authorization", "bearer  phantom"),
            ("x-api-key", "phantom"),
            ("proxy-authorization", "Bearer phantom"),
            ("proxy-authorization", &*format!("Basic {basic}")),
        ] {
            assert!(admits(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Bearer phanton"),
            ("authorization", "Bearer phantom2"),
            ("authorization", "Bearer "),
            ("authorization", "Token phantom"),
            ("x-api-key", ""),
            ("cookie", "phantom"),
            ("proxy-authorization", "Basic phantom"),
        ] {
            assert!(!admits(name, value), "{name}: {value}");
        }
        assert!(!pass.admits(&HeaderMap::new()) && Pass::User.admits(&HeaderMap::new()));
    }
}
