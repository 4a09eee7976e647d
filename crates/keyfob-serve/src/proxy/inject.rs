//! Adds the credential to a request's head.

use http::{HeaderMap, HeaderName, HeaderValue};
use keyfob::Secret;

/// Adds these headers. What is there is replaced, or has ours added at its end
/// (`anthropic-beta`), if it is one that is known to be a list; else ours is the only one, also for programs behind a gateway
/// (CGI, WSGI) that take `x_tenant` for `x-tenant`.
///
/// # Errors
/// One of them cannot be a header.
pub(crate) fn inject(headers: &mut HeaderMap, added: &[(String, Secret)]) -> Result<(), ()> {
    for (name, value) in added {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(drop)?;
        let mut value = text(value)?;
        drop_twins(headers, &name);
        if is_list(&name) {
            extend(headers, &name, &value)?;
        } else {
            value.set_sensitive(is_credential(name.as_str()));
            headers.insert(name, value);
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

/// Whether a field is a list that client and provider add to alike. Any other of the provider's says whose a request is.
fn is_list(name: &HeaderName) -> bool {
    name.as_str().ends_with("-beta")
}

/// Drops what differs from this name in nothing but underscores.
fn drop_twins(headers: &mut HeaderMap, name: &HeaderName) {
    let dashed = |octet: u8| if octet == b'_' { b'-' } else { octet };
    let is_twin = |other: &&HeaderName| {
        let own = name.as_str().bytes().map(dashed);
        *other != name && other.as_str().bytes().map(dashed).eq(own)
    };
    for twin in headers.keys().filter(is_twin).cloned().collect::<Vec<_>>() {
        headers.remove(twin);
    }
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
            ("x-tenant", "theirs"),
            ("x_tenant", "theirs"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let added = [
            ("Authorization", "Bearer real"),
            ("anthropic-beta", "two,oauth-2025-04-20"),
            ("anthropic-version", "2023-06-01"),
            ("x-tenant", "ours"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)));
        inject(&mut headers, &added).unwrap();
        let all = |name: &str| -> Vec<String> {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(all("anthropic-beta"), ["one, two, three, oauth-2025-04-20"]);
        assert_eq!(all("authorization"), ["Bearer real"]);
        assert_eq!(all("anthropic-version"), ["2023-06-01"]);
        assert_eq!((all("x-tenant"), all("x_tenant").len()), (vec!["ours".to_owned()], 0));
        assert!(headers["authorization"].is_sensitive());
        assert!(inject(&mut headers, &[("a b".into(), Secret::new("x"))]).is_err());
    }
}
