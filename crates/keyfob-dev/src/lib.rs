//! An OAuth 2.0 authorization server for development and tests.
//!
//! It implements the RFCs independently and shares no code with the client it is used to test. It is **insecure by
//! design** (any user of this machine may sign in as any account), says so in every answer, and listens on loopback
//! only.
//!
//! ```
//! use keyfob_dev::{DevServer, FaultKind, Options};
//!
//! let server = DevServer::start(Options { port: 0, auto_approve: true, ..Options::default() })?;
//! // ... a client signs in at server.base_url() ...
//! server.inject(FaultKind::DropAfter, 1); // the next refresh: rotated, but the answer is lost
//! server.advance(3600); // every access token has expired
//! assert_eq!(server.grants().reuses, 0);
//! # Ok::<(), keyfob_dev::StartError>(())
//! ```
//!
//! # What it answers
//!
//! Relative to [`DevServer::base_url`]; everything is also reachable under the prefixes `/apps` and `/console`, so
//! that the bases of an environment may differ.
//!
//! | path | what |
//! |---|---|
//! | `GET /oauth/authorize` | sign-in and consent (RFC 6749 §3.1, RFC 7636, RFC 9207) |
//! | `GET /oauth/code/callback` | the page that shows `code#state` |
//! | `POST /v1/oauth/token` | grants `authorization_code`, `refresh_token`, `client_credentials`, device code, JWT bearer (RFC 7523), token exchange (RFC 8693) |
//! | `GET /v1/identity/token` | identity tokens of workloads, as GitHub Actions gives them |
//! | `POST /v1/oauth/revoke` | RFC 7009 |
//! | `POST /v1/oauth/introspect` | RFC 7662, confidential clients only |
//! | `POST /v1/oauth/device/code`, `/device` | RFC 8628 |
//! | `GET /api/oauth/profile`, `GET /v1/whoami`, `GET /oauth/userinfo` | who is this |
//! | `GET /oauth/jwks` | the key that signs ID tokens (RFC 7517) |
//! | `POST /api/auth/trusted_devices`, `DELETE …/{id}` | trusted devices |
//! | `GET /v1/session/ws` | an echoing WebSocket |
//! | `/.well-known/oauth-authorization-server`, `/.well-known/openid-configuration` | RFC 8414 |
//!
//! # What it does not do
//!
//! No DPoP, pushed authorization requests or dynamic registration. No TLS.

mod api;
mod begin;
mod error;
mod http;
mod interrupt;
mod oauth;
mod options;
mod pages;
mod routes;
mod serve;
mod server;
mod state;

pub use error::{MintError, StartError};
pub use interrupt::on_interrupt;
pub use oauth::workload::{LOCAL_IDENTITY_REQUEST_TOKEN, Workload};
pub use options::Options;
pub use server::{DevServer, Minted};
pub use state::{
    account::{ACCOUNT_NAMESPACE, DEFAULT_EMAIL, ORGANIZATION_NAMESPACE, account_uuid, organization_uuid},
    clients::{ApiKey, Client, ClientError, LOCAL_API_KEY, LOCAL_CLIENT_ID},
    faults::{Fault, FaultError, FaultGrant, FaultKind, FaultPlan},
    log::{LoggedRequest, REMEMBERED_REQUESTS},
    tables::Grants,
};
