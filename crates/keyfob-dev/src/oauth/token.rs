//! The token endpoint (RFC 6749 §3.2).

use http::StatusCode;

use crate::{
    http::{
        call::{Call, Refusal, Reply, json},
        flags,
        form::Form,
    },
    oauth::{
        answer::members,
        client_auth, device_grant, faults, federation,
        id_token::{self, About},
        manner,
        resource::resources_are_ours,
    },
    state::{
        clients::Client,
        credential::{self, Digest},
        faults::{FaultGrant, FaultKind},
        scope::Scopes,
        shared::Shared,
        tables::{Issued, NotRotated, Rotation},
    },
};

/// The longest life that `expires_in` may ask for: a year and a day.
const LONGEST_LIFE: u64 = 366 * 24 * 3600;

pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Reply {
    if let Some(reply) = federation::answer(shared, call) {
        return reply;
    }
    let reply = match grant(shared, call) {
        Ok(reply) => reply,
        Err(refusal) => refusal.reply(call),
    };
    manner::written(reply, call.manner)
}

fn grant(shared: &Shared, call: &mut Call) -> Result<Reply, Refusal> {
    let form = if shared.vendor { call.object() } else { call.form() }?;
    let grant_type = form
        .optional("grant_type")
        .ok_or_else(|| Refusal::new("invalid_request", "grant_type is missing"))?;
    let (name, grant) = match grant_type {
        "authorization_code" => ("authorization_code", Some(FaultGrant::Code)),
        "refresh_token" => ("refresh_token", Some(FaultGrant::Refresh)),
        "client_credentials" => ("client_credentials", Some(FaultGrant::Client)),
        device_grant::GRANT_TYPE => (device_grant::GRANT_TYPE, Some(FaultGrant::Device)),
        _ => ("other", None),
    };
    let fault = grant.and_then(|grant| shared.take_fault(grant));
    call.manner = grant.map(|grant| manner::of(shared, grant)).unwrap_or_default();
    call.note.grant_type = Some(name);
    if shared.vendor {
        flags::of_grant(call, grant_type)?;
    }
    if let Some(reply) = fault.and_then(|kind| faults::before(kind, shared, call)) {
        // For the log only: a fault that strikes first must not answer for a client of its own.
        call.note.client_id =
            form.optional("client_id").filter(|id| shared.client(id).is_some()).map(str::to_owned);
        return Ok(reply);
    }
    let client = client_auth::client(shared, call, &form)?;
    resources_are_ours(shared, &form)?;
    let issued = match name {
        "authorization_code" => code(shared, call, client, &form, fault),
        "refresh_token" => refresh(shared, call, client, &form, fault),
        "client_credentials" => client_credentials(shared, client, &form),
        device_grant::GRANT_TYPE => device_grant::exchange(shared, &call.issuer(), client, &form),
        _ => Err(Refusal::new("unsupported_grant_type", "this grant type is not known here")),
    }?;
    call.note.family = Some(issued.family);
    Ok(match fault {
        Some(kind) => faults::after(kind, shared, call, &issued),
        None => {
            call.note.outcome = match name {
                "authorization_code" => "code-exchanged",
                "refresh_token" => "rotated",
                _ => "granted",
            };
            json(StatusCode::OK, &members(&issued))
        }
    })
}

/// The authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.5).
fn code(
    shared: &Shared,
    call: &mut Call,
    client: &Client,
    form: &Form,
    fault: Option<FaultKind>,
) -> Result<Issued, Refusal> {
    let required = |name, text| form.optional(name).ok_or_else(|| Refusal::new("invalid_request", text));
    let presented = required("code", "code is missing")?;
    let redirect_uri = required("redirect_uri", "redirect_uri is missing")?;
    let verifier = form.optional("code_verifier").ok_or_else(|| {
        Refusal::new("invalid_grant", "code_verifier is missing").outcome("verifier-missing")
    })?;
    let asked_life = form.optional("expires_in").map(life).transpose()?;
    let ttl = asked_life.unwrap_or_else(|| shared.access_token_ttl());
    let issuer = call.issuer();
    let refused = |text, outcome| Refusal::new("invalid_grant", text).outcome(outcome);
    let issued = shared.change(|tables, now| {
        let digest = Digest::of(presented);
        let unknown = || refused("the code is unknown or expired", "unknown-code");
        let code = tables.codes.get(&digest).ok_or_else(unknown)?;
        if code.client_id != client.id {
            return Err(refused("the code is unknown or expired", "wrong-client"));
        }
        // RFC 6749 §4.1.2: denied, and what the first use gave is revoked.
        if let Some(family) = code.used {
            tables.revoke_family(family);
            tables.counters.code_reuses += 1;
            call.note.family = Some(family);
            return Err(refused("the code has been used before", "code-reused"));
        }
        if now >= code.expires_at {
            return Err(refused("the code is unknown or expired", "expired-code"));
        }
        if code.redirect_uri != redirect_uri {
            return Err(refused("redirect_uri differs from the authorization request", "wrong-redirect"));
        }
        if !credential::verifier_matches(verifier, &code.challenge) {
            return Err(refused("code_verifier does not match the challenge", "wrong-verifier"));
        }
        let (scope, email, nonce) = (code.scope, code.email.clone(), code.nonce.clone());
        if asked_life.is_some() && Some(scope) != Scopes::parse("user:inference") {
            let text = "a long-lived token has the scope user:inference and no other";
            return Err(Refusal::new("invalid_scope", text));
        }
        let family = tables.begin(&client.id, Some(&email), scope, 0)?;
        let access_token = tables.issue_access(family, scope, now, ttl)?;
        let refresh_token =
            if asked_life.is_some() { None } else { Some(tables.issue_refresh(family, now)?) };
        let about =
            About { issuer: &issuer, client_id: &client.id, email: &email, scope, nonce: nonce.as_deref() };
        let id_token = id_token::of(shared, &about, fault, now)?;
        if let Some(code) = tables.codes.get_mut(&digest) {
            code.used = Some(family);
        }
        tables.counters.codes += 1;
        let wants_device = shared.require_device && asked_life.is_none();
        Ok(Issued { access_token, refresh_token, id_token, wants_device, expires_in: ttl, scope, family })
    });
    if matches!(&issued, Err(refusal) if refusal.outcome == "code-reused") {
        shared.changed();
    }
    issued
}

