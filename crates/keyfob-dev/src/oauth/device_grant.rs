//! The device authorization grant (RFC 8628).

use http::StatusCode;
use serde_json::json as object;

use crate::{
    http::{
        call::{Call, Refusal, Reply, json},
        form::Form,
    },
    oauth::{
        client_auth,
        id_token::{self, About},
    },
    pages::{
        self,
        device::{self, Ending, Problem},
    },
    state::{
        account::{self, DEFAULT_EMAIL},
        clients::Client,
        codes::{Answer, DEVICE_CODE_LIFE, Waiting, WrongCode, normalised},
        credential::{self, DEVICE_CODE, Digest, NoEntropy},
        scope::{self, Scopes},
        shared::Shared,
        tables::{Issued, Tables},
    },
};

pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 §3.5: each `slow_down` adds five seconds for good.
const SLOWER_BY: u64 = 5;
/// A network may bring two polls closer together than they were sent.
const JITTER_MS: u64 = 500;
/// RFC 8628 §6.1: no vowels, so no words; nothing that looks like something else.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A user's decision about a user code; shared by the page and by the host of the server.
pub(crate) fn decide(shared: &Shared, user_code: &str, email: Option<&str>) -> Result<(), WrongCode> {
    shared.change(|tables, now| {
        let waiting = tables.device_codes.find(user_code, now)?;
        waiting.answer = email.map_or(Answer::Denied, |email| Answer::Approved(email.to_owned()));
        Ok(())
    })
}

/// `POST /v1/oauth/device/code` (§3.1, §3.2).
pub(crate) fn request(shared: &Shared, call: &mut Call) -> Reply {
    begin(shared, call).unwrap_or_else(|refusal| refusal.reply(call))
}

fn begin(shared: &Shared, call: &mut Call) -> Result<Reply, Refusal> {
    let form = call.form()?;
    let client = client_auth::client(shared, call, &form)?;
    let text = form.optional("scope").unwrap_or(scope::DEFAULT);
    let unknown = || Refusal::new("invalid_scope", "a requested scope is malformed or not known");
    let scope = Scopes::parse(text).ok_or_else(unknown)?;
    let device_code = credential::mint(DEVICE_CODE)?;
    let user_code = new_user_code()?;
    let approved = Answer::Approved(DEFAULT_EMAIL.to_owned());
    let answer = if shared.auto_approve { approved } else { Answer::None };
    let interval = shared.device_interval;
    shared.change(|tables, now| {
        let waiting = Waiting {
            client_id: client.id.clone(),
            scope,
            user_code: user_code.clone(),
            answer,
            interval,
            polled_ms: None,
            expires_at: now.saturating_add(DEVICE_CODE_LIFE),
        };
        tables.sweep_waiting(now);
        tables.device_codes.waiting.insert(Digest::of(&device_code), waiting);
    });
    let shown = format!("{}-{}", &user_code[..4], &user_code[4..]);
    let page = format!("{}{}/device", call.base.as_str(), call.prefix);
    call.note.outcome = "device-code-issued";
    let body = object!({
        "device_code": device_code,
        "user_code": shown,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={shown}"),
        "expires_in": DEVICE_CODE_LIFE,
        "interval": interval,
    });
    Ok(json(StatusCode::OK, &body))
}

/// One poll at the token endpoint (§3.4, §3.5).
pub(crate) fn exchange(
    shared: &Shared,
    issuer: &str,
    client: &Client,
    form: &Form,
) -> Result<Issued, Refusal> {
    let missing = || Refusal::new("invalid_request", "device_code is missing");
    let digest = Digest::of(form.optional("device_code").ok_or_else(missing)?);
    let now_ms = shared.clock.now_ms();
    let ttl = shared.access_token_ttl();
    shared.change(|tables, now| {
        let unknown = || Refusal::new("invalid_grant", "the device code is not known");
        let waiting = tables.device_codes.waiting.get_mut(&digest).filter(|w| w.client_id == client.id);
        let waiting = waiting.ok_or_else(unknown)?;
        if now >= waiting.expires_at {
            return Err(Refusal::new("expired_token", "the device code has expired"));
        }
        let answer = waiting.answer.clone();
        if answer == Answer::None {
            let due = waiting.polled_ms.map(|at| at.saturating_add(waiting.interval.saturating_mul(1000)));
            waiting.polled_ms = Some(now_ms);
            if due.is_some_and(|due| now_ms.saturating_add(JITTER_MS) < due) {
                waiting.interval = waiting.interval.saturating_add(SLOWER_BY);
                return Err(Refusal::new("slow_down", "poll five seconds less often from now on"));
            }
            return Err(Refusal::new("authorization_pending", "nobody has answered yet"));
        }
        let Some(waiting) = tables.device_codes.waiting.remove(&digest) else { return Err(unknown()) };
        match answer {
            Answer::Approved(email) => {
                let (client_id, scope) = (&*waiting.client_id, waiting.scope);
                let about = About { issuer, client_id, email: &email, scope, nonce: None };
                let id_token = id_token::of(shared, &about, None, now)?;
                let wants_device = shared.require_device;
                Ok(Issued { id_token, wants_device, ..issue(tables, &waiting, &email, now, ttl)? })
            }
            _ => Err(Refusal::new("access_denied", "the person declined")),
        }
    })
}

