//! Room for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave for the store, the network and the files.
const RESERVE: u64 = 128;

/// Room for as many connections as the system lets this user have descriptors for, but for those of a reserve, if each takes so
/// many.
pub(crate) fn room_for_connections(each: u64) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    room_in(getrlimit(Resource::Nofile).current, each)
}

/// The room of each of so many doors.
pub(crate) fn share(room: usize, doors: usize) -> usize {
    (room / doors.max(1)).max(1)
}

/// Of so many descriptors. `None`: the system sets no limit.
fn room_in(descriptors: Option<u64>, each: u64) -> usize {
    let free = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVE)) / each;
    usize::try_from(free.clamp(16, 16_384)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!([share(448, 1), share(448, 4), share(448, 0), share(16, 64)], [448, 112, 448, 1]);
        assert_eq!([Some(1024), Some(64), None].map(|all| room_in(all, 2)), [448, 16, 16_384]);
        assert_eq!(room_in(Some(1024), 1), 896);
    }
}