fn life(text: &str) -> Result<u64, Refusal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let seconds = plain.then(|| text.parse().ok()).flatten().filter(|s| (1..=LONGEST_LIFE).contains(s));
    seconds.ok_or_else(|| Refusal::new("invalid_request", "expires_in is a number of seconds up to 366 days"))
}

/// The refresh grant with rotation (RFC 6749 §6, RFC 9700 §4.14.2).
fn refresh(
    shared: &Shared,
    call: &mut Call,
    client: &Client,
    form: &Form,
    fault: Option<FaultKind>,
) -> Result<Issued, Refusal> {
    let missing = || Refusal::new("invalid_request", "refresh_token is missing");
    let token = form.optional("refresh_token").ok_or_else(missing)?;
    let unknown_scope = || Refusal::new("invalid_scope", "a requested scope is malformed or not known");
    let scope = form.optional("scope").map(|s| Scopes::parse(s).ok_or_else(unknown_scope)).transpose()?;
    let ask = Rotation {
        token,
        client_id: &client.id,
        scope,
        ttl: shared.access_token_ttl(),
        grace: shared.reuse_grace,
        keep: fault == Some(FaultKind::NoRefreshToken),
    };
    let issuer = call.issuer();
    let rotated = shared.change(|tables, now| {
        let issued = tables.rotate(&ask, now)?;
        // OpenID Connect Core §12.2: of whoever signed in, and without the nonce of then.
        let email = tables.families.get(&issued.family).and_then(|family| family.email.clone());
        let Some(email) = email else { return Ok(issued) };
        let about =
            About { issuer: &issuer, client_id: &client.id, email: &email, scope: issued.scope, nonce: None };
        Ok(Issued { id_token: id_token::of(shared, &about, fault, now)?, ..issued })
    });
    let refused = |outcome| Refusal::new("invalid_grant", "the refresh token is not valid").outcome(outcome);
    rotated.map_err(|why| match why {
        NotRotated::Unknown => refused("unknown-token"),
        NotRotated::Expired => refused("expired-token"),
        NotRotated::Revoked => refused("revoked-token"),
        NotRotated::OtherClient => refused("wrong-client"),
        NotRotated::Reused(family) => {
            call.note.family = Some(family);
            shared.changed();
            let text = "the refresh token has been used before; the login is revoked";
            Refusal::new("invalid_grant", text).outcome("reuse-detected")
        }
        NotRotated::Wider => {
            Refusal::new("invalid_scope", "the scope exceeds what was granted").outcome("scope-widened")
        }
        NotRotated::NoEntropy => credential::NoEntropy.into(),
    })
}

/// The client credentials grant (RFC 6749 §4.4), without a refresh token (§4.4.3).
fn client_credentials(shared: &Shared, client: &Client, form: &Form) -> Result<Issued, Refusal> {
    if !client.is_confidential() {
        return Err(Refusal::new("unauthorized_client", "only a confidential client may use this grant"));
    }
    let text = form.optional("scope").unwrap_or("user:inference");
    let unknown = || Refusal::new("invalid_scope", "a requested scope is malformed or not known");
    let scope = Scopes::parse(text).ok_or_else(unknown)?;
    let ttl = shared.access_token_ttl();
    shared.change(|tables, now| {
        let family = tables.begin(&client.id, None, scope, 0)?;
        let access_token = tables.issue_access(family, scope, now, ttl)?;
        tables.counters.client_credentials += 1;
        Ok(Issued {
            access_token,
            refresh_token: None,
            id_token: None,
            wants_device: false,
            expires_in: ttl,
            scope,
            family,
        })
    })
}
