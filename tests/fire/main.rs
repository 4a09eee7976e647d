//! The real command in real processes against the development provider in its strict mode: storms, kills, full disks,
//! lost answers. The interleavings of single acts are explored over a simulated world elsewhere; here nothing is
//! simulated.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start, time and kill processes: that is what they are about"
)]

#[cfg(feature = "traced")]
mod acts;
mod answers;
#[cfg(feature = "tools")]
mod clocks;
mod disk;
mod kills;
mod logout;
mod moments;
mod mounts;
mod places;
mod storm;
mod terminal;
