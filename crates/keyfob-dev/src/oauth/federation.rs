//! Exchanges of identity tokens: the JWT bearer grant (RFC 7523 §2.1), token exchange (RFC 8693 §2), and the vendor's own
//! form of the former.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Value, json as object};

use crate::{
    http::{
        call::{Call, Refusal, Reply, json},
        form::Form,
    },
    oauth::{
        answer::members, client_auth, faults, narrow, resource::resources_are_ours, workload::ISSUER_PATH,
    },
    state::{
        clients::LOCAL_CLIENT_ID,
        credential::Digest,
        faults::FaultGrant,
        scope::Scopes,
        shared::Shared,
        tables::{Issued, Tables},
    },
};

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The types of a subject token that are known here (RFC 8693 §3).
const SUBJECTS: [&str; 3] =
    [ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// The flag that leads to the vendor's exchange, and the one that leads elsewhere.
const FEDERATION_FLAG: &str = "oidc-federation-2026-04-01";
const OAUTH_FLAG: &str = "oauth-2025-04-20";
/// The vendor's rules that are known here, and the subjects that fit each: those that begin so.
const RULES: [(&str, &str); 2] = [("fdrl_local", ""), ("fdrl_owner", "repo:owner/")];

/// Why an exchange was refused: in the words of OAuth, or in those of the vendor's API.
enum Refused {
    OAuth(Refusal),
    Vendor { status: StatusCode, kind: &'static str, message: &'static str },
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::OAuth(refusal)
    }
}

/// What the claims of a true identity token say.
struct Identity {
    subject: String,
    number: Option<Digest>,
    ends_at: u64,
}

/// Answers an exchange. `None`: the request is for another grant.
pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Option<Reply> {
    let form = parameters(call)?;
    let name =
        [JWT_BEARER, TOKEN_EXCHANGE].into_iter().find(|name| form.optional("grant_type") == Some(name))?;
    call.note.grant_type = Some(name);
    let fault = shared.take_fault(FaultGrant::Federation);
    if let Some(reply) = fault.and_then(|kind| faults::before(kind, shared, call)) {
        return Some(reply);
    }
    Some(match exchange(shared, call, &form, name) {
        Ok(issued) => {
            call.note.family = Some(issued.family);
            match fault {
                Some(kind) => faults::after(kind, shared, call, &issued),
                None => {
                    call.note.outcome = "granted";
                    let mut members = members(&issued);
                    if name == TOKEN_EXCHANGE {
                        // RFC 8693 §2.2.1: required.
                        members["issued_token_type"] = ACCESS_TOKEN.into();
                    }
                    json(StatusCode::OK, &members)
                }
            }
        }
        Err(Refused::OAuth(refusal)) => refusal.reply(call),
        Err(Refused::Vendor { status, kind, message }) => {
            call.note.outcome = kind;
            json(status, &object!({ "type": "error", "error": { "type": kind, "message": message } }))
        }
    })
}

/// The parameters of a form or of a JSON object.
fn parameters(call: &Call) -> Option<Form> {
    call.form().or_else(|_| call.object()).ok()
}

