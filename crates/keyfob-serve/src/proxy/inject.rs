//! Adds the credential to a request's head.

use http::{HeaderMap, HeaderName, HeaderValue};
use keyfob::Secret;

/// Adds these headers. A credential replaces what is there; any other is a list, to which what it has is added
/// (`anthropic-beta`), unless it is one that has a single value.
///
/// # Errors
/// One of them cannot be a header.
pub(crate) fn inject(headers: &mut HeaderMap, added: &[(String, Secret)]) -> Result<(), ()> {
    for (name, value) in added {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(drop)?;
        let mut value = text(value)?;
        if is_credential(name.as_str()) {
            value.set_sensitive(true);
            headers.insert(name, value);
        } else if is_single(&name) {
            headers.insert(name, value);
        } else {
            extend(headers, &name, &value)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "adding it to this request is what the proxy is for")]
fn text(value: &Secret) -> Result<HeaderValue, ()> {
    HeaderValue::from_str(value.expose()).map_err(drop)
}

/// Whether a header of this name has a credential in it.
pub(crate) fn is_credential(name: &str) -> bool {
    ["authorization", "x-api-key", "x-trusted-device-token"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// RFC 9110 §5.3: a field that is no list occurs once.
fn is_single(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "user-agent" | "content-type" | "from" | "referer")
        || name.ends_with("-version")
        || name.ends_with("-id")
}

/// One line with all that is in the list, in its order, and ours at the end where it is not in there yet.
fn extend(headers: &mut HeaderMap, name: &HeaderName, ours: &HeaderValue) -> Result<(), ()> {
    let mut all: Vec<&[u8]> = Vec::new();
    for line in headers.get_all(name).iter().chain([ours]) {
        let elements = line.as_bytes().split(|octet| *octet == b',').map(<[u8]>::trim_ascii);
        for element in elements.filter(|element| !element.is_empty()) {
            if !all.contains(&element) {
                all.push(element);
            }
        }
    }
    let value = HeaderValue::from_bytes(&all.join(&b", "[..])).map_err(drop)?;
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_extended_and_a_credential_replaced() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("anthropic-beta", "one, two"),
            ("anthropic-beta", "three"),
            ("authorization", "Bearer phantom"),
            ("anthropic-version", "2020-01-01"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let added = [
            ("Authorization", "Bearer real"),
            ("anthropic-beta", "two,oauth-2025-04-20"),
            ("anthropic-version", "2023-06-01"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)));
        inject(&mut headers, &added).unwrap();
        let all = |name: &str| -> Vec<String> {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(all("anthropic-beta"), ["one, two, three, oauth-2025-04-20"]);
        assert_eq!(all("authorization"), ["Bearer real"]);
        assert_eq!(all("anthropic-version"), ["2023-06-01"]);
        assert!(headers["authorization"].is_sensitive());
        assert!(inject(&mut headers, &[("a b".into(), Secret::new("x"))]).is_err());
    }
}
