//! Sealed logins over a fake world whose key store falls silent at the worst of moments.
#![expect(clippy::unwrap_used, reason = "a test")]

mod saved;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use keyfob::{
    Timestamp,
    internals::{
        core::Id,
        core::{
            Record,
            login::{
                record::Generation,
                sealed::{Envelope, KeyStore},
            },
        },
        renewal::{self, InThread, Need},
        store::{Commit, Found, Seen, Store as _, files::FileStore, sealing::Seal},
        world::{
            World,
            simulated::{self, Act, Machine, Outcome, Shared, Stage, Vault},
        },
    },
};

const NOW: i64 = 1_000_000;

fn path() -> PathBuf {
    "/logins/default.json".into()
}

/// The login as a process sees it that has never asked for a key, and seals with one of this key store.
fn store(world: &World, form: Option<KeyStore>) -> FileStore {
    let seal = Seal::new(world.keys.clone()).with(form);
    FileStore::at(world, &seal, &path(), &["/spare".into()]).unwrap()
}

/// One machine, its key store, and a login of so many seconds ago.
struct Place {
    machine: Shared,
    vault: Vault,
}

impl Place {
    fn new(age: i64) -> Self {
        let place = Self { machine: Shared::new(Machine::new(Timestamp(NOW))), vault: Vault::default() };
        let record = place.record(1, NOW - age);
        let login = store(&place.world(), Some(KeyStore::Kernel));
        let committed = login.try_lease().unwrap().lease().unwrap().commit(&record).unwrap();
        assert!(matches!(committed, Commit::Durable));
        place
    }

    fn world(&self) -> World {
        World { keys: Arc::new(self.vault.clone()), ..self.machine.process(1) }
    }

    fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.machine.look(|machine| machine.disk.bytes(path).map(|bytes| bytes.to_vec()))
    }

    fn is_sealed(&self) -> bool {
        Envelope::is_one(&self.bytes(&path()).unwrap())
    }

    fn record(&self, family: u8, issued: i64) -> Record {
        self.machine.look(|machine| saved::login(machine, family, issued))
    }

    fn spent(&self) -> u32 {
        self.machine.look(|machine| machine.server.refresh.values().map(|token| token.arrived).sum())
    }
}

/// A machine whose key store falls silent as soon as the provider is asked.
struct Falling {
    machine: Shared,
    vault: Vault,
}

impl Stage for Falling {
    fn act(&self, act: Act) -> Outcome {
        if matches!(act, Act::Send(_)) {
            self.vault.silence(true);
        }
        self.machine.look(|machine| machine.perform(7, &act))
    }
}

/// Between the question and the disk nobody asks a key store anything.
#[test]
fn a_key_store_that_falls_silent_after_the_question_costs_nothing() {
    let place = Place::new(4000);
    let stage = Falling { machine: place.machine.clone(), vault: place.vault.clone() };
    let mut world = simulated::world(&(Arc::new(stage) as Arc<dyn Stage>));
    world.keys = Arc::new(place.vault.clone());
    let usable = renewal::usable(&world, &store(&world, Some(KeyStore::Kernel)), &Need::default(), &InThread)
        .unwrap()
        .unwrap();
    assert_eq!(usable.record.generation.number(), 1);
    assert!(place.is_sealed());
    place.vault.silence(false);
    let fresh = place.world();
    assert!(
        matches!(store(&fresh, None).look(), Ok(Seen::Record(record)) if record.generation.number() == 1)
    );
}

#[test]
fn what_cannot_be_sealed_is_not_asked_for() {
    let place = Place::new(4000);
    let world = place.world();
    let login = store(&world, Some(KeyStore::Kernel));
    // It has opened the login before, and cannot ask for the key again.
    assert!(matches!(login.look(), Ok(Seen::Record(_))));
    place.vault.silence(true);
    let error = renewal::usable(&world, &login, &Need::default(), &InThread).unwrap_err();
    assert_eq!((error.id(), place.spent()), (Id::KeyStoreUnavailable, 0), "{error}");
    assert!(place.is_sealed());
}

/// While the token is good it is handed out, with the reason why there is no newer one.
#[test]
fn near_its_end_a_token_is_handed_out_with_a_warning() {
    let place = Place::new(3500);
    let world = place.world();
    let login = store(&world, Some(KeyStore::Kernel));
    assert!(matches!(login.look(), Ok(Seen::Record(_))));
    place.vault.silence(true);
    let usable = renewal::usable(&world, &login, &Need::default(), &InThread).unwrap().unwrap();
    assert_eq!(usable.record.generation.number(), 0);
    assert_eq!(usable.warning.unwrap().id(), Id::KeyStoreUnavailable);
    assert_eq!(place.spent(), 0);
}

/// A plain login that is to be sealed stays plain until somebody can seal it, and is never half of both.
#[test]
fn a_key_store_that_lies_changes_nothing() {
    let place = Place::new(4000);
    let plain = place.world();
    renewal::usable(&plain, &store(&plain, None), &Need::default(), &InThread).unwrap().unwrap();
    assert!(!place.is_sealed(), "as it was asked for");
    let before = (place.bytes(&path()), place.spent());
    place.vault.empty();
    place.vault.lie();
    let world = place.world();
    let rejected = Generation::new([1; 16], 1);
    let need = Need::new().rejected(rejected);
    let error =
        renewal::usable(&world, &store(&world, Some(KeyStore::SecretService)), &need, &InThread).unwrap_err();
    assert!(error.why().contains("does not have it"), "{error}");
    assert_eq!((place.bytes(&path()), place.spent()), before);
}

/// What nobody can open any more must not stand in the way of a new login for ever.
#[test]
fn a_new_login_clears_what_nobody_can_open() {
    let place = Place::new(4000);
    let left = place.bytes(&path()).unwrap();
    place.machine.look(|machine| {
        machine.disk.put(Path::new("/spare/default.recovery"), &left);
        machine.disk.put(Path::new("/logins/default.next"), &left);
    });
    place.vault.empty();
    let world = place.world();
    let login = store(&world, Some(KeyStore::Kernel));
    assert_eq!(login.look().unwrap_err().id(), Id::KeyStoreUnavailable);
    let lease = login.try_lease().unwrap().lease().unwrap();
    assert_eq!(lease.read().unwrap_err().id(), Id::KeyStoreUnavailable);
    assert_eq!(place.bytes(&path()).unwrap(), left, "the file is kept");
    lease.commit(&place.record(2, NOW)).unwrap();

    let world = place.world();
    let login = store(&world, Some(KeyStore::Kernel));
    let lease = login.try_lease().unwrap().lease().unwrap();
    let Found::Record(record) = lease.read().unwrap() else { panic!("there is a login") };
    assert_eq!(record.generation.login(), Generation::new([2; 16], 0).login());
    assert_eq!(place.bytes(Path::new("/spare/default.recovery")), None);
}

/// A plain home never asks a key store anything.
#[test]
fn plain_logins_ask_nobody() {
    let place = Place::new(4000);
    let asked = place.vault.asked();
    let path = PathBuf::from("/logins/plain.json");
    let world = place.world();
    let store = FileStore::at(&world, &Seal::new(world.keys.clone()), &path, &[]).unwrap();
    store.try_lease().unwrap().lease().unwrap().commit(&place.record(3, NOW - 4000)).unwrap();
    renewal::usable(&world, &store, &Need::default(), &InThread).unwrap().unwrap();
    assert_eq!(place.vault.asked(), asked);
}
