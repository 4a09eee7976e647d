//! Custom providers with the real command: TLS with a company's authority, a proxy in between, false metadata.
#![expect(clippy::disallowed_methods, reason = "tests start the real command")]

mod authority;
mod company;
mod desk;
mod front;
mod proxy;
mod stub;

mod certificates;
mod conformance;
mod forwarded;
#[cfg(feature = "interop")]
mod interop;
mod issuers;
#[cfg(feature = "interop")]
mod kubernetes;
mod logins;
mod metadata;
mod recipes;
mod routes;
mod sockets;
