//! Everyday use, with the real command against the real provider.

mod accounts;
mod advice;
mod agent;
mod agent_inherited;
mod answers;
mod brought;
mod callback;
mod causes;
mod client_keys;
mod configuration;
mod conflicts;
mod demo;
mod device_grant;
mod dialect;
mod doctor;
mod doctor_finds;
mod entrance;
mod environments;
mod examples;
mod federation;
#[cfg(feature = "tools")]
mod guides;
mod helper;
mod id_tokens;
mod inherited;
mod init;
mod logout;
mod machines;
mod metrics;
mod openid;
mod other_account;
mod profiles;
mod remote;
mod screen;
mod secrets;
mod seed;
mod setup;
#[cfg(feature = "tools")]
mod shells;
mod status;
mod surroundings;
mod terminal;
mod tools;
mod trusted_device;
mod visitor;
mod waiting;
