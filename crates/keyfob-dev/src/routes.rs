//! The routing table.

use std::sync::Arc;

use http::{
    Method, StatusCode,
    header::{ALLOW, HeaderValue},
};

use crate::{
    api::{devices, profile, session},
    http::{
        call::{Call, Refusal, Reply, not_found},
        ending::Ending,
    },
    oauth::{authorize, device_grant, id_token, introspect, metadata, revoke, token, workload},
    pages::{
        self, device,
        sign_in::{CONSENT_PATH, SIGN_IN_PATH},
    },
    state::{addresses::PREFIXES, redirect::PASTE_PATH, shared::Shared},
};

type Handler = fn(&Shared, &mut Call) -> Reply;

const ROUTES: &[(&str, &[(Method, Handler)])] = &[
    ("/v1/oauth/token", &[(Method::POST, token::answer)]),
    ("/api/oauth/profile", &[(Method::GET, profile::profile)]),
    ("/v1/whoami", &[(Method::GET, profile::whoami)]),
    ("/oauth/authorize", &[(Method::GET, authorize::request), (Method::POST, authorize::form)]),
    (SIGN_IN_PATH, &[(Method::GET, authorize::sign_in_page)]),
    (CONSENT_PATH, &[(Method::GET, authorize::consent_page)]),
    (PASTE_PATH, &[(Method::GET, pages::paste::show)]),
    ("/v1/oauth/revoke", &[(Method::POST, revoke::answer)]),
    ("/v1/oauth/introspect", &[(Method::POST, introspect::answer)]),
    ("/v1/oauth/device/code", &[(Method::POST, device_grant::request)]),
    (device::ENTER_PATH, &[(Method::GET, device_grant::page), (Method::POST, device_grant::form)]),
    (device::CONSENT_PATH, &[(Method::GET, device_grant::consent_page)]),
    (device::DONE_PATH, &[(Method::GET, device_grant::done_page)]),
    ("/oauth/userinfo", &[(Method::GET, profile::userinfo), (Method::POST, profile::userinfo)]),
    ("/oauth/jwks", &[(Method::GET, id_token::keys)]),
    ("/v1/identity/token", &[(Method::GET, workload::answer)]),
    ("/api/auth/trusted_devices", &[(Method::POST, devices::enrol)]),
    (pages::STYLE_PATH, &[(Method::GET, pages::style)]),
    ("/", &[(Method::GET, pages::front)]),
];
const ONE_DEVICE: &[(Method, Handler)] = &[(Method::DELETE, devices::forget)];
const METADATA: &[(Method, Handler)] = &[(Method::GET, metadata::answer)];

pub(crate) async fn route(shared: &Arc<Shared>, call: &mut Call, ending: Ending) -> Reply {
    if call.path == session::PATH && call.parts.method == Method::GET {
        return session::answer(shared, call, ending).await;
    }
    let exact = ROUTES.iter().find(|(path, _)| *path == call.path).map(|(_, methods)| *methods);
    let methods = exact.or_else(|| {
        let device = call.path.strip_prefix("/api/auth/trusted_devices/");
        if device.is_some_and(|id| !id.is_empty() && !id.contains('/')) {
            Some(ONE_DEVICE)
        } else {
            metadata::issuer_path(call.prefix, &call.path).map(|_| METADATA)
        }
    });
    let Some(methods) = methods else { return not_found(call) };
    // HEAD is GET without the body, which the connection leaves out.
    let wanted = if call.parts.method == Method::HEAD { Method::GET } else { call.parts.method.clone() };
    if let Some((_, handler)) = methods.iter().find(|(method, _)| *method == wanted) {
        return handler(shared, call);
    }
    let allowed: Vec<_> = methods.iter().map(|(method, _)| method.as_str()).collect();
    let refusal = Refusal::new("invalid_request", "this method is not allowed here").outcome("wrong-method");
    let mut reply = refusal.status(StatusCode::METHOD_NOT_ALLOWED).reply(call);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        reply.headers_mut().insert(ALLOW, allowed);
    }
    reply
}

pub(crate) fn split_prefix(path: &str) -> (&'static str, String) {
    let found = PREFIXES.iter().rev().find_map(|prefix| {
        let rest = path.strip_prefix(prefix)?;
        (prefix.is_empty() || rest.starts_with('/')).then(|| (*prefix, rest.to_owned()))
    });
    found.unwrap_or_else(|| ("", path.to_owned()))
}
