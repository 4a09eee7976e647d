//! Waiting for the lease, and reading under it.

use std::time::Duration;

use keyfob_core::{Cause, Error, Id, Record, Result};

use crate::{
    lasting::Wait,
    store::{Found, Holder, Lease, Leased, Store},
    world::{World, waiting::Waiting},
};

/// How long a process waits for another one's renewal when it has nothing else to use. Longer than
/// [`ANSWER`](super::ANSWER), so that it is never given up before the outcome is known.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the lease, as sign-in and sign-out do: they commit under it like renewals.
///
/// # Errors
/// [`Id::LeaseBusy`] after [`PATIENCE`], naming the holder; why the disk does not accept writing.
pub fn wait_for_lease<'s>(world: &World, store: &'s dyn Store) -> Result<Box<dyn Lease + 's>> {
    let mut waited = Duration::ZERO;
    let mut wait = Wait::new(world);
    let mut pause = Duration::from_millis(1);
    loop {
        match store.try_lease()? {
            Leased::Lease(lease) => return Ok(lease),
            Leased::Busy(holder) if waited >= PATIENCE => return Err(busy(&holder, waited)),
            Leased::Busy(holder) => {
                wait.look(|| Waiting::Lease { holder: holder.to_string() });
                world.clock.sleep(pause);
                waited += pause;
                pause = (pause * 2).min(Duration::from_millis(32));
            }
        }
    }
}

pub(crate) fn busy(holder: &Holder, waited: Duration) -> Error {
    let why = format!("{holder} has held the lease on it for {} s", waited.as_secs());
    Error::new(Id::LeaseBusy, "the login could not be renewed", why)
        .because(Cause::HeldByProcess { process: holder.to_string() })
}

/// The newest record, recovered under the lease. `None`: there is no login.
pub(super) fn found(lease: &dyn Lease) -> Result<Option<Record>> {
    match lease.read()? {
        Found::Nothing => Ok(None),
        Found::Record(record) => Ok(Some(*record)),
        Found::SetAside(path) => {
            let why = format!("the file was damaged and has been kept as {}", path.display());
            Err(Error::new(Id::StoreCorrupt, "the stored login cannot be read", why)
                .because(Cause::SetAside { replaced: false }))
        }
    }
}
