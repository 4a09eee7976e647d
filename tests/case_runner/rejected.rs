//! How a host handles a 401 for a helper's key: `Client::rejected`.

use std::{fs, path::Path, sync::Arc};

use keyfob::{
    Client, Grant, Purpose,
    internals::{
        core::{Id, contract::Variables},
        renewal::InThread,
        setup::{Choices, Setup},
        world::system,
    },
};
use keyfob_testkit::Sandbox;

fn client(home: &Path) -> Client {
    let variables: Variables =
        [("KEYFOB_HOME".to_owned(), home.to_str().map(str::to_owned))].into_iter().collect();
    let setup = Setup::read(&variables, Choices::default(), &system::files::Disk, Some(home));
    setup.check().expect("nothing is wrong");
    Client::with(setup, system::world(system::routes::Routes::default()), Arc::new(InThread))
}

fn key(grant: &Grant) -> &str {
    grant.credential().expose()
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

/// The credential in use is now a different one: a caller that reports a 401 for a login does not get a key in its
/// place.
#[test]
fn a_rejection_never_changes_the_source() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let client = || {
        let named = s.keyfob(["token"]);
        let text = |text: &std::ffi::OsStr| text.to_str().map(str::to_owned);
        let variables: Variables =
            named.get_envs().filter_map(|(name, value)| Some((text(name)?, text(value?)))).collect();
        let setup = Setup::read(&variables, Choices::default(), &system::files::Disk, Some(s.home.path()));
        setup.check().expect("nothing is wrong");
        let world = system::world(setup.routes.clone());
        Client::with(setup, world, Arc::new(InThread))
    };
    let old = client().grant(Purpose::Api).expect("a token");
    let before = s.server.grants().refreshes;
    fs::write(s.home.path().join("keyfob/config.toml"), "api_key_helper = 'echo key'\n").expect("ours");
    let error = client().rejected(&old).expect_err("another source");
    assert_eq!(error.id(), Id::LoginChanged);
    assert!(error.why().contains("api-key-helper is"), "{error}");
    assert_eq!(s.server.grants().refreshes, before, "nothing was spent on it");
}
