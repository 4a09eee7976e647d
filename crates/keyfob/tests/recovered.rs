//! A disk that takes a renewed login only in another place than the record's, while another process is quicker to look there.
#![expect(clippy::unwrap_used, reason = "a test")]

mod saved;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use keyfob::{
    Timestamp,
    internals::{
        core::{Cause, Id, Record},
        renewal::{self, InThread, Need},
        store::{Commit, Store as _, files::FileStore, sealing::Seal},
        world::{
            World,
            simulated::{self, Act, Machine, Outcome, Shared, Stage},
        },
    },
};

const NOW: i64 = 1_000_000;
const RECORD: &str = "/logins/default.json";

fn store(world: &World) -> FileStore {
    FileStore::at(world, &Seal::new(world.keys.clone()), Path::new(RECORD), &["/spare".into()]).unwrap()
}

/// A login whose access token is over.
fn expired(machine: &Shared) -> Record {
    machine.look(|machine| saved::login(machine, 1, NOW - 4000))
}

/// From the request on the record cannot be written, and from then on another process has its lease.
struct Refusing {
    machine: Shared,
    asked: AtomicBool,
    kept: AtomicBool,
}

impl Stage for Refusing {
    fn act(&self, act: Act) -> Outcome {
        if self.asked.load(Ordering::Relaxed) {
            match &act {
                Act::Rename(_, to) | Act::Write(to, _) if to == Path::new(RECORD) => {
                    self.kept.store(true, Ordering::Relaxed);
                    return Outcome::Failed(ErrorKind::Other);
                }
                Act::Lock(_) if self.kept.load(Ordering::Relaxed) => return Outcome::Busy,
                _ => {}
            }
        }
        if matches!(act, Act::Send(_)) {
            self.asked.store(true, Ordering::Relaxed);
        }
        self.machine.look(|machine| machine.perform(7, &act))
    }
}

/// The error names the place, and whoever looks next adopts what is there: nothing is spent again.
#[test]
fn a_renewal_that_the_disk_took_elsewhere_is_told_with_the_place_and_adopted() {
    let machine = Shared::new(Machine::new(Timestamp(NOW)));
    let world = machine.process(1);
    let committed = store(&world).try_lease().unwrap().lease().unwrap().commit(&expired(&machine)).unwrap();
    assert!(matches!(committed, Commit::Durable));

    let stage =
        Refusing { machine: machine.clone(), asked: AtomicBool::default(), kept: AtomicBool::default() };
    let refusing = simulated::world(&(Arc::new(stage) as Arc<dyn Stage>));
    let error = renewal::usable(&refusing, &store(&refusing), &Need::default(), &InThread).unwrap_err();
    assert_eq!(error.id(), Id::StoreFailed, "{error}");
    let Some(Cause::RecoveredElsewhere { path }) = error.cause() else { panic!("{error:?}") };
    let there = machine.look(|machine| machine.disk.bytes(&PathBuf::from(path)).is_some());
    assert!(there, "{path}");

    let next = renewal::usable(&world, &store(&world), &Need::default(), &InThread).unwrap().unwrap();
    assert_eq!(next.record.generation.number(), 1);
    let spent: u32 = machine.look(|machine| machine.server.refresh.values().map(|token| token.arrived).sum());
    assert_eq!(spent, 1);
}
