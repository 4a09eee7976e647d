//! What people do every day, with the real command against the real provider.

mod accounts;
mod metrics;
mod openid;
mod sandbox;
mod tools;
