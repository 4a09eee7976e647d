//! The device authorization grant (RFC 8628).

use crate::call::{Call, Refusal, Reply};
use crate::form::Form;
use crate::options::Client;
use crate::server::Shared;
use crate::state::Issued;

pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Debug, Default)]
pub(crate) struct DeviceCodes;

impl DeviceCodes {
    pub(crate) fn sweep(&mut self, _now: u64) {}
}

pub(crate) fn request(_: &Shared, call: &mut Call) -> Reply {
    crate::listen::not_found(call)
}

pub(crate) fn page(_: &Shared, call: &mut Call) -> Reply {
    crate::listen::not_found(call)
}

pub(crate) fn form(_: &Shared, call: &mut Call) -> Reply {
    crate::listen::not_found(call)
}

pub(crate) fn exchange(_: &Shared, _: &Client, _: &Form) -> Result<Issued, Refusal> {
    Err(Refusal::new("unsupported_grant_type", "this grant type is not known here"))
}
