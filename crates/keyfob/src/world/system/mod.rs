//! The real system, one file for each part. Elsewhere, direct use of clock, network, files and processes is banned.

pub(crate) mod certificates;
pub mod clock;
pub mod entropy;
pub mod env;
pub mod fd;
pub mod files;
pub mod helper;
pub mod http;
#[cfg(target_os = "linux")]
mod kernel;
pub mod keys;
pub(crate) mod locks;
pub(crate) mod names;
pub(crate) mod owners;
pub mod process;
pub mod program;
pub(crate) mod progress;
pub mod road;
pub mod routes;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
mod secret_service;
pub mod withheld;

use std::{path::Path, sync::Arc};

use keyfob_core::error::escape_whole;

use crate::world::{World, system::routes::Routes};

/// This machine's world. Nothing in it is touched before it is used.
#[must_use]
pub fn world(routes: Routes) -> World {
    World {
        clock: Arc::new(clock::SystemClock),
        entropy: Arc::new(entropy::SystemEntropy),
        keys: Arc::new(keys::SystemKeys::new(routes.bus())),
        http: Arc::new(http::Network::new(routes)),
        files: Arc::new(files::Disk),
        helper: Arc::new(helper::Shell::default()),
        notice: Arc::new(|_| {}),
        progress: None,
        observe: Arc::new(|_| {}),
    }
}

/// A path to show to people, escaped: its name cannot move their cursor or forge lines.
#[must_use]
pub fn shown(path: &Path) -> String {
    escape_whole(&path.to_string_lossy())
}

/// The name of a user, where the system knows one.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok()?.map(|user| user.name)
}

/// The name that a device of this machine is listed under by default.
#[must_use]
pub fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.is_empty() { "keyfob".into() } else { name }
}

/// Keeps this process's memory from core dumps and from other processes of the same user. A program that takes
/// its place (`execve`) is not affected. Where the system has no such switch, nothing happens.
pub fn keep_private() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_has_a_printable_name() {
        let name = super::machine_name();
        assert!(!name.is_empty() && name.chars().count() <= 80 && !name.chars().any(char::is_control));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_of_this_process_is_dumped() {
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        super::keep_private();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
