//! `keyfob status --json`. docs/json/keyfob.schema.json describes each member.

use keyfob::{
    Error, Generation, Source, Verified,
    internals::{
        core::{
            Record, Timestamp,
            login::sealed::KeyStore,
            oauth::{client_auth::Place, dialect::Dialect},
        },
        credential::{client_proof::ClientProof, grant, standing::Standing},
        world::{Clock as _, system::clock::SystemClock},
    },
};
use serde_json::{Value, json};

use super::found::Found;
use crate::{
    hand_over::{answer::by, lent::Lender},
    output::report,
};

/// The whole answer.
pub(super) fn answer(found: &Found, asked: bool, verified: Option<&keyfob::Result<Verified>>) -> Value {
    let (client, survey) = (&found.client, &found.survey);
    let known = survey.record.as_ref().map(|record| record.identity.clone()).unwrap_or_default();
    let presets = &client.setup().settings.presets;
    let identity = known.overlaid(presets);
    let (sealed_by, seals_with) = client.sealing();
    let verdict = match verified {
        Some(Ok(Verified::Withheld)) => Some("accepted-without-account"),
        Some(Ok(_)) => Some("accepted"),
        Some(Err(error)) if error.id() == keyfob::ErrorId::Unreachable => Some("unreachable"),
        Some(Err(_)) => Some("rejected"),
        None => asked.then_some("not-asked"),
    };
    let problem = Error::all(found.problems.clone())
        .or_else(|| survey.nobody.clone().filter(|_| found.lender.is_none()));
    let rejected = verified.and_then(|verified| verified.as_ref().err());
    json!({
        "purpose": found.purpose.word(),
        "winner": survey.winner.map(|source| winner(found, source)).or_else(|| found.lender.as_ref().map(lent)),
        "agent": found.lender.as_ref().map(|lender| json!({
            "socket": lender.socket,
            "door": lender.door,
            "environment": lender.environment,
            "profile": lender.profile,
            "account": lender.account,
        })),
        "environment": client.environment().ok().map(|environment| json!({
            "name": environment.name,
            "issuer": environment.issuer(),
            "client_id": environment.client_id.as_ref().map(|id| id.as_str()),
        })),
        "client_auth": client.client_proof(survey.record.as_deref()).map(|proof| client_auth(&proof)),
        "considered": survey.considered,
        "identity": {
            "account_uuid": identity.account_uuid,
            "organization_uuid": identity.organization_uuid,
            "email": identity.email,
            "name": identity.known_name(),
            "tagged_id": identity.tagged_id(presets),
        },
        "sealed_by": sealed_by,
        "store": seals_with.map_or("file", KeyStore::word),
        "verified": verified.map(std::result::Result::is_ok),
        "verification": verdict,
        "error": problem.as_ref().or(rejected).map(report::error_json),
    })
}

/// How the client proves itself, and whether what it needs for that is there.
fn client_auth(proof: &ClientProof) -> Value {
    let file = match &proof.at {
        Some(Place::File(path)) => Some(path),
        _ => None,
    };
    let wrong = proof.usable.as_ref().and_then(|usable| usable.as_ref().err());
    json!({
        "method": proof.method,
        "file": file,
        "command": matches!(proof.at, Some(Place::Command(_))),
        "key_id": proof.key_id,
        "readable": proof.usable.as_ref().map(std::result::Result::is_ok),
        "error": wrong.map(report::error_json),
    })
}

fn winner(found: &Found, source: Source) -> Value {
    let survey = &found.survey;
    let record = survey.record.as_deref();
    let standing = survey.standing.as_ref();
    let minted = found.minted.as_ref().and_then(|note| note.expires_at);
    let end = standing.map_or(minted, |standing| standing.expires_at).or(survey.claimed_end);
    let configured =
        || found.client.environment().map(|environment| environment.dialect.clone()).unwrap_or_default();
    let dialect = record.map_or_else(configured, |record| record.dialect.clone());
    let later = standing.and_then(|standing| standing.obstacle.clone().or_else(|| standing.ended.clone()));
    json!({
        "source": source,
        "header": grant::header_names(source, &dialect).join(", "),
        "expires_at": end.map(|end| end.to_string()),
        "expires_by": end.map(|_| by(survey.claimed_end.is_some())),
        "id_token_expires_at": standing.and_then(|standing| standing.id_token_ends_at).map(|end| end.to_string()),
        "login": record.map(|record| record.generation.login()),
        "generation": record.map(|record| record.generation.number()),
        "handle": record.map(|record| record.generation.to_string()),
        "profile": record.map(|record| record.profile.as_str()),
        "environment": record.map(|record| record.environment.as_str()),
        "issuer": record.map(|record| record.issuer.as_str()),
        "client_id": record.map(|record| record.client_id.as_str()),
        "scopes": record.map(|record| record.scopes.iter().collect::<Vec<_>>()),
        "state": state(found, source),
        "identity_token": record.and_then(|record| record.federated.as_ref()?.identity.as_ref()).map(|claims| json!({
            "issuer": claims.issuer,
            "subject": claims.subject,
            "audience": claims.audience,
            "expires_at": claims.expires_at.map(|end| Timestamp(end).to_string()),
        })),
        "cooldown": standing.and_then(|standing| standing.paused.as_ref()).map(|(until, why)| json!({
            "until": until.to_string(),
            "why": why,
        })),
        "obstacle": later.as_ref().map(report::error_json),
    })
}

/// The credential that an agent lends. What only its record says is not known here.
fn lent(lender: &Lender) -> Value {
    let generation: Option<Generation> = lender.handle.as_deref().and_then(|handle| handle.parse().ok());
    json!({
        "source": Source::Login,
        "header": grant::header_names(Source::Login, &Dialect::default()).join(", "),
        "expires_at": lender.expires_in.map(|left| SystemClock.now().plus(left).to_string()),
        "expires_by": lender.expires_in.map(|_| by(false)),
        "id_token_expires_at": null,
        "login": generation.as_ref().map(|generation| generation.login()),
        "generation": generation.as_ref().map(|generation| generation.number()),
        "handle": lender.handle,
        "profile": lender.profile,
        "environment": lender.environment,
        "issuer": null,
        "client_id": null,
        "scopes": null,
        "state": LENT,
        "identity_token": null,
        "cooldown": null,
        "obstacle": lender.problem.as_ref().map(report::error_json),
    })
}

/// The state of what an agent lends.
pub(crate) const LENT: &str = "lent";

/// The state of the credential in use, in a word.
pub(crate) fn state(found: &Found, source: Source) -> &'static str {
    match (&found.survey.record, &found.survey.standing) {
        (Some(record), Some(_)) if record.federated.is_some() && record.access_token.is_none() => {
            "not-yet-exchanged"
        }
        (Some(record), Some(standing)) => state_of(record, standing),
        _ if matches!(source, Source::Login | Source::RefreshToken | Source::Federation) => {
            "not-yet-exchanged"
        }
        _ => "as-it-is",
    }
}

/// The state of a stored login, in a word.
pub(crate) fn state_of(record: &Record, standing: &Standing) -> &'static str {
    if standing.ended.is_some() {
        return "ended";
    }
    if standing.paused.is_some() && standing.obstacle.is_some() {
        return "cooling-down";
    }
    match (record.unknown_now(), standing.lives) {
        (Some(_), _) => "outcome-unknown",
        (None, true) => "valid",
        (None, false) if record.can_renew() => "renewal-due",
        (None, false) => "expired",
    }
}
