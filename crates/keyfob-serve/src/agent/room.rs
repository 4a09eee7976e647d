//! Room for connections.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;

/// Descriptors that connections leave for the store, the network and the files.
const RESERVE: u64 = 128;

/// Room for as many connections as the system lets this user have descriptors for, but for those of a reserve. Through a bell
/// come two for each.
pub(crate) fn room_for_connections() -> Arc<Semaphore> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    Arc::new(Semaphore::new(room_in(getrlimit(Resource::Nofile).current)))
}

/// The room of each of so many doors.
pub(crate) fn rooms_for_connections(doors: usize) -> usize {
    share(room_for_connections().available_permits(), doors)
}

fn share(room: usize, doors: usize) -> usize {
    (room / doors.max(1)).max(1)
}

/// Of so many descriptors. `None`: the system sets no limit.
fn room_in(descriptors: Option<u64>) -> usize {
    let free = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVE)) / 2;
    usize::try_from(free.clamp(16, 16_384)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!([share(448, 1), share(448, 4), share(448, 0), share(16, 64)], [448, 112, 448, 1]);
        assert_eq!([Some(1024), Some(64), None].map(room_in), [448, 16, 16_384]);
    }
}
