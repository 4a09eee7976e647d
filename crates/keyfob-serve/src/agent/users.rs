//! Whether the number of a user says who that is.
//!
//! In a user namespace every user without a number there is shown by one and the same (user_namespaces(7), "Unmapped user and group
//! IDs"): whoever has that number may be anybody.

use std::{fs, sync::OnceLock};

/// What stands for everybody else unless the system says otherwise (proc_sys_kernel(5)).
const OVERFLOW: u32 = 65534;
/// So many users there are: the last number of 32 bits is none.
const ALL: u64 = u32::MAX as u64;

/// Whether this number, as the kernel has just told it to us, stands for one user alone. How users are numbered where this process
/// is, is asked once: each connection would pay for it.
pub(crate) fn is_one(uid: u32) -> bool {
    static NOBODY: OnceLock<Option<u32>> = OnceLock::new();
    let read = |path| fs::read_to_string(path).ok();
    let nobody = || nobody(read("/proc/sys/kernel/overflowuid"), || read("/proc/self/uid_map"));
    // Other systems have no such namespaces.
    !cfg!(target_os = "linux") || Some(uid) != *NOBODY.get_or_init(nobody)
}

/// The number that may be anybody's, if there is one.
fn nobody(overflow: Option<String>, map: impl FnOnce() -> Option<String>) -> Option<u32> {
    let overflow = overflow.and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW);
    // Three numbers a line: inside, outside, how many. Where all users have a number, this one is an actual user's.
    let map = map().unwrap_or_default();
    let lengths = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    (lengths.sum::<u64>() < ALL).then_some(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_many_may_have_is_nobodys() {
        let is_one = |uid, map: &str| Some(uid) != nobody(Some("65534\n".into()), || Some(map.into()));
        assert!(is_one(65534, "         0          0 4294967295\n"), "the system's own namespace");
        assert!(is_one(65534, "0 0 65534\n65534 65534 4294901761\n"));
        for map in ["", "0 1000 1\n", "65534 0 1\n", "0 100000 65536\n"] {
            assert!(!is_one(65534, map), "{map:?}");
            assert!(is_one(0, map) && is_one(1000, map), "{map:?}");
        }
        assert_eq!(nobody(None, || None), Some(65534));
        assert_eq!(nobody(Some("99".into()), || Some("0 1000 1".into())), Some(99));
    }
}
