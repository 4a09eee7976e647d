//! What people do every day, with the real command against the real provider.

mod accounts;
mod callback;
mod device_grant;
mod doctor;
mod helper;
mod machines;
mod metrics;
mod openid;
mod remote;
mod sandbox;
mod screen;
mod seed;
#[cfg(feature = "tools")]
mod shells;
mod terminal;
mod tools;
mod trusted_device;
mod visitor;
