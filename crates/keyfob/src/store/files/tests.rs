//! What a file store reports about itself and its files.

use std::{io, path::Path};

use keyfob_core::{Id, Timestamp, login::sealed::KeyStore};

use super::{FileStore, holder, store::failed};
use crate::{
    store::{Holder, Store as _, sealing::Seal},
    world::{
        World,
        simulated::{Machine, Shared},
    },
};

const DIR: &str = "/home/ada/logins";

fn store(world: &World, name: &str) -> FileStore {
    let seal = Seal::new(world.keys.clone());
    FileStore::at(world, &seal, &Path::new(DIR).join(name), &["/run/keyfob".into()]).expect("a store")
}

fn world() -> World {
    Shared::new(Machine::new(Timestamp(1_000_000))).process(1)
}

#[test]
fn a_login_is_called_by_its_file() {
    let world = world();
    let (plain, seeded) = (store(&world, "default-1.json"), store(&world, "seed-default-1.json"));
    assert_eq!((plain.name().as_str(), plain.is_seeded()), ("default-1", false));
    assert_eq!((seeded.name().as_str(), seeded.is_seeded()), ("seed-default-1", true));
}

/// Only what was recovered beside a login goes away with it.
#[test]
fn a_recovered_record_is_forgotten_and_nothing_else() {
    let world = world();
    let store = store(&world, "a.json");
    let [beside, spare, other] =
        ["/home/ada/logins/a.recovery", "/run/keyfob/a.recovery", "/home/ada/logins/b.recovery"]
            .map(Path::new);
    for path in [beside, spare, other] {
        world.files.replace(path, b"x").expect("written");
    }
    let there = |path: &Path| world.files.read(path).expect("readable").is_some();
    store.forget_recovered(spare);
    assert_eq!([beside, spare, other].map(there), [true, false, true]);
    store.forget_recovered(other);
    store.forget_recovered(beside);
    assert_eq!([beside, spare, other].map(there), [false, false, true]);
}

#[test]
fn whose_key_a_file_needs_is_read_from_it() {
    let world = world();
    let store = store(&world, "a.json");
    assert_eq!(store.sealed_by().expect("nothing there"), None);
    let envelope = keyfob_core::login::sealed::Envelope {
        store: KeyStore::SecretService,
        key: keyfob_core::login::sealed::KeyId::new([7; 16]),
        nonce: [1; 12],
        sealed: vec![2; 40],
    };
    world.files.replace(store.path(), &envelope.encode()).expect("written");
    assert_eq!(store.sealed_by().expect("readable"), Some(KeyStore::SecretService));
    world.files.replace(store.path(), b"{}").expect("written");
    assert_eq!(store.sealed_by().expect("readable"), None);
}

#[test]
fn a_holder_without_a_name_is_another_process() {
    assert_eq!(Holder(Some("process 7".into())).to_string(), "process 7");
    assert_eq!(Holder(None).to_string(), "another process");
    let world = world();
    assert_eq!(holder(&store(&world, "a.json")).0, world.files.holder(Path::new("/home/ada/logins/a.lock")));
}

/// The id decides what a person is advised to do.
#[test]
fn each_refusal_of_the_disk_has_its_id() {
    let ours = |kind| io::Error::new(kind, "others may write to it");
    for (act, error, id) in [
        ("save", io::Error::from_raw_os_error(30), Id::StoreReadOnly),
        ("lock", ours(io::ErrorKind::Unsupported), Id::LocksMissing),
        ("use", ours(io::ErrorKind::PermissionDenied), Id::StoreUnsafe),
        ("read", ours(io::ErrorKind::PermissionDenied), Id::StoreUnsafe),
        ("save", io::Error::from_raw_os_error(13), Id::StoreReadOnly),
        ("read", io::Error::from_raw_os_error(13), Id::StoreFailed),
        ("save", io::Error::from_raw_os_error(5), Id::StoreFailed),
    ] {
        let told = failed(Path::new("/home/ada/logins/a.json"), act, &error);
        assert_eq!(told.id(), id, "{act}: {error}");
        assert_eq!(told.what(), format!("cannot {act} /home/ada/logins/a.json"));
    }
}
