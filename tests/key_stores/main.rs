//! Logins sealed with a key in a real key store: the kernel's, and a Secret Service on a private session bus. Run with
//! `cargo test -p keyfob-tests --features key-stores --test key_stores`, as CI does: needs gnome-keyring, dbus,
//! keyutils and libsecret-tools.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start and stop key stores and the command: that is what they are about"
)]

mod desktop;
mod home;
mod journey;
mod kernel;
mod secret_service;
