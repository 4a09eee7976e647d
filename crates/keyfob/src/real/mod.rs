//! The real world, one file for each part of it. Raw clocks, sockets, files and spawns are banned elsewhere.

pub mod clock;
pub mod descriptors;
pub mod detached;
pub mod entropy;
pub mod env;
pub mod fd;
pub mod files;
pub mod helper;
pub mod home;
pub mod http;
pub mod loopback;

use std::sync::Arc;

use crate::world::World;

/// This machine's world. Nothing in it is touched before it is used.
#[must_use]
pub fn world(routes: http::Routes) -> World {
    World {
        clock: Arc::new(clock::SystemClock),
        entropy: Arc::new(entropy::SystemEntropy),
        http: Arc::new(http::Network::new(routes)),
        files: Arc::new(files::Disk),
        helper: Arc::new(helper::Shell::default()),
        notice: Arc::new(|_| {}),
    }
}

/// Keeps this process's memory from core dumps and from other processes of the same user. A program that takes
/// its place (`execve`) is not affected. Where the system has no such switch, nothing happens.
pub fn keep_private() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
