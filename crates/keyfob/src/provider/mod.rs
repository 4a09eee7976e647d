//! Requests to a provider other than token requests.

pub(crate) mod discovery;
