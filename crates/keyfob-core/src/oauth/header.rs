//! Headers of a request that carry a credential, or stand beside one.

use alloc::borrow::Cow;

use crate::Secret;

/// A header to send: its name, which configuration may have given, and its value.
pub type Header = (Cow<'static, str>, Secret);

/// Whether two names of headers are the same (RFC 9110 §5.1).
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The parts that names of headers have which carry a credential.
const OF_CREDENTIALS: [&str; 14] = [
    "authorization",
    "authentication",
    "auth",
    "cookie",
    "token",
    "key",
    "apikey",
    "secret",
    "password",
    "credential",
    "credentials",
    "assertion",
    "jwt",
    "dpop",
];

/// Whether a header of this name carries a credential, as far as its name says so. Such a one is never configuration,
/// and its value is never shown.
#[must_use]
pub fn carries_a_credential(name: &str) -> bool {
    let mut parts = name.split(['-', '_', '.']);
    parts.any(|part| OF_CREDENTIALS.iter().any(|known| part.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_credential_is_told_by_its_name() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "X-Api-Key",
            "X-Trusted-Device-Token",
            "Cookie",
            "PRIVATE-TOKEN",
            "x_auth_token",
            "DPoP",
        ] {
            assert!(carries_a_credential(name), "{name}");
        }
        for name in ["anthropic-beta", "anthropic-version", "x-tenant", "x-keyboard", "Accept", ""] {
            assert!(!carries_a_credential(name), "{name}");
        }
    }
}
