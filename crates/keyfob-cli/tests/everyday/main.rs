//! What people do every day, with the real command against the real provider.

mod accounts;
mod device_grant;
mod doctor;
mod machines;
mod sandbox;
mod tools;
