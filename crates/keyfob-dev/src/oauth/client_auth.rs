//! Client authentication (RFC 6749 §2.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{StatusCode, header::AUTHORIZATION};

use crate::{
    http::{
        call::{Call, Refusal},
        form::{self, Form},
    },
    oauth::client_assertion::{self, Assertion},
    state::{clients::Client, shared::Shared},
};

/// Finds the client of a token, device, revocation or introspection request and checks its secret, or what it signed.
pub(crate) fn client<'a>(shared: &'a Shared, call: &mut Call, form: &Form) -> Result<&'a Client, Refusal> {
    if let Some(text) = form.optional("client_assertion") {
        return by_assertion(shared, call, form, text);
    }
    let header = call.parts.headers.contains_key(AUTHORIZATION);
    let fail = |description| failure(header, description);
    let (id, secret) = match basic(call).map_err(fail)? {
        Some((id, secret)) => {
            call.note.credential.push("basic");
            // RFC 6749 §2.3: not more than one method in a request.
            if form.optional("client_secret").is_some() {
                let text = "the client authenticates in the header and in the body";
                return Err(Refusal::new("invalid_request", text));
            }
            if form.optional("client_id").is_some_and(|other| other != id) {
                return Err(Refusal::new(
                    "invalid_request",
                    "client_id differs from the authenticated client",
                ));
            }
            (id, Some(secret).filter(|s| !s.is_empty()))
        }
        None => {
            let id = form.optional("client_id").ok_or_else(|| fail("client_id is missing"))?;
            (id.to_owned(), form.optional("client_secret").map(str::to_owned))
        }
    };
    let client = shared.client(&id).ok_or_else(|| fail("the client is not known"))?;
    call.note.client_id = Some(id);
    match (&client.secret, secret) {
        (None, None) if client.is_confidential() => Err(fail("this client must authenticate with its key")),
        (None, None) => Ok(client),
        (Some(digest), Some(secret)) if digest.matches(&secret) => Ok(client),
        (None, Some(_)) => Err(fail("a public client has no secret")),
        (Some(_), None) => Err(fail("this client must authenticate")),
        (Some(_), Some(_)) => Err(fail("client authentication failed")),
    }
}

/// What the client signed (RFC 7523 §2.2).
fn by_assertion<'a>(
    shared: &'a Shared,
    call: &mut Call,
    form: &Form,
    text: &str,
) -> Result<&'a Client, Refusal> {
    call.note.credential.push("assertion");
    // RFC 6749 §2.3: not more than one method in a request.
    if call.parts.headers.contains_key(AUTHORIZATION) || form.optional("client_secret").is_some() {
        return Err(Refusal::new("invalid_request", "the client authenticates in more than one way"));
    }
    let fail = |description, outcome| Err(failure(false, description).outcome(outcome));
    if form.optional("client_assertion_type") != Some(client_assertion::TYPE) {
        return fail("the client_assertion_type is not known here", "assertion-malformed");
    }
    let Some(assertion) = Assertion::parse(text) else {
        return fail("the assertion is not a JWT", "assertion-malformed");
    };
    let Some(client) = assertion.subject().and_then(|id| shared.client(id)) else {
        return fail("the client is not known", "invalid_client");
    };
    // RFC 7521 §4.2: it need not be there, and must be the same.
    if form.optional("client_id").is_some_and(|other| other != client.id) {
        return fail("client_id differs from the authenticated client", "assertion-subject");
    }
    call.note.client_id = Some(client.id.clone());
    match assertion.verify(shared, client, &call.issuer()) {
        Ok(()) => Ok(client),
        Err((description, outcome)) => fail(description, outcome),
    }
}

/// HTTP Basic, both halves form-decoded (RFC 6749 §2.3.1).
fn basic(call: &Call) -> Result<Option<(String, String)>, &'static str> {
    let mut values = call.parts.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("more than one Authorization header");
    }
    let malformed = "the Authorization header is not well-formed HTTP Basic";
    let (scheme, encoded) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err("only HTTP Basic is known here");
    }
    let octets = STANDARD.decode(encoded.trim()).map_err(|_| malformed)?;
    let colon = octets.iter().position(|b| *b == b':').ok_or(malformed)?;
    let decoded = (form::decode(&octets[..colon]), form::decode(&octets[colon + 1..]));
    let (Some(id), Some(secret)) = decoded else { return Err(malformed) };
    Ok(Some((id, secret)))
}

/// 401 with a challenge when the client tried the header, 400 otherwise (RFC 6749 §5.2).
fn failure(header: bool, description: &'static str) -> Refusal {
    let refusal = Refusal::new("invalid_client", description);
    if header {
        let challenge = "Basic realm=\"keyfob-dev\", charset=\"UTF-8\"".to_owned();
        refusal.status(StatusCode::UNAUTHORIZED).authenticate(challenge)
    } else {
        refusal
    }
}
