//! The clock that a door counts by.

use std::time::Duration;

/// The time since the machine started, with that in which it slept (clock_gettime(2), `CLOCK_BOOTTIME`; elsewhere the
/// monotonic clock does that).
pub(crate) fn awake_or_not() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}
