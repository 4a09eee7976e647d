//! Whoever waits in vain for a lease is told who has it.

use std::sync::Arc;

use keyfob::{
    Timestamp,
    internals::{
        core::Id,
        renewal::wait_for_lease,
        store::{Leased, Store as _, files::FileStore, sealing::Seal},
        world::{
            simulated::{Machine, Shared},
            system::files::Disk,
        },
    },
};

/// The disk is the real one; the clock, which is waited by, is not.
#[test]
fn a_busy_lease_names_its_holder() {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    let mut world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
    world.files = Arc::new(Disk);
    let store =
        FileStore::at(&world, &Seal::new(world.keys.clone()), &dir.path().join("default.json"), &[]).unwrap();
    let held = match store.try_lease().unwrap() {
        Leased::Lease(lease) => lease,
        Leased::Busy(holder) => panic!("nobody but us: {holder}"),
    };
    let error = wait_for_lease(&world, &store).map(drop).expect_err("we have it ourselves");
    assert_eq!(error.id(), Id::LeaseBusy);
    let why = error.why();
    assert!(why.contains(&format!("process {} ", std::process::id())), "{error}");
    assert!(why.ends_with("has held the lease on it for 60 s"), "{error}");
    drop(held);
    wait_for_lease(&world, &store).map(drop).expect("it is free");
}