fn issue(
    tables: &mut Tables,
    waiting: &Waiting,
    email: &str,
    now: u64,
    ttl: u64,
) -> Result<Issued, NoEntropy> {
    let family = tables.begin(&waiting.client_id, Some(email), waiting.scope, 0)?;
    let access_token = tables.issue_access(family, waiting.scope, now, ttl)?;
    let refresh_token = Some(tables.issue_refresh(family, now)?);
    tables.counters.device_codes += 1;
    Ok(Issued {
        access_token,
        refresh_token,
        id_token: None,
        wants_device: false,
        expires_in: ttl,
        scope: waiting.scope,
        family,
    })
}

fn query(call: &Call) -> Form {
    Form::parse(call.parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// `GET /device`: where the user types the code, which `verification_uri_complete` fills in (§3.3.1).
pub(crate) fn page(_: &Shared, call: &mut Call) -> Reply {
    let form = query(call);
    let typed = |name| form.optional(name).unwrap_or_default();
    call.note.outcome = "device-page";
    device::enter(call, typed("user_code"), typed("email"), Problem::from_word(typed("problem")))
}

/// `GET /device/consent`: the code, to be compared, and the question.
pub(crate) fn consent_page(shared: &Shared, call: &mut Call) -> Reply {
    let form = query(call);
    let typed = form.optional("user_code").unwrap_or_default();
    let address = form.optional("email").unwrap_or_default();
    let found = shared.change(|tables, now| tables.device_codes.find(typed, now).cloned());
    let problem = match (account::normalise(address), found) {
        (Some(email), Ok(waiting)) => {
            call.note.outcome = "consent-page";
            return device::consent(call, &waiting, &spelled(typed), &email);
        }
        (None, _) => Problem::Address,
        (_, Err(wrong)) => Problem::Code(wrong),
    };
    call.note.outcome = "device-page";
    device::enter(call, typed, address, Some(problem))
}

/// `GET /device/done`: the result.
pub(crate) fn done_page(_: &Shared, call: &mut Call) -> Reply {
    match query(call).optional("ending").and_then(Ending::from_word) {
        Some(ending) => {
            call.note.outcome = "ending-page";
            device::done(ending)
        }
        None => pages::untrusted(call, "There is nothing to see here. Start again with the code."),
    }
}

/// `POST /device`: the code and an e-mail address, then the decision.
pub(crate) fn form(shared: &Shared, call: &mut Call) -> Reply {
    let form = match pages::own_form(call) {
        Ok(form) => form,
        Err(text) => return pages::untrusted(call, text),
    };
    // What goes on in an address is no longer than the fields allow.
    let field = |name, most: usize| -> String {
        form.optional(name).unwrap_or_default().chars().take(most).collect()
    };
    let (typed, address) = (field("user_code", 16), field("email", 254));
    let (typed, address) = (typed.as_str(), address.as_str());
    let decision = form.optional("decision");
    let (outcome, path, last) = match next(shared, decision, typed, address) {
        Ok(Some(ending)) => (ending.word(), device::DONE_PATH, vec![("ending", ending.word())]),
        Ok(None) => ("consent-page", device::CONSENT_PATH, vec![("user_code", typed), ("email", address)]),
        Err(problem) => {
            let outcome = if problem == Problem::Address { "no-address" } else { "wrong-user-code" };
            let again = vec![("user_code", typed), ("email", address), ("problem", problem.word())];
            (outcome, device::ENTER_PATH, again)
        }
    };
    call.note.outcome = outcome;
    pages::see_other(call, path, &last)
}

/// The result of a form: an ending, or the consent page.
fn next(
    shared: &Shared,
    decision: Option<&str>,
    typed: &str,
    address: &str,
) -> Result<Option<Ending>, Problem> {
    if decision == Some("cancel") {
        return Ok(Some(Ending::Cancelled));
    }
    let email = account::normalise(address).ok_or(Problem::Address)?;
    match decision {
        Some("allow") => decide(shared, typed, Some(&email)).map(|()| Some(Ending::Approved)),
        Some("deny") => decide(shared, typed, None).map(|()| Some(Ending::Declined)),
        _ => shared.change(|tables, now| tables.device_codes.find(typed, now).map(|_| None)),
    }
    .map_err(Problem::Code)
}

fn new_user_code() -> Result<String, NoEntropy> {
    // 34 bits out of 64: the bias of the remainder is below one in 2^29.
    let mut number = credential::public_id()?;
    let mut code = String::with_capacity(8);
    for _ in 0..8 {
        let index = usize::try_from(number % 20).unwrap_or_default();
        code.push(char::from(ALPHABET[index]));
        number /= 20;
    }
    Ok(code)
}

fn spelled(typed: &str) -> String {
    let code = normalised(typed);
    if code.len() == 8 { format!("{}-{}", &code[..4], &code[4..]) } else { code }
}
