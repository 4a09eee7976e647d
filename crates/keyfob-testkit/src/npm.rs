//! Programs from npm, by a lock file of this repository.

use std::{fs, path::Path, process::Command};

/// Installs what the lock file in this directory says, once for each state of that file. Never in the source tree.
pub fn npm(source: &Path, place: &Path) {
    fs::create_dir_all(place).expect("a directory");
    let lock = fs::read_to_string(source.join("package-lock.json")).expect("the lock file");
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), place.join(file)).expect("a file of ours");
    }
    let done = place.join("installed");
    if fs::read_to_string(&done).is_ok_and(|of| of == lock) {
        return;
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    let ran =
        Command::new("npm").args(npm).current_dir(place).output().expect("these tests need node and npm");
    assert!(ran.status.success(), "npm ci: {}", String::from_utf8_lossy(&ran.stderr));
    fs::write(done, lock).expect("a file of ours");
}

/// A node that is newer than Debian 12's: the one that the lock file of the tests of providers brings along. Elsewhere than on
/// Linux, and on other processors, the machine's own.
pub fn node(place: &Path) -> std::path::PathBuf {
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let ours = place.join(format!("node_modules/node-linux-{processor}/bin/node"));
    if ours.is_file() { ours } else { "node".into() }
}
