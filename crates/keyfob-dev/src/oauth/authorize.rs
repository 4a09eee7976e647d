//! The authorization endpoint (RFC 6749 §3.1, RFC 7636 §4.3, RFC 9207).

use http::{
    StatusCode,
    header::{HeaderValue, LOCATION},
};

use crate::{
    http::{
        call::{Call, Refusal, Reply, status_only},
        form::Form,
    },
    oauth::resource,
    pages::{
        self,
        sign_in::{CONSENT_PATH, SIGN_IN_PATH},
    },
    state::{
        account::{self, DEFAULT_EMAIL},
        addresses::PREFIXES,
        codes::{CODE_LIFE, Code},
        credential::{self, AUTHORIZATION_CODE, Digest, NoEntropy, TRANSACTION},
        redirect,
        scope::{self, Scopes},
        shared::Shared,
        transaction::{TRANSACTION_LIFE, Transaction},
    },
};

/// Form input is shown again up to this length; no e-mail address is longer.
const LONGEST_TYPED: usize = 254;
const GONE: &str =
    "This sign-in has ended or was never begun here. Start again from the program that asked for it.";

/// An error that may be reported to the client through the browser (RFC 6749 §4.1.2.1).
struct Told(&'static str, &'static str);

/// `GET`: a new request.
pub(crate) fn request(shared: &Shared, call: &mut Call) -> Reply {
    let query = call.parts.uri.query().unwrap_or_default();
    let Some(form) = Form::parse(query.as_bytes()) else {
        return pages::untrusted(call, "The request is not UTF-8 or has too many parameters.");
    };
    // Until client and redirect URI are known to belong together, nobody may be redirected (§4.1.2.1).
    let Ok(Some(client_id)) = form.one("client_id") else {
        return pages::untrusted(call, "The parameter client_id must stand in the request exactly once.");
    };
    let Some(client) = shared.client(client_id) else {
        return pages::untrusted(call, "The client is not known here.");
    };
    call.note.client_id = Some(client_id.to_owned());
    let Ok(Some(redirect_uri)) = form.one("redirect_uri") else {
        return pages::untrusted(call, "The parameter redirect_uri must stand in the request exactly once.");
    };
    if !redirect::allowed(&client.redirect_uris, redirect_uri, &shared.ports) {
        return pages::untrusted(call, "The redirect URI is not registered for this client.");
    }
    let mut transaction = Transaction {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        scope: Scopes::parse(scope::DEFAULT).unwrap_or_else(|| unreachable!("the default scopes are known")),
        email: form.optional("login_hint").and_then(account::normalise),
        typed: None,
        expires_at: 0,
        challenge: String::new(),
        nonce: form.optional("nonce").map(str::to_owned),
        // A repeated state cannot be returned verbatim.
        state: form.optional("state").map(str::to_owned),
        issuer: issuer(shared, call, &form),
    };
    if let Err(Told(error, description)) = complete(shared, &form, &mut transaction) {
        call.note.outcome = error;
        return back(&transaction, &[("error", error), ("error_description", description)]);
    }
    let answered = if shared.auto_approve {
        approve(shared, &transaction, None, transaction.email.as_deref().unwrap_or(DEFAULT_EMAIL)).inspect(
            |_| {
                call.note.outcome = "approved";
            },
        )
    } else {
        ask(shared, call, transaction)
    };
    answered.unwrap_or_else(|error| Refusal::from(error).reply(call))
}

/// Checks the rest of a request whose redirect URI may be used.
fn complete(shared: &Shared, form: &Form, transaction: &mut Transaction) -> Result<(), Told> {
    if form.repeats() {
        return Err(Told("invalid_request", "a parameter stands more than once"));
    }
    match form.optional("response_type") {
        Some("code") => {}
        None => return Err(Told("invalid_request", "response_type is missing")),
        Some(_) => return Err(Told("unsupported_response_type", "only response_type=code is known here")),
    }
    if form.optional("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Told("invalid_request", "only response_mode=query is known here"));
    }
    if form.optional("request").is_some() {
        return Err(Told("request_not_supported", "request objects are not known here"));
    }
    if form.optional("request_uri").is_some() {
        return Err(Told("request_uri_not_supported", "request objects are not known here"));
    }
    // A missing method means plain (RFC 7636 §4.3), which is refused.
    if form.optional("code_challenge_method") != Some("S256") {
        return Err(Told("invalid_request", "code_challenge_method must be S256"));
    }
    let challenge = form.optional("code_challenge").unwrap_or_default();
    let base64url = challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if challenge.len() != 43 || !base64url {
        return Err(Told("invalid_request", "code_challenge must be 43 base64url characters"));
    }
    transaction.challenge = challenge.to_owned();
    if let Some(text) = form.optional("scope") {
        let unknown = Told("invalid_scope", "a requested scope is malformed or not known");
        transaction.scope = Scopes::parse(text).ok_or(unknown)?;
    }
    resource::resources_are_ours(shared, form).map_err(|r| Told(r.error, r.description))
}