fn exchange(shared: &Shared, call: &mut Call, form: &Form, grant: &str) -> Result<Issued, Refused> {
    let flags = call.header("anthropic-beta").unwrap_or_default();
    let has = |flag: &str| flags.split(',').any(|one| one.trim() == flag);
    let vendor = grant == JWT_BEARER && has(FEDERATION_FLAG);
    if shared.vendor && !vendor {
        let text = "an exchange at the vendor carries its own anthropic-beta";
        return Err(Refusal::new("invalid_request", text).into());
    }
    if vendor && has(OAUTH_FLAG) {
        let text = "anthropic-beta names two backends";
        return Err(Refusal::new("invalid_request", text).into());
    }
    if vendor && call.form().is_ok() {
        return Err(Refusal::new("invalid_request", "the vendor's exchange takes a JSON body").into());
    }
    let client = match (vendor, form.optional("client_id"), call.header(http::header::AUTHORIZATION)) {
        // RFC 7523 §3.1, RFC 8693 §2.1: the client need not be named.
        (true, ..) | (false, None, None) => LOCAL_CLIENT_ID.to_owned(),
        _ => client_auth::client(shared, call, form)?.id.clone(),
    };
    resources_are_ours(shared, form)?;
    let token = subject(form, grant)?;
    if grant == TOKEN_EXCHANGE && form.optional("subject_token_type") == Some(ACCESS_TOKEN) {
        return Ok(narrow::access_token(shared, form, &client, token)?);
    }
    let scope = match form.optional("scope") {
        None => Scopes::parse("user:inference"),
        Some(text) => Scopes::parse(text),
    };
    let unknown = || Refusal::new("invalid_scope", "a requested scope is malformed or not known");
    let scope = scope.ok_or_else(unknown)?;
    let identity = identity(shared, call, token).map_err(|why| untrue(vendor, grant, why))?;
    if vendor {
        rule(form, &identity)?;
    }
    let ttl = shared.access_token_ttl();
    shared.change(|tables, now| {
        if let Some(number) = identity.number
            && !first_time(tables, number, identity.ends_at, now)
        {
            tables.counters.identity_reuses += 1;
            return Err(if vendor {
                let status = StatusCode::UNAUTHORIZED;
                Refused::Vendor {
                    status,
                    kind: "jti_reused",
                    message: "the identity token was exchanged before",
                }
            } else {
                Refusal::new("invalid_grant", "the identity token was exchanged before (jti_reused)")
                    .outcome("jti_reused")
                    .into()
            });
        }
        let family = tables.begin(&client, None, scope, 0).map_err(Refusal::from)?;
        let access_token = tables.issue_access(family, scope, now, ttl).map_err(Refusal::from)?;
        tables.counters.federations += 1;
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

/// The identity token of a request.
fn subject<'f>(form: &'f Form, grant: &str) -> Result<&'f str, Refusal> {
    let missing = |text| Refusal::new("invalid_request", text);
    if grant == JWT_BEARER {
        return form.optional("assertion").ok_or_else(|| missing("assertion is missing"));
    }
    let kind = form.optional("subject_token_type");
    let kind = kind.ok_or_else(|| missing("subject_token_type is missing"))?;
    if !SUBJECTS.contains(&kind) {
        return Err(missing("this type of subject token is not known here"));
    }
    if form.optional("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(missing("only access tokens are issued here"));
    }
    if form.optional("actor_token_type").is_some() {
        return Err(missing("actor_token_type stands without actor_token"));
    }
    // RFC 8693 §2.2.2.
    if form.all("audience").any(|audience| audience.starts_with("https://unknown.")) {
        return Err(Refusal::new("invalid_target", "this audience is not known here"));
    }
    form.optional("subject_token").ok_or_else(|| missing("subject_token is missing"))
}

/// RFC 7523 §3.1 and RFC 8693 §2.2.2 have different words for an identity token that is not valid.
fn untrue(vendor: bool, grant: &str, why: &'static str) -> Refused {
    if vendor {
        let status = StatusCode::UNAUTHORIZED;
        return Refused::Vendor { status, kind: "authentication_error", message: why };
    }
    let word = if grant == JWT_BEARER { "invalid_grant" } else { "invalid_request" };
    Refusal::new(word, why).outcome("identity-untrue").into()
}

/// Whether the vendor's rule fits.
fn rule(form: &Form, identity: &Identity) -> Result<(), Refused> {
    let missing = |text| Refusal::new("invalid_request", text);
    let rule = form.optional("federation_rule_id");
    let rule = rule.ok_or_else(|| missing("federation_rule_id is missing"))?;
    form.optional("organization_id").ok_or_else(|| missing("organization_id is missing"))?;
    let fits = RULES.iter().any(|(name, begin)| *name == rule && identity.subject.starts_with(begin));
    if fits {
        return Ok(());
    }
    let status = StatusCode::UNAUTHORIZED;
    Err(Refused::Vendor {
        status,
        kind: "authentication_error",
        message: "no federation rule fits this identity",
    })
}

/// Whether a number was not seen before (RFC 7523 §3, item 7); from now on it was.
fn first_time(tables: &mut Tables, number: Digest, ends_at: u64, now: u64) -> bool {
    tables.identity_numbers.retain(|_, ends_at| *ends_at > now);
    tables.identity_numbers.insert(number, ends_at).is_none()
}

/// The checks of RFC 7523 §3: signature, issuer, subject, audience, expiry.
fn identity(shared: &Shared, call: &Call, token: &str) -> Result<Identity, &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
    let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is no JWT");
    let object = |part: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decode(part)?).map_err(|_| "it is no JWT")
    };
    // Never `none` (RFC 8725 §3.1).
    if object(header)?["alg"] != "ES256" || !shared.signer.signed(signed.as_bytes(), &decode(signature)?) {
        return Err("its signature is not valid");
    }
    let claims = object(claims)?;
    let here = |text: &str| call.base.spellings(shared.port).iter().any(|base| base == text);
    let issuer = claims["iss"].as_str().and_then(|issuer| issuer.strip_suffix(ISSUER_PATH));
    if !issuer.is_some_and(here) {
        return Err("its issuer is not known here");
    }
    let subject = claims["sub"].as_str().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or("it has no subject")?;
    let audience = match &claims["aud"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).any(here),
        Value::String(one) => here(one),
        _ => false,
    };
    if !audience {
        return Err("it is for another audience");
    }
    let ends_at = claims["exp"].as_u64().ok_or("it does not say when it ends")?;
    if ends_at <= shared.clock.now() {
        return Err("it has expired");
    }
    let number = claims["jti"].as_str().map(Digest::of);
    Ok(Identity { subject: subject.to_owned(), number, ends_at })
}
