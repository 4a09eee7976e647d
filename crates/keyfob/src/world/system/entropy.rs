//! The system's random number generator.

use std::io;

use crate::world::Entropy;

/// `getrandom(2)` or what the system has in its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, octets: &mut [u8]) -> io::Result<()> {
        getrandom::fill(octets).map_err(|error| {
            error
                .raw_os_error()
                .map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
        })
    }
}
