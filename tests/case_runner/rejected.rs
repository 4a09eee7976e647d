//! What a host does after a 401 with the key of a helper: `Client::rejected`.

use std::{fs, path::Path, sync::Arc};

use keyfob::{
    Client, Grant, Purpose,
    internals::{
        core::contract::Variables,
        renewal::InThread,
        setup::{Choices, Setup},
        world::system,
    },
};

fn client(home: &Path) -> Client {
    let variables: Variables =
        [("KEYFOB_HOME".to_owned(), home.to_str().map(str::to_owned))].into_iter().collect();
    let setup = Setup::read(&variables, Choices::default(), &system::files::Disk, Some(home));
    setup.check().expect("nothing is wrong");
    Client::with(setup, system::world(system::routes::Routes::default()), Arc::new(InThread))
}

fn key(grant: &Grant) -> &str {
    grant.credential.expose()
}

/// Two processes get a 401 for the same key. The first report runs the helper once more; the second finds that done.
#[test]
fn a_rejected_key_costs_one_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().canonicalize().expect("our directory");
    let put = |name: &str, text: &str| fs::write(home.join(name), text).expect("ours");
    let runs = || fs::read_to_string(home.join("ran")).expect("it ran").lines().count();
    put("config.toml", &format!("api_key_helper = 'cd {} && echo ran >> ran && cat key'", home.display()));
    put("key", "first");
    let (one, other) = (client(&home), client(&home));
    let [old, same] = [&one, &other].map(|client| client.grant(Purpose::Api).expect("a key"));
    assert_eq!((key(&old), key(&same), runs()), ("first", "first", 1));

    put("key", "second");
    assert_eq!(
        key(&one.grant(Purpose::Api).expect("a key")),
        "first",
        "nobody has said that it was rejected"
    );
    assert_eq!(key(&one.rejected(&old).expect("another key")), "second");
    assert_eq!(runs(), 2);
    assert_eq!(key(&other.rejected(&same).expect("another key")), "second");
    assert_eq!(runs(), 2, "the second report is about the key that has been replaced");
}
