//! Resource indicators (RFC 8707).

use crate::{
    http::{call::Refusal, form::Form},
    state::{addresses::split_authority, redirect, shared::Shared},
};

/// RFC 8707 §2: a token is either for this server or not issued.
pub(crate) fn resources_are_ours(shared: &Shared, form: &Form) -> Result<(), Refusal> {
    let ours = |resource: &str| {
        let plain = redirect::acceptable(resource) && resource.starts_with("http://");
        let authority = redirect::host(resource);
        let split = split_authority(authority);
        plain && split.is_some_and(|(_, port)| port.unwrap_or(80) == shared.port)
    };
    if form.all("resource").all(ours) {
        return Ok(());
    }
    Err(Refusal::new("invalid_target", "the resource is not a base URL of this server"))
}
