//! The options of a development server.

use std::{path::PathBuf, time::Duration};

use crate::state::{
    clients::{ApiKey, Client},
    faults::FaultPlan,
};

/// What a [`DevServer`](crate::DevServer) is started with.
///
/// There is no listening address on purpose: the server listens on loopback and nowhere else.
#[derive(Clone, Debug)]
pub struct Options {
    /// TCP port; 0 lets the system choose. Default 3000.
    pub port: u16,
    /// Further ports, as an environment has them whose sign-in page and console are other services. All answer alike;
    /// the issuer is that of [`Options::port`], and only that one has metadata. 0 lets the system choose.
    pub page_ports: Vec<u16>,
    /// Answer authorization requests at once, as the request's `login_hint` or [`DEFAULT_EMAIL`](crate::DEFAULT_EMAIL), without a page.
    /// Off by default: RFC 8252 §8.6 wants a person to consent.
    pub auto_approve: bool,
    /// Asks every client in whose name a person signs in to enrol its machine: `"trusted_device":"required"` in the
    /// answer of the token endpoint.
    pub require_device: bool,
    /// Demands what the vendor's own provider demands beyond the standards: JSON bodies at the token endpoint, and the
    /// header `anthropic-beta` with refresh grants, exchanges and API requests with an access token.
    pub vendor: bool,
    /// Life of access tokens, counted in whole seconds. Default one hour (RFC 6750 §5.3).
    pub access_token_ttl: Duration,
    /// How long every request waits before it is processed. Default zero.
    pub latency: Duration,
    /// How long the faults `late` and `slow-body` stretch an answer. Default five seconds.
    pub late: Duration,
    /// How long a just-rotated refresh token is accepted once more. Default zero: reuse revokes the family at once
    /// (RFC 9700 §4.14.2).
    pub reuse_grace: Duration,
    /// How often a device may poll (RFC 8628 §3.5), in whole seconds. Default five seconds.
    pub device_interval: Duration,
    /// How long a client may take for its headers, and again for its body. Default ten seconds.
    pub patience: Duration,
    /// Clients besides [`LOCAL_CLIENT_ID`](crate::LOCAL_CLIENT_ID).
    pub clients: Vec<Client>,
    /// Faults that are armed from the start, as [`DevServer::inject`](crate::DevServer::inject) does later.
    pub faults: Vec<FaultPlan>,
    /// API keys besides [`LOCAL_API_KEY`](crate::LOCAL_API_KEY).
    pub api_keys: Vec<ApiKey>,
    /// A file to which every request appends one JSON line. It never holds a secret.
    pub log: Option<PathBuf>,
    /// A file in which logins survive a restart, for one server at a time. It is replaced (mode 0600) on every change,
    /// before the answer leaves, and holds e-mail addresses and SHA-256 digests of tokens, never tokens.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 3000,
            page_ports: Vec::new(),
            auto_approve: false,
            require_device: false,
            vendor: false,
            access_token_ttl: Duration::from_secs(3600),
            latency: Duration::ZERO,
            late: Duration::from_secs(5),
            reuse_grace: Duration::ZERO,
            device_interval: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            clients: Vec::new(),
            faults: Vec::new(),
            api_keys: Vec::new(),
            log: None,
            state: None,
        }
    }
}
