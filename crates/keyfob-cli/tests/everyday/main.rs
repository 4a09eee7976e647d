//! What people do every day, with the real command against the real provider.

mod accounts;
mod callback;
mod metrics;
mod openid;
mod remote;
mod sandbox;
mod screen;
mod terminal;
mod tools;
mod trusted_device;
mod visitor;
