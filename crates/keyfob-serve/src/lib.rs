//! The agent of keyfob: a process that hands out the access tokens of a login over a unix socket, and the client of it; and the
//! proxy, which adds them to requests, so that the program that sends them has none.
//!
//! This crate sees access tokens and headers, and never a record: it asks the library through its public
//! [`Client`](keyfob::Client), in a thread that may block. Which login that is, who may ask, and what is said to people is
//! decided by the program that embeds it: see [`Door`] and [`Host`].
//!
//! The wire form is HTTP/1.1 over a unix socket, so that `curl --unix-socket` is a client: docs/agent.md and docs/proxy.md
//! describe it.

mod agent;
mod ask;
mod doorbell;
mod proxy;
mod running;
mod strict;
mod wire;

pub use agent::{
    Agent,
    door::Door,
    host::{Counts, Host, Known, Told, Traffic, is_lent},
    sink::{Format, Sink},
    socket::Socket,
};
pub use ask::{Answer, Asked, Lent, Line, Refused, Standing, Working};
pub use proxy::{
    Proxy, Route,
    target::{Rule, Target},
    upstream::Road,
};
pub use running::EndedBefore;
pub use wire::Narrowed;
