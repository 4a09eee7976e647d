//! Derives account and organisation from an e-mail address, with the same result on every server.

use serde_json::{Value, json};
use uuid::Uuid;

/// Who signs in when [`Options::auto_approve`](crate::Options::auto_approve) is set and the request has no usable `login_hint`.
pub const DEFAULT_EMAIL: &str = "dev@example.com";

/// Namespace of the version-5 account UUIDs; the name is the lower-case e-mail address.
pub const ACCOUNT_NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7966_6f62_4d64_8576_6163_636f_756e);

/// Namespace of the version-5 organisation UUIDs; the name is the lower-case domain of the e-mail address.
pub const ORGANIZATION_NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7966_6f62_4d64_8576_6f72_6761_6e69);

/// The account of an e-mail address, in the hyphenated lower-case form.
#[must_use]
pub fn account_uuid(email: &str) -> String {
    Uuid::new_v5(&ACCOUNT_NAMESPACE, email.to_ascii_lowercase().as_bytes()).to_string()
}

/// The organisation of an e-mail address, in the hyphenated lower-case form.
#[must_use]
pub fn organization_uuid(email: &str) -> String {
    Uuid::new_v5(&ORGANIZATION_NAMESPACE, domain(email).to_ascii_lowercase().as_bytes()).to_string()
}

/// Accepts typed input: surrounding blanks are dropped, letters become lower case. `None` = not an address.
pub(crate) fn normalise(typed: &str) -> Option<String> {
    let email = typed.trim().to_ascii_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let printable = email.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b));
    let labels = domain.split('.').all(|l| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    (!local.is_empty() && !local.contains('@') && printable && labels && email.len() <= 254).then_some(email)
}

/// The user name: the part before the @.
pub(crate) fn username(email: &str) -> &str {
    email.split('@').next().unwrap_or(email)
}

pub(crate) fn display_name(email: &str) -> String {
    let words = username(email).split(['.', '_', '-', '+']).filter(|w| !w.is_empty());
    words.map(capitalised).collect::<Vec<_>>().join(" ")
}

pub(crate) fn profile(email: &str) -> Value {
    json!({
        "account": {
            "uuid": account_uuid(email),
            "email": email,
            "display_name": display_name(email),
        },
        "organization": { "uuid": organization_uuid(email), "name": domain(email) },
    })
}

fn domain(email: &str) -> &str {
    email.rsplit('@').next().unwrap_or(email)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(normalise(" Ada.Lovelace@Example.COM "), Some("ada.lovelace@example.com".to_owned()));
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "a@b..c", "a@-b", "<a>@b", "a\n@b"] {
            assert!(normalise(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_read_from_the_address() {
        assert_eq!(display_name("ada.lovelace@example.com"), "Ada Lovelace");
    }
}
