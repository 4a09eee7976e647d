//! Trusted devices: a token that says that this machine was seen before.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json as object;

use crate::{
    api::bearer,
    http::call::{Call, Refusal, Reply, json, status_only},
    state::{
        credential::{self, DEVICE_TOKEN, Digest},
        device::{DEVICE_LIFE, Device},
        shared::Shared,
    },
};

/// A login older than this cannot enrol a device.
const FRESH_LOGIN: u64 = 600;

#[derive(Deserialize)]
struct Enrolment {
    display_name: String,
}

/// `POST /api/auth/trusted_devices`.
pub(crate) fn enrol(shared: &Shared, call: &mut Call) -> Reply {
    let enrolled = try_enrol(shared, call);
    enrolled.unwrap_or_else(|refusal| refusal.reply(call))
}

fn try_enrol(shared: &Shared, call: &mut Call) -> Result<Reply, Refusal> {
    let caller = bearer::caller(shared, call)?;
    recognise(shared, call, caller.email.as_deref())?;
    let forbidden = |error, text| Refusal::new(error, text).status(StatusCode::FORBIDDEN);
    let email =
        caller.email.ok_or_else(|| forbidden("forbidden", "a client acting for itself has no devices"))?;
    let enrolment: Enrolment = serde_json::from_slice(&call.body)
        .map_err(|_| Refusal::new("invalid_request", "expected a JSON object with display_name"))?;
    let name = enrolment.display_name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Refusal::new("invalid_request", "display_name has 1 to 100 printable characters"));
    }
    if shared.clock.now() >= caller.issued_at.saturating_add(FRESH_LOGIN) {
        return Err(forbidden("stale_login", "sign in again: the login is older than ten minutes"));
    }
    let token = credential::mint(DEVICE_TOKEN)?;
    let id = format!("dev_{:016x}", credential::public_id()?);
    let expires_at = shared.change(|tables, now| {
        let expires_at = now.saturating_add(DEVICE_LIFE);
        let device = Device {
            email: email.to_string(),
            display_name: name.to_owned(),
            token: Digest::of(&token),
            previous: None,
            issued_at: now,
            expires_at,
        };
        tables.devices.insert(id.clone(), device);
        expires_at
    });
    call.note.outcome = "enrolled";
    let body = object!({ "device_id": id, "device_token": token, "expires_at": expires_at });
    Ok(json(StatusCode::CREATED, &body))
}

/// `DELETE /api/auth/trusted_devices/{device_id}`.
pub(crate) fn forget(shared: &Shared, call: &mut Call) -> Reply {
    let found = bearer::caller(shared, call)
        .and_then(|caller| recognise(shared, call, caller.email.as_deref()).map(|_| caller));
    let caller = match found {
        Ok(caller) => caller,
        Err(refusal) => return refusal.reply(call),
    };
    let id = call.path.rsplit('/').next().unwrap_or_default().to_owned();
    let gone = shared.change(|tables, _| {
        let own =
            tables.devices.get(&id).is_some_and(|device| Some(&*device.email) == caller.email.as_deref());
        own && tables.devices.remove(&id).is_some()
    });
    if gone {
        shared.changed();
        call.note.outcome = "forgotten";
        status_only(StatusCode::NO_CONTENT)
    } else {
        // Somebody else's device looks like no device.
        let refusal = Refusal::new("not_found", "there is no such device").status(StatusCode::NOT_FOUND);
        refusal.reply(call)
    }
}

/// Whether the request came from a trusted device of this account; prepares the token's successor when it is due.
/// An unknown or expired device token is no error: the device is simply not trusted.
pub(crate) fn recognise(shared: &Shared, call: &mut Call, email: Option<&str>) -> Result<bool, Refusal> {
    let Some(token) = call.header("x-trusted-device-token") else { return Ok(false) };
    let digest = Digest::of(token);
    call.note.credential.push("device");
    let forced = shared.rotate_devices.load(Ordering::Relaxed);
    let known = |device: &Device| device.token == digest || device.previous == Some(digest);
    // Looking costs nothing; only a change is written to the state file.
    let due = shared.read(|tables, now| {
        let device = tables.devices.values().find(|device| known(device))?;
        let valid = now < device.expires_at && Some(&*device.email) == email;
        let old = now >= device.issued_at.saturating_add(DEVICE_LIFE / 2);
        valid.then_some(forced || old || device.token != digest || device.previous.is_some())
    });
    let Some(due) = due else { return Ok(false) };
    if !due {
        return Ok(true);
    }
    let successor = credential::mint(DEVICE_TOKEN)?;
    call.successor = shared.change(|tables, now| {
        let device = tables.devices.values_mut().find(|device| known(device))?;
        let lost = device.token != digest;
        if !lost {
            device.previous = None;
        }
        if !(forced || lost || now >= device.issued_at.saturating_add(DEVICE_LIFE / 2)) {
            return None;
        }
        device.previous = Some(digest);
        device.token = Digest::of(&successor);
        device.issued_at = now;
        device.expires_at = now.saturating_add(DEVICE_LIFE);
        Some(successor)
    });
    Ok(true)
}
