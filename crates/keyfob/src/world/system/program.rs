//! Where this program's executable is, for starting it again as a separate process.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The path of this program, also when its file has been replaced since it started.
#[must_use]
pub fn own() -> PathBuf {
    candidates().into_iter().next().unwrap_or_else(|| "/proc/self/exe".into())
}

/// Every place it may be found in, the surest first. Without `/proc` the kernel does not report it; if it was started
/// by the dynamic loader (`/lib64/ld-linux-x86-64.so.2 keyfob`), the kernel reports the loader's.
#[must_use]
pub fn candidates() -> Vec<PathBuf> {
    let executable = PathBuf::from("/proc/self/exe");
    // The path that the system was asked to start, and the name that the program was given.
    #[cfg(target_os = "linux")]
    let started = PathBuf::from(std::ffi::OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
    #[cfg(not(target_os = "linux"))]
    let started = std::env::current_exe().unwrap_or_default();
    let called = std::env::args_os().next().map(PathBuf::from);
    let named = [Some(started), called].into_iter().flatten().filter(|path| path.components().count() > 1);
    let mut found: Vec<PathBuf> = std::iter::once(executable).filter(|path| path.exists()).collect();
    found.extend(named.filter(|path| path.is_file()).filter_map(|path| std::path::absolute(path).ok()));
    found.dedup();
    // A loader is asked last: it would take the first argument for the program to load.
    found.sort_by_key(|path| is_loader(path));
    found
}

/// Whether this is the dynamic loader, by the names it has with glibc and musl.
fn is_loader(path: &Path) -> bool {
    let path = std::fs::read_link(path).unwrap_or_else(|_| path.into());
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"ld-") && name.windows(3).any(|part| part == b".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found() {
        let here = std::env::current_exe().expect("/proc");
        let found = candidates();
        assert!(!found.is_empty());
        for path in found {
            assert_eq!(std::fs::canonicalize(&path).expect("it is there"), here, "{}", path.display());
        }
        assert!(
            is_loader(Path::new("/lib64/ld-linux-x86-64.so.2"))
                && is_loader(Path::new("/lib/ld-musl-x86_64.so.1"))
        );
        assert!(!is_loader(Path::new("/usr/bin/keyfob")) && !is_loader(Path::new("/usr/bin/ld-keyfob")));
    }
}