/// `POST`: input from our pages.
pub(crate) fn form(shared: &Shared, call: &mut Call) -> Reply {
    let form = match pages::own_form(call) {
        Ok(form) => form,
        Err(text) => return pages::untrusted(call, text),
    };
    let Some((id, mut transaction)) = waiting(shared, &form) else { return pages::untrusted(call, GONE) };
    let digest = Digest::of(id);
    let to = |path| pages::see_other(call, path, &[("transaction", id)]);
    let (outcome, reply) = match (form.optional("decision"), &transaction.email) {
        (Some("deny"), _) => {
            shared.change(|tables, _| tables.transactions.remove(&digest));
            let declined = [("error", "access_denied"), ("error_description", "the person declined")];
            ("denied", back(&transaction, &declined))
        }
        (Some("allow"), Some(email)) => match approve(shared, &transaction, Some(digest), email) {
            Ok(reply) => ("approved", reply),
            Err(error) => return Refusal::from(error).reply(call),
        },
        (Some("back"), _) => ("sign-in-page", to(SIGN_IN_PATH)),
        _ => {
            let typed = form.optional("email").unwrap_or_default();
            let email = account::normalise(typed);
            let known = email.is_some();
            transaction.typed = (!known).then(|| typed.chars().take(LONGEST_TYPED).collect());
            transaction.email = email.or(transaction.email);
            shared.change(|tables, _| tables.transactions.insert(digest, transaction));
            if known { ("consent-page", to(CONSENT_PATH)) } else { ("no-address", to(SIGN_IN_PATH)) }
        }
    };
    call.note.outcome = outcome;
    reply
}

/// `GET`: the sign-in page of a request that waits.
pub(crate) fn sign_in_page(shared: &Shared, call: &mut Call) -> Reply {
    page(shared, call, |call, transaction, id| {
        call.note.outcome = "sign-in-page";
        pages::sign_in::ask(call, transaction, id)
    })
}

/// `GET`: the consent page, once the user is known.
pub(crate) fn consent_page(shared: &Shared, call: &mut Call) -> Reply {
    page(shared, call, |call, transaction, id| match &transaction.email {
        Some(email) => {
            call.note.outcome = "consent-page";
            pages::sign_in::consent(call, transaction, email, id)
        }
        None => {
            call.note.outcome = "sign-in-page";
            pages::sign_in::ask(call, transaction, id)
        }
    })
}

fn page(shared: &Shared, call: &mut Call, show: impl Fn(&mut Call, &Transaction, &str) -> Reply) -> Reply {
    let query = Form::parse(call.parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let Some((id, transaction)) = waiting(shared, &query) else { return pages::untrusted(call, GONE) };
    call.note.client_id = Some(transaction.client_id.clone());
    show(call, &transaction, id)
}

/// The waiting request that a form or a URL names, with its id.
fn waiting<'f>(shared: &Shared, form: &'f Form) -> Option<(&'f str, Transaction)> {
    let id = form.optional("transaction")?;
    let now = shared.clock.now();
    let found = shared.read(|tables, _| tables.transactions.get(&Digest::of(id)).cloned());
    found.filter(|transaction| now < transaction.expires_at).map(|transaction| (id, transaction))
}

fn ask(shared: &Shared, call: &mut Call, mut transaction: Transaction) -> Result<Reply, NoEntropy> {
    let id = credential::mint(TRANSACTION)?;
    call.note.outcome = "sign-in-page";
    shared.change(|tables, now| {
        tables.sweep_waiting(now);
        transaction.expires_at = now.saturating_add(TRANSACTION_LIFE);
        tables.transactions.insert(Digest::of(&id), transaction.clone());
    });
    Ok(pages::sign_in::ask(call, &transaction, &id))
}

/// Issues a code and sends the browser back with it; the waiting request ends in the same transition.
fn approve(
    shared: &Shared,
    transaction: &Transaction,
    waiting: Option<Digest>,
    email: &str,
) -> Result<Reply, NoEntropy> {
    let code = credential::mint(AUTHORIZATION_CODE)?;
    shared.change(|tables, now| {
        if let Some(waiting) = waiting {
            tables.transactions.remove(&waiting);
        }
        let granted = Code {
            client_id: transaction.client_id.clone(),
            redirect_uri: transaction.redirect_uri.clone(),
            challenge: transaction.challenge.clone(),
            nonce: transaction.nonce.clone(),
            scope: transaction.scope,
            email: email.to_owned(),
            expires_at: now.saturating_add(CODE_LIFE),
            used: None,
        };
        tables.sweep_waiting(now);
        tables.codes.insert(Digest::of(&code), granted);
    });
    Ok(back(transaction, &[("code", &code)]))
}

/// Sends the browser back with 303, which never repeats a form (RFC 9700 §4.12), with `state` verbatim
/// (RFC 6749 §4.1.2) and `iss` (RFC 9207 §2).
fn back(transaction: &Transaction, parameters: &[(&str, &str)]) -> Reply {
    let mut all = parameters.to_vec();
    all.extend(transaction.state.as_deref().map(|state| ("state", state)));
    all.push(("iss", &transaction.issuer));
    let to = redirect::with_parameters(&transaction.redirect_uri, &all);
    let mut reply = status_only(StatusCode::SEE_OTHER);
    pages::harden(&mut reply, "");
    if let Ok(to) = HeaderValue::from_str(&to) {
        reply.headers_mut().insert(LOCATION, to);
    }
    reply
}

/// The issuer is the API base as the client addresses it. Only a client that read the metadata of the apps or console
/// base sends our own parameter `issuer`, and is answered with that document's issuer (RFC 9207 §2.4).
fn issuer(shared: &Shared, call: &Call, form: &Form) -> String {
    let prefix = form.optional("issuer").filter(|p| PREFIXES.contains(p)).unwrap_or_default();
    format!("{}{prefix}", call.base.at(shared.port).as_str())
}
